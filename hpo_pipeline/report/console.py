"""What people see while a study runs: a live table in a terminal, log lines where there is none."""

from __future__ import annotations

import contextlib
import functools
import logging
import sys
import textwrap
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, TextIO

from hpo_pipeline.budget import Budget
from hpo_pipeline.records import Record
from hpo_pipeline.report.terminal import in_ci, terminal_on
from hpo_pipeline.view import StudyView

if TYPE_CHECKING:
    from rich.console import Console as Terminal

    from hpo_pipeline.report.lines import Lines

REFRESH_PER_SECOND = 4.0
_KEPT = 10
"""Notices that are said again above a table that is drawn anew."""


class Console:
    """Shows a study as it goes. `start`, then `update` after each record that the view has applied, then `close`.

    Args:
        view: read, never changed.
        budget: what the progress bar measures against.
        unit: what one unit of resource is called ("epoch").
        logs: where the tracebacks of failed trials are, told at the first failure.
        file: where to; standard output if None.
        clock: seconds, for the elapsed time and the rate of log lines.
        study_clock: seconds, for the elapsed time, where the study has a clock of its own.
        to_come: the resource that finalists are still to be trained with, for the progress bar.
        in_lines: lines in a terminal, too.
        workers: gives a line that says where workers are, for the foot of the table.
    """

    def __init__(
        self,
        view: StudyView,
        budget: Budget,
        unit: str,
        logs: str = "",
        file: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
        study_clock: Callable[[], float] | None = None,
        to_come: Callable[[StudyView], int] = lambda _: 0,
        in_lines: bool = False,
        workers: Callable[[], str] = str,
    ) -> None:
        self._view, self._budget, self._unit = view, budget, unit
        self._logs, self._file, self._clock = logs, file, clock
        self._study_clock = study_clock or clock
        self._to_come, self._in_lines, self._workers = to_come, in_lines or in_ci(), workers
        self._told = 0.0, 0.0
        self._lines: Lines | None = None
        self._print: Callable[[str], None] = functools.partial(print, flush=True)
        self._said: set[str] = set()
        self._above = ""
        self._notices: deque[str] = deque(maxlen=_KEPT)
        self._closing = contextlib.ExitStack()

    def open(self, text: str) -> None:
        """What is said before all else, and stays above the table."""
        if self._goes_live():
            lines = text.splitlines()
            text = "\n".join(part for line in lines for part in textwrap.wrap(line, self._terminal().width - 1))
        self._above = text
        print(text, file=self._file, flush=True)

    def _terminal(self) -> Terminal:
        return terminal_on(self._file)

    def _goes_live(self) -> bool:
        terminal = self._terminal()
        return terminal.is_terminal and terminal.is_interactive and not self._in_lines

    def start(self) -> None:
        """Call once the journal of a resumed study has been replayed: its time counts as elapsed."""
        self._told = self._view.seconds, self._study_clock()
        if self._goes_live():
            self._start_live(self._terminal())
        else:
            from hpo_pipeline.report.lines import Lines

            self._lines = Lines(self._view, self._unit, self._file or sys.stdout, self._clock)
            self._print = self._lines.say
            self._closing.callback(self._lines.say_held_back)

    def _start_live(self, terminal: Terminal) -> None:
        from hpo_pipeline.report.live import LiveTable
        from hpo_pipeline.report.screen import Screen

        table = LiveTable(self._view, self._budget, self._unit, self.elapsed, self._to_come, self._workers)
        live = Screen(table, terminal, REFRESH_PER_SECOND, self._said_before)
        self._print = functools.partial(terminal.print, markup=False, highlight=False)
        written_to = {id(sys.stdout): "stdout", id(sys.stderr): "stderr"}
        live.start(refresh=True)
        self._closing.callback(live.stop)
        self._closing.callback(setattr, table, "final", True)
        # Live has put itself before sys.stdout and sys.stderr, so that what others print appears above the table.
        # Logging handlers hold the streams themselves.
        for name in [None, *logging.root.manager.loggerDict]:
            for handler in logging.getLogger(name).handlers:
                if isinstance(handler, logging.StreamHandler) and id(handler.stream) in written_to:
                    self._closing.callback(handler.setStream, handler.stream)
                    handler.setStream(getattr(sys, written_to[id(handler.stream)]))

    def _said_before(self) -> str:
        """What stands above the table; ends with a line."""
        return "".join(f"{text}\n" for text in (self._above, *self._notices) if text)

    def elapsed(self) -> float:
        """Seconds that the study has run, earlier sessions included: up to the last record, and since it came."""
        seconds, then = self._told
        return seconds + self._study_clock() - then

    def update(self, record: Record) -> None:
        """Takes note of `record`, which the view has applied. Costs next to nothing; the table is drawn elsewhere."""
        self._told = self._view.seconds, self._study_clock()
        if self._lines is not None:
            self._lines.update(record)
        if self._logs and record["event"] == "result" and record["traceback"]:
            self.say(f"tracebacks of failed trials: {self._logs}")

    def say(self, notice: str) -> None:
        """A line of its own; above the table, where there is one. Each is said once: several workers find the same."""
        if notice not in self._said:
            self._said.add(notice)
            self._notices.append(notice)
            self._print(notice)

    def close(self) -> None:
        """Leaves the last state on the screen and gives the terminal back; may be called twice."""
        self._closing.close()
