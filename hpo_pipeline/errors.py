"""Errors that a person is meant to mend, what is said of wrong numbers and names, one line about any other error."""

from __future__ import annotations

import difflib
import traceback
from collections.abc import Iterable
from typing import Any

MOST_CHARACTERS = 500
"""Of a line about an error: some hold a whole array."""


class ConfigError(ValueError):
    """A configuration is wrong; nothing has been started.

    Attributes:
        problems: one line each, `path: what is wrong, with the value; what to do`.
    """

    def __init__(self, problems: str | Iterable[str]) -> None:
        lines = [problems] if isinstance(problems, str) else problems
        self.problems: list[str] = [one_line(line) for line in lines]
        super().__init__("\n".join(self.problems))

    def under(self, path: str) -> ConfigError:
        """The same problems, each with `path` put before it (a component knows its keys, not where it stands)."""
        return ConfigError(f"{path}.{problem}" for problem in self.problems)


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


def integer_problems(*, least: int = 1, **numbers: Any) -> list[str]:
    """One line for each of the named values that is no integer of at least `least`; True and 3.0 are none."""
    return [
        f"{key}: must be an integer of at least {least}, got {value!r}"
        for key, value in numbers.items()
        if not isinstance(value, int) or isinstance(value, bool) or value < least
    ]


def describe(error: BaseException) -> str:
    """An error of anybody's code as one line that can be written anywhere: `KeyError: 'lr'`."""
    try:
        text = str(error)
    except BaseException:  # its own `__str__` raises
        text = "<its text can't be shown>"
    return encodable(f"{type(error).__name__}: {text}".splitlines()[0][:MOST_CHARACTERS])


def one_line(text: str) -> str:
    """The text with escapes for what would end the line, or can't be seen: keys of a config hold anything."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text.strip())


def encodable(text: str) -> str:
    """The text with escapes for what UTF-8 can't hold (halves of surrogate pairs)."""
    return text.encode("utf-8", "backslashreplace").decode()


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?` for the known name most like `name`, or an empty string."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""
