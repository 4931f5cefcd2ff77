"""A study written by hand, as records one second apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hpo_pipeline.analysis.job_log import JobLog
from hpo_pipeline.records import Record
from hpo_pipeline.view import StudyView


class Written:
    """Applies records to a view and a job log, and keeps them."""

    def __init__(self, mode: str = "min", name: str = "written", metrics: Mapping[str, str] | None = None) -> None:
        self.view, self.log = StudyView(), JobLog()
        self.records: list[Record] = []
        self.time = 0.0
        named = [{"name": key, "mode": value} for key, value in (metrics or {"loss": mode}).items()]
        self.add("study", version=3, id="x", name=name, seed=0, metrics=named, unit="epoch")
        self.add("session", pid=1)

    def add(self, event: str, **keys: Any) -> None:
        record = {"event": event, "time": self.time, "elapsed": self.time, **keys}
        self.time += 1.0
        self.records.append(record)
        self.view.apply(record)
        self.log.apply(record)

    def job(self, trial: int, resource: int, rung: int = 0, config: Mapping[str, Any] | None = None) -> None:
        if trial not in self.view.trials:
            self.add("suggested", trial=trial, config=dict({"x": 0.1 * trial} if config is None else config))
        self.add("submitted", trial=trial, resource=resource, rung=rung, bracket=0)

    def report(self, trial: int, resource: int, value: float, rung: int | None = None, **further: float) -> None:
        self.add("report", trial=trial, resource=resource, metrics={"loss": value, "seconds": 1.0, **further})
        if rung is not None:
            self.add("rung", trial=trial, rung=rung, bracket=0, resource=resource)

    def done(self, trial: int, state: str = "COMPLETED", reason: str = "") -> None:
        self.add("result", trial=trial, outcome="done", error="", traceback="")
        self.add("decision", trial=trial, state=state, reason=reason)

    def fail(self, trial: int, error: str = "ValueError: no") -> None:
        self.add("result", trial=trial, outcome="failed", error=error, traceback="")
        self.add("decision", trial=trial, state="FAILED", reason=error)

    def trial(self, trial: int, values: list[float], config: Mapping[str, Any], state: str = "COMPLETED") -> None:
        """A whole trial with one rung, at its last epoch."""
        self.job(trial, len(values), config=config)
        for resource, value in enumerate(values, start=1):
            self.report(trial, resource, value, 0 if resource == len(values) else None)
        self.done(trial, state)
