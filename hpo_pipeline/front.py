"""The Pareto front of a study of several metrics, as reports come in."""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hpo_pipeline.evaluation import Constraint, Metric, total_violation
from hpo_pipeline.pareto import dominates, hypervolume, reference_of

if TYPE_CHECKING:
    from hpo_pipeline.pareto import Array

Curve = Iterable[tuple[int, Mapping[str, float], float]]
"""(resource, metrics, time) of each report."""


@dataclass(frozen=True, slots=True, order=True)
class Point:
    """What a trial has reported at one resource; minimised."""

    scores: tuple[float, ...]
    trial_id: int
    resource: int


class Front:
    """The feasible reports that no other dominates; of equal ones the first.

    Args:
        reference: metric -> what the hypervolume reaches to; None: what follows from all feasible reports.

    Attributes:
        points: by their first score, best first.
    """

    def __init__(
        self,
        metrics: Sequence[Metric] = (),
        constraints: Sequence[Constraint] = (),
        reference: Mapping[str, float] | None = None,
    ) -> None:
        self.points: list[Point] = []
        self._metrics = metrics
        self._constraints = constraints
        self._given = [metric.score(reference[metric.name]) for metric in metrics] if reference else None
        self._best: tuple[float, ...] = ()  # of each score, whoever has it
        self._worst: tuple[float, ...] = ()

    def take(self, trial_id: int, resource: int, reported: Mapping[str, float]) -> bool:
        """Takes in a report; whether the front or its reference point have changed by it."""
        scores = tuple([metric.score(reported.get(metric.name, math.nan)) for metric in self._metrics])
        if not all(map(math.isfinite, scores)) or total_violation(self._constraints, reported) > 0:
            return False
        before = self._best, self._worst
        self._best = tuple(map(min, self._best or scores, scores))
        self._worst = tuple(map(max, self._worst or scores, scores))
        if any(point.scores == scores or dominates(point.scores, scores) for point in self.points):
            return self._given is None and before != (self._best, self._worst)
        self.points = [point for point in self.points if not dominates(scores, point.scores)]
        insort(self.points, Point(scores, trial_id, resource))
        return True

    def rebuild(self, curves: Iterable[tuple[int, Curve]]) -> None:
        """The front of these trials (id, curve) alone."""
        self.points, self._best, self._worst = [], (), ()
        for trial_id, curve in curves:
            for resource, reported, _ in curve:
                self.take(trial_id, resource, reported)

    def anew(self) -> Front:
        """An empty front of the same metrics and constraints, whose hypervolume reaches as far as this one's."""
        front = Front(self._metrics, self._constraints)
        reference = self.reference
        front._given = None if reference is None else reference.tolist()
        return front

    @property
    def reference(self) -> Array | None:
        """What the hypervolume reaches to, as scores `(m,)`; None while nothing says it."""
        import numpy as np

        if self._given is not None:
            return np.array(self._given, dtype=float)
        return reference_of(np.array([self._best, self._worst])) if self._best else None

    def hypervolume(self) -> float:
        """What the points dominate, up to the reference point."""
        import numpy as np

        reference = self.reference
        if reference is None or not self.points:
            return 0.0
        return hypervolume(np.array([point.scores for point in self.points], dtype=float), reference)
