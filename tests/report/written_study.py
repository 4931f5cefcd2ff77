"""A study written by hand, as the records of its journal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hpo_pipeline.view import StudyView

METRIC = "validation_error"


class StudyBuilder:
    """Applies records to a view, and hands each to `listener`, as the tuner does. One second a record."""

    def __init__(self, mode: str = "min", name: str = "demo") -> None:
        self.view = StudyView()
        self.time = 1000.0
        self.listener: Callable[[dict[str, Any]], None] = lambda record: None
        self.add("study", version=1, id="x", name=name, seed=0, metrics=[{"name": METRIC, "mode": mode}], unit="epoch")
        self.add("session", pid=1)

    def add(self, event: str, **keys: Any) -> None:
        record = {"event": event, "time": self.time, **keys}
        self.time += 1.0
        self.view.apply(record)
        self.listener(record)

    def job(
        self,
        trial: int,
        resource: int,
        rung: int = 0,
        bracket: int = 0,
        config: Mapping[str, Any] | None = None,
        origin: str = "",
    ) -> None:
        if trial not in self.view.trials:
            self.add("suggested", trial=trial, config=dict(config or {"optimizer.lr": 0.1}), origin=origin)
        self.add("submitted", trial=trial, resource=resource, rung=rung, bracket=bracket)

    def report(self, trial: int, resource: int, value: float, rung: int | None = None) -> None:
        self.add("report", trial=trial, resource=resource, metrics={METRIC: value, "seconds": 2.0})
        if rung is not None:
            bracket = self.view.trials[trial].bracket
            self.add("rung", trial=trial, rung=rung, bracket=bracket, resource=resource)

    def fail(self, trial: int, error: str = "ValueError: no") -> None:
        self.add("result", trial=trial, outcome="failed", error=error, traceback="Traceback …")
        self.decide(trial, "FAILED", error)

    def trial_that_fails(self, trial: int, values: list[float], error: str = "ValueError: no") -> None:
        """A trial that reports `values` and fails in the epoch after them."""
        self.job(trial, len(values) + 1)
        for resource, value in enumerate(values, start=1):
            self.report(trial, resource, value)
        self.fail(trial, error)

    def decide(self, trial: int, state: str, reason: str = "") -> None:
        self.add("decision", trial=trial, state=state, reason=reason)

    def trial(self, trial: int, values: list[float], state: str, config: Mapping[str, Any] | None = None) -> None:
        """A whole trial with one rung, at its last epoch."""
        self.job(trial, len(values), config=config)
        for resource, value in enumerate(values, start=1):
            self.report(trial, resource, value, rung=0 if resource == len(values) else None)
        self.add("result", trial=trial, outcome="done", error="", traceback="")
        self.decide(trial, state)

    def end(self, reason: str = "n_trials") -> None:
        self.add("end", state="COMPLETED", reason=reason)
