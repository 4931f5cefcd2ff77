"""One line on how far something is that is waited for."""

from __future__ import annotations

import contextlib
import math
import sys
import time
from collections.abc import Callable, Iterator
from typing import TextIO

from hpo_pipeline.report.terminal import terminal_on

_SECONDS_BETWEEN_LINES = 10.0


@contextlib.contextmanager
def status_line(
    file: TextIO | None = None, clock: Callable[[], float] = time.monotonic, *, at_once: bool = False
) -> Iterator[Callable[[str], None]]:
    """Gives a function that shows the latest text: in a terminal in place of the one before, else every ten seconds.

    Args:
        at_once: the first text as well, which else isn't worth a line before ten seconds are over.
    """
    from rich.text import Text

    terminal = terminal_on(file)
    if terminal.is_terminal and terminal.is_interactive:
        with terminal.status("") as status:
            yield lambda text: status.update(Text(text))
        return
    last = -math.inf if at_once else clock()

    def say(text: str) -> None:
        nonlocal last
        if clock() - last >= _SECONDS_BETWEEN_LINES:
            last = clock()
            print(text, file=file or sys.stdout, flush=True)

    yield say
