"""What a run is: a task, its budget, and the trace of regret that comes of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from hpo_pipeline.space import SearchSpace
from hpo_pipeline.trial import Config


class Value(NamedTuple):
    """A point of a learning curve: what the method is told, and what it is worth; minimised."""

    observed: float
    true: float


Curve = Callable[[int, Config, int], Value | None]
"""(trial id, configuration, resource) -> the trial's loss there; None makes it fail."""


@dataclass(frozen=True)
class Task:
    """Something to be minimised.

    Attributes:
        suite: the suite that it belongs to.
        group: what its results are averaged with: a protocol, a family, a dataset.
        name: within the group.
        curve: seed of a run -> the curves of its trials.
        max_resource: units of resource that a trial can be trained to.
        n_units: budget of a run, units of resource of all its trials together.
        n_trials: trials that a run may start; None is no limit.
        n_workers: jobs at once.
        best, scale: regret is (loss - best) / scale.
    """

    suite: str
    group: str
    name: str
    space: SearchSpace
    curve: Callable[[int], Curve]
    max_resource: int
    n_units: int
    n_trials: int | None = None
    n_workers: int = 4
    best: float = 0.0
    scale: float = 1.0


class Trace:
    """The regret of the best trial so far after each unit of resource, in the order of reports.

    Best is what was observed to be best; its regret is its true one, so that under noise it can rise.
    """

    def __init__(self, task: Task) -> None:
        self._task = task
        self._best = Value(math.inf, math.nan)
        self.regrets: list[float] = []

    def add(self, value: Value) -> None:
        if value.observed < self._best.observed:
            self._best = value
        self.regrets.append((self._best.true - self._task.best) / self._task.scale)

    def at(self, unit: int) -> float:
        """The regret after so many units, or at the end of a run that spent fewer; NaN before any finite loss."""
        return self.regrets[min(unit, len(self.regrets)) - 1] if self.regrets else math.nan
