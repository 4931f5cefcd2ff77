"""What people see while a study runs: a live table in a terminal, log lines where there is none."""

from __future__ import annotations

import contextlib
import functools
import logging
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TextIO

from hpo_pipeline.budget import Budget
from hpo_pipeline.records import Record
from hpo_pipeline.view import StudyView

if TYPE_CHECKING:
    from rich.console import Console as Terminal

    from hpo_pipeline.report.lines import Lines

REFRESH_PER_SECOND = 4.0


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
    ) -> None:
        self._view, self._budget, self._unit = view, budget, unit
        self._logs, self._file, self._clock = logs, file, clock
        self._study_clock = study_clock or clock
        self._told = 0.0, 0.0
        self._lines: Lines | None = None
        self._print: Callable[[str], None] = print
        self._said: set[str] = set()
        self._closing = contextlib.ExitStack()

    def start(self) -> None:
        """Call once the journal of a resumed study has been replayed: its time counts as elapsed."""
        from rich.console import Console as Terminal

        self._told = self._view.seconds, self._study_clock()
        terminal = Terminal(file=self._file)
        if terminal.is_terminal and terminal.is_interactive:
            self._start_live(terminal)
        else:
            from hpo_pipeline.report.lines import Lines

            self._lines = Lines(self._view, self._unit, self._file or sys.stdout, self._clock)
            self._print = self._lines.say
            self._closing.callback(self._lines.say_held_back)

    def _start_live(self, terminal: Terminal) -> None:
        from rich.live import Live

        from hpo_pipeline.report.live import LiveTable

        table = LiveTable(self._view, self._budget, self._unit, self.elapsed)
        live = Live(table, console=terminal, refresh_per_second=REFRESH_PER_SECOND)
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
            self._print(notice)

    def close(self) -> None:
        """Leaves the last state on the screen and gives the terminal back; may be called twice."""
        self._closing.close()
