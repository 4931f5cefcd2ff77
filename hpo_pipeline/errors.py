"""The one error that a person is meant to mend: a configuration with everything that is wrong in it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


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


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?` for the known name most like `name`, or an empty string."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""
