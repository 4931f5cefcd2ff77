"""The errors that a person is meant to mend, and one line about any other."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

MOST_CHARACTERS = 500
"""Of a line about an error: some hold a whole array."""


class ConfigError(ValueError):
    """A configuration is wrong; nothing has been started.

    Attributes:
        problems: one line each, `path: what is wrong, with the value; what to do`.
    """

    def __init__(self, problems: str | Iterable[str]) -> None:
        self.problems: list[str] = [problems] if isinstance(problems, str) else list(problems)
        super().__init__("\n".join(self.problems))

    def under(self, path: str) -> ConfigError:
        """The same problems, each with `path` put before it (a component knows its keys, not where it stands)."""
        return ConfigError(f"{path}.{problem}" for problem in self.problems)


class StudyError(RuntimeError):
    """A study can't start or go on, though its configuration is right: it is locked, or its data is missing."""


def describe(error: BaseException) -> str:
    """An error of anybody's code as one line that can be written anywhere: `KeyError: 'lr'`."""
    try:
        text = str(error)
    except BaseException:  # its own `__str__` raises
        text = "<its text can't be shown>"
    return encodable(f"{type(error).__name__}: {text}".splitlines()[0][:MOST_CHARACTERS])


def encodable(text: str) -> str:
    """The text with escapes for what UTF-8 can't hold (halves of surrogate pairs)."""
    return text.encode("utf-8", "backslashreplace").decode()


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?` for the known name most like `name`, or an empty string."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""
