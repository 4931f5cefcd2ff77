"""What a program prints besides its reports: on its way to the trial's log, and the last of it, for an error."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

LAST_LINES = 20
"""Shown with a failure."""
_LONGEST = 500
"""Characters of such a line."""


@dataclass(slots=True)
class Log:
    """`new`: lines that nobody has seen; `last`: the last ones, cut."""

    new: list[str] = field(default_factory=list)
    last: deque[str] = field(default_factory=lambda: deque(maxlen=LAST_LINES))

    def add(self, line: str) -> None:
        self.new.append(line)

    def show(self) -> None:
        """Prints what is new: where a trial's output goes is its worker's to say."""
        if not self.new:
            return
        self.last += [line[:_LONGEST] for line in self.new[-LAST_LINES:]]
        text, self.new = "\n".join(self.new), []
        try:
            print(text, flush=True)
        except UnicodeEncodeError:  # of a terminal's encoding
            print(text.encode("ascii", "backslashreplace").decode(), flush=True)
