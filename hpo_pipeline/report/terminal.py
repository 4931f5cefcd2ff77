"""What is printed is a view: a terminal that is gone, a closed pipe or a full disk behind it ends no study.

While nothing can be printed yet, a terminal shows what is being done (`working`), until something is.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TextIO, cast

if TYPE_CHECKING:
    from rich.console import Console as Terminal


def terminal_on(file: TextIO | None) -> Terminal:
    """What prints to a file, standard output if None: where that is no terminal, in lines of 120 columns or more.

    A notebook gets text, too, not a display of its own for each line.
    """
    from rich.console import Console as Terminal

    terminal = Terminal(file=file)
    if terminal.is_jupyter:
        terminal = Terminal(file=file, force_jupyter=False, force_terminal=False)
    if not terminal.is_terminal:
        terminal.width = max(terminal.width, 120)
    return terminal


class Forgiving:
    """A text stream that goes on in silence when nobody can be written to any more (`… | head -1`)."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._gone = False

    def write(self, text: str) -> int:
        _clear()
        self._try(self._stream.write, text)
        return len(text)

    def flush(self) -> None:
        self._try(self._stream.flush)

    def passing(self, text: str) -> None:
        """Shows a text that the next one takes the place of."""
        self._try(self._stream.write, f"\r\x1b[K{text}")
        self._try(self._stream.flush)

    def _try(self, action: Callable[..., object], *arguments: str) -> None:
        if self._gone:
            return
        try:
            action(*arguments)
        except (OSError, ValueError):
            self._gone = True
            # What is still in the buffer goes nowhere, or Python would try again at its end, and complain.
            with contextlib.suppress(OSError, ValueError, AttributeError):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, self._stream.fileno())
                os.close(nowhere)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


_shows: list[Forgiving] = []
"""The stream that shows what is being done; none most of the time."""


def working(what: str) -> None:
    """Shows in a terminal what is being done, in one line that goes when anything is printed; nothing elsewhere."""
    stream = sys.stderr
    if isinstance(stream, Forgiving) and stream.isatty() and os.environ.get("TERM") != "dumb" and not in_ci():
        _clear()
        stream.passing(f"{what} …")
        _shows.append(stream)


def _clear() -> None:
    while _shows:
        _shows.pop().passing("")


def in_ci() -> bool:
    """Whether this is a job of a continuous integration, whose log would keep every picture of a table (`CI=1`)."""
    return os.environ.get("CI", "").lower() not in ("", "0", "false")


@contextlib.contextmanager
def forgiving_streams() -> Iterator[None]:
    """Standard output and error as streams that never raise."""
    _open_all()
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (cast(TextIO, Forgiving(stream)) for stream in before)
    try:
        yield
    finally:
        _clear()
        sys.stdout.flush()
        sys.stderr.flush()
        sys.stdout, sys.stderr = before


def _open_all() -> None:
    """Puts nothing where a standard stream is closed: the next file to be opened, the journal, would take its place."""
    for number, name in ((0, "stdin"), (1, "stdout"), (2, "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "r" if number == 0 else "w", closefd=False))  # noqa: SIM115
