"""Errors that a person is meant to mend, the problems that they carry, and one line about any other error."""

from __future__ import annotations

import difflib
import traceback
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

MOST_CHARACTERS = 500
"""Of a line about an error: some hold a whole array."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a configuration.

    Attributes:
        path: the key that it is about, as its finder knows it: `n_units` of a model, `model.n_units` of a config; empty
            where it is about the whole.
        message: what is wrong, and what to do.
        value: what stands there, where the message doesn't say it.
    """

    path: str
    message: str
    value: Any = ...

    def under(self, path: str) -> Problem:
        """The same, seen from where the finder stands at `path`."""
        below = self.path if not self.path or self.path.startswith("[") else f".{self.path}"
        return replace(self, path=f"{path}{below}")

    @property
    def statement(self) -> str:
        """What is wrong, with the value."""
        return self.message if self.value is ... else f"{self.message}, got {self.value!r}"

    def __str__(self) -> str:
        """One line, for people: `path: what is wrong, got value`."""
        return one_line(f"{self.path}: {self.statement}" if self.path else self.statement)


class ConfigError(ValueError):
    """A configuration is wrong; nothing has been started.

    Attributes:
        problems: each once. A plain text is one about the component as a whole.
    """

    def __init__(self, problems: str | Problem | Iterable[str | Problem]) -> None:
        given = [problems] if isinstance(problems, (str, Problem)) else problems
        found = [Problem("", one) if isinstance(one, str) else one for one in given]
        self.problems: list[Problem] = list({str(problem): problem for problem in found}.values())
        super().__init__("\n".join(self.lines))

    @property
    def lines(self) -> list[str]:
        """The problems, one line each."""
        return list(map(str, self.problems))

    def under(self, path: str) -> ConfigError:
        """The same problems, of a component that stands at `path`."""
        return ConfigError(problem.under(path) for problem in self.problems)


class StudyError(RuntimeError):
    """A study can't start or go on, though its configuration is right: it is locked, or its data is missing."""


class ComponentError(StudyError):
    """A scheduler or searcher doesn't keep to its interface: what it did, and what the interface asks."""


def asked(component: object, method: str, *given: Any, **named: Any) -> Any:
    """What a component's method answers.

    Raises:
        ComponentError: it raised; says what, and where.
    """
    try:
        return getattr(component, method)(*given, **named)
    except StudyError:
        raise
    except Exception as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        what = describe(error)
        raise ComponentError(
            f"{type(component).__name__}.{method} raised {what} ({frame.filename}, line {frame.lineno})"
        ) from error


def reason(error: Exception) -> str:
    """In one line: what torch says of values, and the kind of what is said of anything else."""
    text = first_line(str(error))
    usual = isinstance(error, (ValueError, TypeError, RuntimeError)) and text
    return text if usual else f"{type(error).__name__}: {text}".removesuffix(": ")


def describe(error: BaseException) -> str:
    """An error of anybody's code as one line that can be written anywhere: `KeyError: 'lr'`."""
    try:
        text = str(error)
    except BaseException:  # its own `__str__` raises
        text = "<its text can't be shown>"
    return encodable(first_line(f"{type(error).__name__}: {text}")[:MOST_CHARACTERS])


def first_line(text: str) -> str:
    """The first line of an error's text, and the second where the first one only announces it (torch's of weights)."""
    first, *rest = text.splitlines() or [""]
    return f"{first.rstrip()} {rest[0].strip()}" if rest and first.rstrip().endswith(":") else first


def one_line(text: str) -> str:
    """The text with escapes for what would end the line, or can't be seen: keys of a config hold anything."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text.strip())


def encodable(text: str) -> str:
    """The text with escapes for what UTF-8 can't hold (halves of surrogate pairs)."""
    return text if type(text) is str and text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?` for the known name most like `name`, or an empty string."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""
