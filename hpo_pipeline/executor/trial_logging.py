"""What a trial's own code logs, with Python's `logging`, is in the trial's log.

In a worker process all goes to standard error, behind which is the log of the trial at work. In the tuner's own process
other threads log as well; what they say stays where it was.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from hpo_pipeline.errors import encodable
from hpo_pipeline.executor.runner import write_log

FORMAT = "[%(asctime)s][%(name)s][%(levelname)s] - %(message)s"
"""As Hydra has it."""


class _ToStandardError(logging.StreamHandler[TextIO]):
    """To what `sys.stderr` is when something is logged."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)
        self.setFormatter(logging.Formatter(FORMAT))

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        return sys.stderr


def log_to_standard_error(levels: Mapping[str, str]) -> None:
    """For the rest of this process, which does nothing but train."""
    logging.getLogger().addHandler(_ToStandardError())
    _set(levels)


class TrialLogging(logging.Handler):
    """In the tuner's own process: writes what is logged while a trial's code runs to a file.

    `start`, then `of(path)` around the code, then `stop`: the levels are as they were.
    """

    def __init__(self, levels: Mapping[str, str]) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter(FORMAT))
        self._levels = levels
        self._before: dict[str, str] = {}
        self._path: Path | None = None
        self._others: set[threading.Thread] = set()
        self._at_root: list[logging.Handler] = []

    def start(self) -> None:
        """Call once before any trial."""
        if not self._before:
            self._before = {name: logging.getLevelName(logging.getLogger(name).level) for name in self._levels}
            _set(self._levels)
            self._at_root = list(logging.getLogger().handlers)
            for handler in self._at_root:  # Hydra's, which writes to the terminal
                handler.addFilter(self._is_of_no_trial)
            logging.getLogger().addHandler(self)

    def stop(self) -> None:
        """May be called without `start`."""
        if self._before:
            logging.getLogger().removeHandler(self)
            for handler in self._at_root:
                handler.removeFilter(self._is_of_no_trial)
            _set(self._before)
            self._before = {}

    @contextmanager
    def of(self, path: Path) -> Iterator[None]:
        """For the block, in which a trial's code runs in this thread."""
        self._others = set(threading.enumerate()) - {threading.current_thread()}  # their numbers are given away again
        self._path = path
        try:
            yield
        finally:
            self._path = None

    def _is_of_no_trial(self, _record: logging.LogRecord) -> bool:
        """Asked by the thread that logs."""
        return self._path is None or threading.current_thread() in self._others

    def emit(self, record: logging.LogRecord) -> None:
        if self._path is not None and not self._is_of_no_trial(record):
            try:
                write_log(self._path, encodable(f"{self.format(record)}\n"))
            except Exception:  # what is logged may be as wrong as any code
                self.handleError(record)
        elif (last := logging.lastResort) and record.levelno >= last.level and logging.getLogger().handlers == [self]:
            last.handle(record)  # as if this handler weren't here


def _set(levels: Mapping[str, str]) -> None:
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
