"""One trial of a study, as the journal tells it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hpo_pipeline.evaluation import WORST
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
        finalist: whether it was trained further when the search was over, or began then.
        repeats: the finalist that it is a further seed of; None: it has a configuration of its own.
        best_scores, best_violation, best_resource: of the best report so far (minimised; the earlier one of equals),
            (), +inf and 0 if there is none; of a failed trial, too. Of several metrics, the best by the first one, of
            equal ones by the next; but what violates the constraints less is better.
        seconds: spent in training, the sum over its reports' `seconds`.
        finished: why it was through before its job was; empty if it wasn't.
        nodes: the machines that it ran on, in order, one more than once if it came back; none off a cluster.
        counted: up to which resource the scheduler counts it: beyond `resource`, if it has finished.
    """

    id: int
    config: dict[str, Value]
    first_config: dict[str, Value]
    started: float
    origin: str = ""
    finalist: bool = False
    repeats: int | None = None
    state: State = State.RUNNING
    reason: str = ""
    error: str = ""
    traceback: str = ""
    bracket: int = 0
    rung: int = 0
    target_resource: int = 0
    resource: int = 0
    best_scores: tuple[float, ...] = ()
    best_violation: float = WORST
    best_resource: int = 0
    seconds: float = 0.0
    finished: str = ""
    nodes: tuple[str, ...] = ()
    counted: int = 0
    ended: float | None = None
    curve: list[tuple[int, dict[str, float], float]] = field(default_factory=list)
    rungs: list[RungEvaluation] = field(default_factory=list)
    changes: tuple[Change, ...] = ()

    def note_node(self, record: Mapping[str, Any]) -> None:
        """Takes up where a report or a result of the trial comes from."""
        if (node := record.get("node")) and self.nodes[-1:] != (node,):
            self.nodes = (*self.nodes, node)

    @property
    def has_finished(self) -> bool:
        """Whether it is final by itself, or was a finalist; its scheduler may have more jobs for it, only counted."""
        return (self.finalist and self.state in FINAL) or (bool(self.finished) and self.state is State.COMPLETED)

    @property
    def best_score(self) -> float:
        """By the study's first metric; +inf if there is none."""
        return self.best_scores[0] if self.best_scores else WORST

    @property
    def rank(self) -> tuple[bool, float, tuple[float, ...], int]:
        """What trials are sorted by, best first: failed ones behind all others; ties by trial id."""
        return self.state is State.FAILED, self.best_violation, self.best_scores, self.id

    @property
    def is_feasible(self) -> bool:
        """Whether its best report is within the study's constraints."""
        return self.best_violation == 0

    @property
    def is_usable(self) -> bool:
        """Whether it can be the best: it has a finite value and has not failed."""
        return self.best_resource > 0 and self.state is not State.FAILED

    @property
    def best_config(self) -> dict[str, Value]:
        """The configuration that the best report was made with: `config`, unless it has changed since."""
        return self.config_at(self.best_resource)

    def config_at(self, resource: int) -> dict[str, Value]:
        """The configuration that its report at `resource` was made with."""
        configs = [change.config for change in self.changes if change.resource < resource]
        return configs[-1] if configs else self.first_config

    def at(self, resource: int) -> dict[str, float]:
        """What it reported there; empty if it did not."""
        for at, metrics, _ in reversed(self.curve):
            if at == resource:
                return metrics
        return {}

    def latest(self, metric: str) -> float | None:
        return self.curve[-1][1].get(metric) if self.curve else None

    def best(self, metric: str) -> float | None:
        """The metric at `best_resource`, or None without a finite report."""
        return self.at(self.best_resource).get(metric)
