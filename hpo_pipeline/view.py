"""A study as its journal tells it: the fold that every view (table, plots, leaderboard, MLflow) is drawn from."""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass, field
from typing import Any

from hpo_pipeline.errors import StudyError
from hpo_pipeline.evaluation import WORST, Metric
from hpo_pipeline.records import Record
from hpo_pipeline.trial import FINAL, State, Value


@dataclass(slots=True)
class RungEvaluation:
    """One rung evaluation of one trial, with what was reported."""

    rung: int
    bracket: int
    resource: int
    metrics: dict[str, float]
    time: float


@dataclass(slots=True)
class Change:
    """From `resource` on the trial had another configuration, and the weights of (trial, resource) `source`."""

    resource: int
    source: tuple[int, int] | None
    config: dict[str, Value]


@dataclass(slots=True)
class TrialView:
    """What is known of one trial.

    Attributes:
        origin: where its configuration came from, for people; empty if nobody said.
        config, first_config: what the trial has now, and what it began with (they differ in population-based training).
        curve: (resource, metrics, time) of each report, in order.
        best_score, best_resource: the best report so far (minimised; the earlier one of equals), +inf and 0 if none;
            of a failed trial, too.
        seconds: spent in training, the sum over its reports' `seconds`.
        finished: why it was through before its job was; empty if it wasn't.
        counted: up to which resource the scheduler counts it: beyond `resource`, if it has finished.
    """

    id: int
    config: dict[str, Value]
    first_config: dict[str, Value]
    started: float
    origin: str = ""
    state: State = State.RUNNING
    reason: str = ""
    error: str = ""
    traceback: str = ""
    bracket: int = 0
    rung: int = 0
    target_resource: int = 0
    resource: int = 0
    best_score: float = WORST
    best_resource: int = 0
    seconds: float = 0.0
    finished: str = ""
    counted: int = 0
    ended: float | None = None
    curve: list[tuple[int, dict[str, float], float]] = field(default_factory=list)
    rungs: list[RungEvaluation] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)

    @property
    def has_finished(self) -> bool:
        """Whether it is COMPLETED by itself; its scheduler may have more jobs for it, which are only counted."""
        return bool(self.finished) and self.state is State.COMPLETED

    @property
    def rank(self) -> tuple[bool, float, int]:
        """What trials are sorted by, best first: failed ones behind all others; ties by trial id."""
        return self.state is State.FAILED, self.best_score, self.id

    @property
    def is_usable(self) -> bool:
        """Whether it can be the best: it has a finite value and has not failed."""
        return self.best_resource > 0 and self.state is not State.FAILED

    @property
    def best_config(self) -> dict[str, Value]:
        """The configuration that the best report was made with: `config`, unless it has changed since."""
        configs = [change.config for change in self.changes if change.resource < self.best_resource]
        return configs[-1] if configs else self.first_config

    def latest(self, metric: str) -> float | None:
        return self.curve[-1][1].get(metric) if self.curve else None

    def best(self, metric: str) -> float | None:
        """The metric at `best_resource`, or None without a finite report."""
        return next((m[metric] for r, m, _ in self.curve if r == self.best_resource), None)


class StudyView:
    """The fold: `apply` each record, in order; then read."""

    def __init__(self) -> None:
        self.header: Record = {}
        self.metrics: tuple[Metric, ...] = ()
        self.trials: dict[int, TrialView] = {}
        self.total_resource = 0
        self.evaluations = 0
        self.failures = 0
        self.last_failed: TrialView | None = None
        self.best: TrialView | None = None
        self.best_history: list[tuple[int, float, float]] = []
        """(total resource, best value of the metric, time) each time it changed: it improves, or its trial fails and
        the next best takes its place (NaN if there is none)."""
        self.seconds = 0.0
        """How long the study has run, over all sessions, up to the last record: by the tuner's monotonic clock."""
        self.end: Record | None = None
        self.n_records = 0
        self.sessions = 0
        self._session_began: tuple[float, float] | None = None

    @property
    def metric(self) -> str:
        """Name of the study's first metric: the one that trials are ranked by in tables and pictures."""
        return self.metrics[0].name

    @property
    def mode(self) -> str:
        return self.metrics[0].mode

    @property
    def all_failed(self) -> bool:
        """Whether trials were started and every one of them failed."""
        return bool(self.trials) and all(trial.state is State.FAILED for trial in self.trials.values())

    @property
    def failures_text(self) -> str:
        """`all 4 trials failed; the last error: …`, where at least one has failed."""
        every = "all " if self.all_failed and self.failures > 1 else ""
        count = f"{self.failures} trial{'s' if self.failures > 1 else ''}"
        return f"{every}{count} failed; the last error: {self.last_failed.error if self.last_failed else ''}"

    def apply(self, record: Record) -> None:
        """Takes in the next record; unknown events (of a later version) are passed over.

        Raises:
            StudyError: it doesn't follow from those before.
        """
        handler = getattr(self, f"_on_{record['event']}", None)
        if handler is not None:
            handler(record, float(record["time"]))
            self._count_seconds(record)
        self.n_records += 1

    def _count_seconds(self, record: Record) -> None:
        if "elapsed" in record:
            self.seconds = max(self.seconds, record["elapsed"])
        elif record["event"] == "session" or self._session_began is None:
            self._session_began = record["time"], self.seconds
        elif record["event"] != "study":
            # Version 1 has only the times at which workers saw things happen, in any order.
            began, before = self._session_began
            self.seconds = max(self.seconds, before + record["time"] - began)

    def _trial(self, record: Record) -> TrialView:
        if record["trial"] not in self.trials:
            raise StudyError(f"trial {record['trial']} was never suggested")
        return self.trials[record["trial"]]

    def _on_study(self, record: Record, time: float) -> None:
        self.header = record
        self.metrics = tuple(Metric(one["name"], one["mode"]) for one in record["metrics"])

    def _on_session(self, record: Record, time: float) -> None:
        self.sessions += 1
        self.end = None

    def _on_end(self, record: Record, time: float) -> None:
        self.end = record

    def _on_suggested(self, record: Record, time: float) -> None:
        config, origin = record["config"], record.get("origin", "")
        self.trials[record["trial"]] = TrialView(record["trial"], config, config, started=time, origin=origin)

    def _on_submitted(self, record: Record, time: float) -> None:
        trial = self._trial(record)
        trial.state, trial.reason = State.RUNNING, ""
        if "source" in record:
            trial.config = record.get("config", trial.config)
            trial.changes.append(Change(trial.resource, tuple(record["source"]), trial.config))
        trial.bracket, trial.rung, trial.target_resource = record["bracket"], record["rung"], record["resource"]

    def _on_report(self, record: Record, time: float) -> None:
        trial, metrics = self._trial(record), record["metrics"]
        if missing := [metric.name for metric in self.metrics if metric.name not in metrics]:
            raise StudyError(f"trial {trial.id} reports no {missing[0]!r}, only {', '.join(metrics) or 'nothing'}")
        if trial.state is State.INTERRUPTED:  # it goes on
            trial.state = State.RUNNING
        self.total_resource += record["resource"] - trial.resource
        trial.resource = record["resource"]
        trial.curve.append((trial.resource, metrics, time))
        trial.seconds += metrics.get("seconds", 0.0)
        trial.finished = record.get("finished", "")
        reached = self.metrics[0].score(metrics[self.metric])
        if reached < trial.best_score:
            trial.best_score, trial.best_resource = reached, trial.resource
            if self.best is None or trial.rank <= self.best.rank:
                self._set_best(trial, time)

    def _on_rung(self, record: Record, time: float) -> None:
        self.evaluations += 1
        trial = self._trial(record)
        if not trial.curve:
            raise StudyError(f"trial {trial.id} is on a rung without a report")
        trial.rung = max(trial.rung, record["rung"])
        _, metrics, _ = trial.curve[-1]
        trial.rungs.append(RungEvaluation(record["rung"], record["bracket"], record["resource"], metrics, time))

    def _on_result(self, record: Record, time: float) -> None:
        trial = self._trial(record)
        trial.ended = time
        if record["outcome"] == "done":
            trial.counted = trial.target_resource
        if record["outcome"] == "failed":
            self.failures += 1
            self.last_failed = trial
            trial.error, trial.traceback = record["error"], record["traceback"]
        elif record["outcome"] == "interrupted" and trial.state not in FINAL:
            trial.state = State.INTERRUPTED

    def _on_counted(self, record: Record, time: float) -> None:
        trial = self._trial(record)
        trial.counted = record["resource"]

    def _on_decision(self, record: Record, time: float) -> None:
        trial = self._trial(record)
        trial.state, trial.reason = State(record["state"]), record["reason"]
        trial.ended = time
        if trial is self.best and not trial.is_usable:
            self._set_best(next(iter(self.top(1)), None), time)

    def _set_best(self, trial: TrialView | None, time: float) -> None:
        self.best = trial
        value = trial.best(self.metric) if trial else None
        self.best_history.append((self.total_resource, math.nan if value is None else value, time))

    def ranking(self) -> list[TrialView]:
        """All trials, best first."""
        return sorted(self.trials.values(), key=lambda trial: trial.rank)

    def top(self, n: int) -> list[TrialView]:
        """The best `n` trials, best first, of those that are usable."""
        usable = (trial for trial in self.trials.values() if trial.is_usable)
        return heapq.nsmallest(n, usable, key=lambda trial: trial.rank)

    def leaderboard(self) -> list[dict[str, Any]]:
        """One row a trial, best first: rank, trial, state, the metric, where, and the configuration."""
        return [
            {
                "rank": rank,
                "trial": trial.id,
                "state": trial.state.value,
                self.metric: trial.best(self.metric),
                "resource": trial.best_resource,
                "trained": trial.resource,
                "bracket": trial.bracket,
                "rung": trial.rung,
                "seconds": round(trial.seconds, 3),
                "origin": trial.origin,
                **trial.best_config,
            }
            for rank, trial in enumerate(self.ranking(), start=1)
        ]
