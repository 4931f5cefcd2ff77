"""What happened on each rung: how many trials came there, how many went on, the best value; in O(1) an evaluation."""

from __future__ import annotations

import math
from dataclasses import dataclass

from hpo_pipeline.evaluation import Metric
from hpo_pipeline.trial_view import TrialView


@dataclass(slots=True)
class RungRow:
    """One rung of one bracket.

    Attributes:
        resource: what its trials had been trained to.
        n_trials, n_went_on: how many were evaluated here, and how many of these on a higher rung of the bracket.
        best: the best value of the metric here; NaN if none was finite.
    """

    bracket: int
    rung: int
    resource: int
    n_trials: int = 0
    n_went_on: int = 0
    best: float = math.nan


class RungTable:
    """Counts rung evaluations as they come: `add` after each, then `rows`."""

    def __init__(self) -> None:
        self._rows: dict[tuple[int, int], RungRow] = {}

    def add(self, trial: TrialView, metric: Metric) -> None:
        """Counts the trial's last rung evaluation."""
        *before, reached = trial.rungs
        row = self._rows.setdefault(
            (reached.bracket, reached.rung), RungRow(reached.bracket, reached.rung, reached.resource)
        )
        row.n_trials += 1
        value = reached.metrics.get(metric.name, math.nan)
        if metric.score(value) < metric.score(row.best):
            row.best = value
        below = [rung for rung in before if rung.bracket == reached.bracket and rung.rung < reached.rung]
        if below:
            self._rows[reached.bracket, below[-1].rung].n_went_on += 1

    def rows(self) -> list[RungRow]:
        """The bracket that starts lowest first, its rungs from the lowest up."""
        start: dict[int, int] = {}
        for row in self._rows.values():
            start[row.bracket] = min(row.resource, start.get(row.bracket, row.resource))
        return sorted(self._rows.values(), key=lambda row: (start[row.bracket], row.bracket, row.rung))
