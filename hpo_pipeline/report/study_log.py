"""A study's log: what people are told while it runs, with the time of each line, at the end of runs/<name>/log.txt.

Sessions follow one another in it, whatever the terminal has shown: a table, lines, JSON.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TextIO, cast

from hpo_pipeline.records import Record
from hpo_pipeline.report.lines import Lines
from hpo_pipeline.report.terminal import Forgiving
from hpo_pipeline.view import StudyView


class _Stamped:
    """A text file whose lines begin with the time."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, text: str) -> int:
        now = time.strftime("%Y-%m-%d %H:%M:%S")
        return self._file.write("".join(f"{now}  {line}\n" for line in text.splitlines() if line))

    def flush(self) -> None:
        self._file.flush()

    def fileno(self) -> int:
        return self._file.fileno()


class StudyLog:
    """Told of each record and notice, as the console is. A log that can't be written (a full disk) ends no study."""

    def __init__(self, path: Path, view: StudyView, unit: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._file = open(path, "a", encoding="utf-8")  # noqa: SIM115
        self._to = cast(TextIO, Forgiving(cast(TextIO, _Stamped(self._file))))
        self._lines = Lines(view, unit, self._to, clock)

    def update(self, record: Record) -> None:
        self._lines.update(record)
        if record["event"] == "end":
            self._lines.say_held_back()
            self.say(f"ended: {record['state']}{': ' if record['reason'] else ''}{record['reason']}")

    def say(self, notice: str) -> None:
        self._lines.say(notice)

    def close(self) -> None:
        self._to.flush()
        self._file.close()
