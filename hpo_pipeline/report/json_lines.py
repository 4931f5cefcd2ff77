"""A study as lines of JSON for other programs (`output=json`): one an event, and nothing else on standard output.

The events are the journal's records (records.py), as they are written. Besides there are

    notice     text                                              what people are told
    summary    folder, state, best, commands                     the end of a session; best: {trial, resource, metrics,
                                                                 config}, or null
    plan       see dry_run.py                                    in place of all these, with dry_run=true
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO, cast

from hpo_pipeline.records import Record, encode
from hpo_pipeline.report.terminal import Forgiving
from hpo_pipeline.view import StudyView, TrialView


class JsonLines:
    """Writes each event in a line, and flushes it."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def update(self, record: Record) -> None:
        """A record of the journal."""
        self._file.write(f"{encode(record).decode()}\n")
        self._file.flush()

    def say(self, notice: str) -> None:
        self.add("notice", text=notice)

    def add(self, event: str, **keys: Any) -> None:
        """An event that is none of the journal's. What JSON can't hold of numbers is text, as in the journal."""
        self._file.write(f"{json.dumps({'event': event, **plain(keys)}, separators=(',', ':'))}\n")
        self._file.flush()

    def summarise(self, view: StudyView, folder: Path, commands: Mapping[str, str]) -> None:
        """The end of a session."""
        best = view.winner
        end = view.end or {}
        self.add(
            "summary",
            folder=str(folder),
            state=end.get("state", ""),
            reason=end.get("reason", ""),
            trials=len(view.trials),
            total_resource=view.total_resource,
            best=None if best is None else _best(best),
            front=[_best(view.trials[point.trial_id], point.resource) for point in view.front.points],
            commands=dict(commands),
        )


def _best(trial: TrialView, resource: int | None = None) -> dict[str, Any]:
    at = resource or trial.best_resource
    return {"trial": trial.id, "resource": at, "metrics": trial.at(at), "config": trial.config_at(at)}


def plain(value: Any) -> Any:
    """The value with "nan", "inf" and "-inf" for the numbers that JSON has not."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


@contextlib.contextmanager
def only_json(output: str) -> Iterator[JsonLines | None]:
    """For the block, standard output holds events alone: all else that is printed goes to standard error.

    Args:
        output: the root key; for others than "json" nothing changes, and there are no events.
    """
    if output != "json":
        yield None
        return
    stdout = sys.stdout
    sys.stdout.flush()
    try:
        number = stdout.fileno()
        events = os.fdopen(os.dup(number), "w", encoding="utf-8")
        os.dup2(2, number)  # what programs and libraries in C print
    except (OSError, ValueError, AttributeError):  # no file behind it
        with contextlib.redirect_stdout(sys.stderr):
            yield JsonLines(stdout)
        return
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield JsonLines(cast(TextIO, Forgiving(events)))
    finally:
        os.dup2(events.fileno(), number)
        events.close()
