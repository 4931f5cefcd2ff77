"""Thompson sampling by one extremely randomised tree, at a distance from what was tried.

The model is a single extra-tree (extra_tree.py) on the ranks of all trials. One random tree is one draw of what the
objective may look like, so the candidate in its lowest leaf is a Thompson sample (Thompson 1933): wide cells where
little is known, narrow ones where much is. Ranks assume little of how resources relate to each other: see
`Observations.order`.

    n = trials in the order    y_j = Φ⁻¹((j + 1/2) / n) of the one on place j; bad ones share their mean
    r = f · sqrt(k / 6) · m^(-1/k)    the least distance of a new trial from others, pending ones included
        k = its dimensions that are ranges    m = how many trials share its categories    f = distance

A space where neighbours come out equal to the last digit is flat there, and repeats teach nothing: where the first
evaluation of a trial equals that of the nearest earlier one, f grows by 1.3 up to 1.2, else it shrinks by 0.97 towards
`distance`. Where no candidate is that far away, only those are left out that had a trial.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from hpo_pipeline.checks import is_number, value_problems
from hpo_pipeline.errors import ConfigError
from hpo_pipeline.evaluation import Evaluation
from hpo_pipeline.searcher.extra_tree import lowest_leaves
from hpo_pipeline.searcher.learning import LearningSearcher, Ranked
from hpo_pipeline.searcher.observations import Observed
from hpo_pipeline.space import SearchSpace
from hpo_pipeline.space.unit_cube import Bools, Floats, UnitCube

N_UNIFORM, N_NEAR, N_PARENTS = 300, 100, 5
"""Candidates: uniform ones, and changes of so many of the best trials."""
STEP = 0.1
"""The middle size of a change, in the unit cube."""
LARGEST_FACTOR = 1.2
ENOUGH = 3
"""So many points are handed on, in case that two points mean the same configuration."""
_SAME = 1e-6
"""Points nearer than this are one configuration, to the rounding of distances."""


class TreeSearch(LearningSearcher):
    """One-tree Thompson sampling.

    Args:
        distance: f at first, and at least; 0 for no rule of distance.
        n_startup, uniform: see LearningSearcher.
    """

    def __init__(
        self, space: SearchSpace, seed: int, distance: float = 0.25, n_startup: int = 10, uniform: float = 0.25
    ) -> None:
        if problems := _problems(distance):
            raise ConfigError(problems)
        super().__init__(space, seed, n_startup=n_startup, uniform=uniform)
        self._least_factor = self._factor = distance
        self._first: dict[int, tuple[int, float]] = {}  # row -> (resource, score) of its first evaluation

    def _ranked(self, rng: np.random.Generator, first_rung: int) -> Ranked | None:
        rows, n_bad = self.observed.order()
        points = self.observed.points[rows]
        targets = rank_targets(len(rows), n_bad)
        parents = points[: max(1, min(N_PARENTS, len(rows) - n_bad))]
        candidates = np.vstack([self.cube.uniform(rng, N_UNIFORM), nearby(self.cube, parents, N_NEAR, rng)])
        leaves = lowest_leaves(self.cube.features(points), targets, self.cube.features(candidates), rng)
        best = self._first_far(candidates[rng.permutation(inside)] for inside, _ in leaves)
        return Ranked(best, [f"tree{self.near(point)}" for point in best]) if len(best) else None

    def _first_far(self, leaves: Iterable[Floats]) -> Floats:
        """The first points far from what was tried, of an iterable of some at a time; new ones if there are none."""
        far: list[Floats] = []
        new: list[Floats] = []
        for points in leaves:
            margins = margin(self.cube, points, self.observed.points, self._factor)
            far += list(points[margins >= 0])
            new += list(points[margins > -math.inf])
            if len(far) >= ENOUGH:
                break
        return np.array((far or new)[:ENOUGH])

    def on_evaluation(self, evaluation: Evaluation) -> None:
        n_before = len(self.observed.log)
        super().on_evaluation(evaluation)
        if len(self.observed.log) > n_before:
            self._widen(self.observed.log[n_before])

    def _widen(self, heard: Observed) -> None:
        """Minds whether a trial's first evaluation equals that of the nearest earlier one."""
        row = heard.row
        if row in self._first:
            return
        self._first[row] = heard.resource, heard.score
        if row == 0 or not math.isfinite(heard.score):
            return
        points = self.observed.points
        nearest = int(np.argmin(self.cube.distances(points[row : row + 1], points[:row])[0]))
        is_equal = self._first.get(nearest) == self._first[row]
        grown = max(self._least_factor, 0.97 * self._factor) if not is_equal else 1.3 * self._factor
        self._factor = min(grown, max(self._least_factor, LARGEST_FACTOR))


def rank_targets(n: int, n_bad: int) -> Floats:
    """(n,) normal quantiles of the places 0 to n - 1, best first; the `n_bad` last ones share their mean."""
    from scipy.special import ndtri

    targets: Floats = ndtri((np.arange(n) + 0.5) / n)
    if n_bad:
        targets[-n_bad:] = targets[-n_bad:].mean()
    return targets


def nearby(cube: UnitCube, parents: Floats, m: int, rng: np.random.Generator) -> Floats:
    """Canonical points (m, dim), each a change of one of `parents` (p, dim); with constraints, allowed ones alone.

    A coordinate is changed with probability 0.3, or 2 / dim if that is more: by a normal whose size is log-normal
    around 0.1, or the width of a value's cell if that is more, reflected at the borders; a category becomes any one. A
    dimension that the parent doesn't have is uniform.
    """
    parent = parents[rng.integers(len(parents), size=m)]
    sizes = np.array([STEP if cells is None else max(STEP, 1 / len(cells.centres)) for cells in cube.cells])
    steps = sizes * np.exp(0.7 * rng.standard_normal(parent.shape)) * rng.standard_normal(parent.shape)
    moved = np.abs((parent + steps + 1.0) % 2.0 - 1.0)  # reflected at 0 and at 1
    drawn = rng.random(parent.shape)
    changed = rng.random(parent.shape) < max(0.3, 2 / cube.dim)
    points = np.where(changed, np.where(cube.categorical, drawn, moved), parent)
    points = cube.canonical(np.where(cube.active(parent), points, drawn))
    return points if not cube.space.constraints else points[[cube.allows(point) for point in points]]


def margin(cube: UnitCube, candidates: Floats, tried: Floats, factor: float) -> Floats:
    """(m,) how much farther than r the candidates (m, dim) are from those `tried` that share their categories.

    At least 0 is far enough; -inf is what was tried itself.
    """
    alike, k = _alike(cube, candidates, tried)
    least = factor * np.sqrt(k / 6) * np.maximum(alike.sum(axis=1), 1) ** (-1 / np.maximum(k, 1))
    nearest = np.where(alike, cube.distances(candidates, tried), np.inf).min(axis=1)
    return np.where(nearest < _SAME, -np.inf, nearest - least)


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


def _problems(distance: Any) -> list[Any]:
    return value_problems("a number from 0 to 2", lambda x: is_number(x, 0, 2), distance=distance)
