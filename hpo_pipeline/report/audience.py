"""Those who are told of a study while it runs: the person at the terminal, the study's log, and programs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path

from hpo_pipeline.budget import Budget
from hpo_pipeline.records import Record
from hpo_pipeline.report.console import Console
from hpo_pipeline.report.json_lines import JsonLines
from hpo_pipeline.report.study_log import StudyLog
from hpo_pipeline.view import StudyView


class Audience:
    """`open` with what is said first, `start` once the journal is replayed; told of each record; `close`, `summarise`.

    Args:
        view, budget, unit: as of `Console`.
        folder: the study's, which exists.
        output: the root key.
        events: where programs are told; None for nowhere.
        study_clock: seconds, of the study.
        to_come: the resource that finalists are still to be trained with.
        workers: gives a line that says where workers are; empty where there is nothing to say. From any thread.
    """

    def __init__(
        self,
        view: StudyView,
        budget: Budget,
        unit: str,
        folder: Path,
        output: str,
        events: JsonLines | None,
        study_clock: Callable[[], float],
        to_come: Callable[[StudyView], int],
        workers: Callable[[], str] = str,
    ) -> None:
        logs = str(folder / "trials" / "<id>" / "log.txt")
        self._view, self._folder, self._events = view, folder, events
        self._console = Console(
            *(view, budget, unit, logs),
            study_clock=study_clock,
            to_come=to_come,
            in_lines=output == "lines",
            workers=workers,
        )
        self._log = StudyLog(folder / "log.txt", view, unit)
        self._all: list[Console | StudyLog | JsonLines] = [self._console, self._log]
        self._all += [events] if events else []
        self._closing = contextlib.ExitStack()
        self._closing.callback(self._log.close)

    def open(self, text: str) -> None:
        """What the study is and how it goes about it."""
        self._console.open(text)
        self._log.say(text)
        if self._events:
            self._events.say(text)

    def start(self) -> None:
        """Begins to show the study."""
        self._console.start()
        self._closing.callback(self._console.close)

    def update(self, record: Record) -> None:
        """A record that the view has applied."""
        for one in self._all:
            one.update(record)

    def say(self, notice: str) -> None:
        """What people should know."""
        for one in self._all:
            one.say(notice)

    def close(self) -> None:
        """The session is over; may be called twice."""
        self._closing.close()

    def summarise(self, commands: Mapping[str, str]) -> None:
        """Tells programs what the study came to."""
        if self._events:
            self._events.summarise(self._view, self._folder, commands)
