"""A least distance between trials, which learns from neighbours that come out equal.

    r = f · √(d / 6) · n^(-1/d)    n = trials so far, pending ones included    d = dimensions

Where many trials are cheap and rough, one more beside the best of them teaches little. Where neighbours come out equal
to the last digit the space is flat, and repeats teach nothing: after a trial whose first evaluation equals that of the
nearest earlier one f grows by 1.3, up to 1.2; after any other it shrinks by 0.97, down to its first value.
"""

from __future__ import annotations

import math

import numpy as np

from hpo_pipeline.searcher.observations import Observations, Observed
from hpo_pipeline.space.unit_cube import Bools, Floats

LARGEST_FACTOR = 1.2


class Distance:
    """What follows from the log of `observed`, caught up on where it is asked for.

    Args:
        factor: f at first, and at least.
    """

    def __init__(self, observed: Observations, factor: float = 0.25) -> None:
        self._observed = observed
        self._least = self.factor = factor
        self._n_heard = 0
        self._first: dict[int, tuple[int, float]] = {}  # row -> resource and score of its first evaluation

    def is_kept(self, points: Floats) -> Bools:
        """Which of the canonical points `(m, dim)` are at least r from every trial."""
        self._catch_up()
        cube, n = self._observed.cube, self._observed.n_trials
        if not n:
            return np.ones(len(points), dtype=bool)
        least = self.factor * math.sqrt(cube.dim / 6) * n ** (-1 / cube.dim)
        kept: Bools = cube.distances(points, self._observed.points).min(axis=1) >= least
        return kept

    def _catch_up(self) -> None:
        for heard in self._observed.log[self._n_heard :]:
            if heard.row not in self._first:
                self._take_in(heard)
        self._n_heard = len(self._observed.log)

    def _take_in(self, heard: Observed) -> None:
        row, points = heard.row, self._observed.points
        self._first[row] = heard.resource, heard.score
        if row == 0 or not math.isfinite(heard.score):
            return
        nearest = int(np.argmin(self._observed.cube.distances(points[row : row + 1], points[:row])[0]))
        if self._first.get(nearest) == self._first[row]:
            self.factor = max(self._least, min(1.3 * self.factor, LARGEST_FACTOR))
        else:
            self.factor = max(self._least, 0.97 * self.factor)
