"""A least distance between trials, which learns from neighbours that come out equal.

    r = f · √(k / 6) · m^(-1/k)    k = dimensions of the point that are ranges
                                   m = trials with its categories and dimensions, pending ones included; r is from these

Where many trials are cheap and rough, one more beside the best of them teaches little. Where neighbours come out equal
to the last digit the space is flat, and repeats teach nothing: after a trial whose first evaluation equals that of the
nearest earlier one f grows by 1.3, up to 1.2; after any other it shrinks by 0.97, down to its first value.
"""

from __future__ import annotations

import math

import numpy as np

from hpo_pipeline.searcher.observations import Observations, Observed
from hpo_pipeline.space.unit_cube import Bools, Floats, UnitCube

LARGEST_FACTOR = 1.2
_SAME = 1e-6
"""Points nearer than this are one configuration, to the rounding of distances."""


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
        self._known: set[tuple[int, float]] = set()  # those of all

    def margins(self, points: Floats) -> Floats:
        """How much farther than r canonical points (m, dim) are from the trials with their categories.

        At least 0 is far enough; -inf is what was tried itself.
        """
        self._catch_up()
        cube, tried = self._observed.cube, self._observed.points
        alike, k = _alike(cube, points, tried)
        least = self.factor * np.sqrt(k / 6) * np.maximum(alike.sum(axis=1), 1) ** (-1 / np.maximum(k, 1))
        nearest = np.where(alike, cube.distances(points, tried), np.inf).min(axis=1, initial=np.inf)
        return np.where(nearest < _SAME, -np.inf, nearest - least)

    def _catch_up(self) -> None:
        for heard in self._observed.log[self._n_heard :]:
            if heard.row not in self._first:
                self._take_in(heard)
        self._n_heard = len(self._observed.log)

    def _take_in(self, heard: Observed) -> None:
        row, first = heard.row, (heard.resource, heard.score)
        if row > 0 and math.isfinite(heard.score):
            is_equal = first in self._known and self._first.get(self._nearest_earlier(row)) == first
            changed = 1.3 * self.factor if is_equal else max(self._least, 0.97 * self.factor)
            self.factor = min(changed, max(self._least, LARGEST_FACTOR))
        self._first[row] = first
        self._known.add(first)

    def _nearest_earlier(self, row: int) -> int:
        points = self._observed.points
        return int(np.argmin(self._observed.cube.distances(points[row : row + 1], points[:row])[0]))


def _alike(cube: UnitCube, a: Floats, b: Floats) -> tuple[Bools, Floats]:
    """Which of `b` have the same categories and dimensions as those of `a`; how many of a's are ranges."""
    active_a, active_b = cube.active(a), cube.active(b)
    alike = np.ones((len(a), len(b)), dtype=bool)
    for column in range(cube.dim):
        if cube.categorical[column]:
            alike &= a[:, column, None] == b[None, :, column]
        if not (active_a[:, column].all() and active_b[:, column].all()):
            alike &= active_a[:, column, None] == active_b[None, :, column]
    return alike, (active_a & ~cube.categorical).sum(axis=1).astype(float)
