"""Thompson sampling by one extremely randomised tree, at a distance from what was tried.

The model is a single extra-tree (extra_tree.py) on the ranks of all trials. One random tree is one draw of what the
objective may look like, so the candidate in its lowest leaf is a Thompson sample (Thompson 1933): wide cells where
little is known, narrow ones where much is. Ranks assume little of how resources relate to each other:
`Observations.order` has them.

Half of the trees are of the trials alone that came to the highest resource with enough of them, more than the space has
dimensions. Where a first unit misleads, those know better; where it doesn't, they agree with the others.

    n = trials in the order    y_j = Φ⁻¹((j + 1/2) / n) of the one on place j; bad ones share their mean

New trials keep a least distance from others (distance.py); where no candidate is that far away, only those are left out
that had a trial.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from hpo_pipeline.checks import is_number, value_problems
from hpo_pipeline.errors import ConfigError
from hpo_pipeline.searcher.distance import Distance
from hpo_pipeline.searcher.extra_tree import lowest_leaves
from hpo_pipeline.searcher.learning import LearningSearcher, Ranked
from hpo_pipeline.searcher.local_search import perturbed
from hpo_pipeline.searcher.observations import Rows
from hpo_pipeline.searcher.targets import of_places, thinned
from hpo_pipeline.space import SearchSpace
from hpo_pipeline.space.unit_cube import Floats

N_UNIFORM, N_NEAR, N_PARENTS = 300, 100, 5
"""Candidates: uniform ones, and changes of so many of the best trials."""
STEP = 0.1
"""The middle size of a change, in the unit cube."""
MOST = 10_000
"""Trials that a tree is grown on: of more, the best half of so many, and as many others evenly from all times."""
ENOUGH = 3
"""So many points are handed on, in case that two points mean the same configuration."""


class TreeSearch(LearningSearcher):
    """One-tree Thompson sampling.

    Args:
        distance: the factor f of distance.py at first, and at least; 0: only what was tried is left out.
        high: the share of trees that are of the trials at the highest resource alone.
        n_startup, uniform: see LearningSearcher.
    """

    def __init__(
        self,
        space: SearchSpace,
        seed: int,
        distance: float = 0.25,
        high: float = 0.5,
        n_startup: int = 10,
        uniform: float = 0.25,
    ) -> None:
        if problems := _problems(distance, high):
            raise ConfigError(problems)
        super().__init__(space, seed, n_startup=n_startup, uniform=uniform)
        self._distance = Distance(self.observed, distance)
        self._high = high

    def _ranked(self, rng: np.random.Generator, first_rung: int) -> Ranked | None:
        resource = self.observed.highest(self.cube.dim + 1) if rng.random() < self._high else None
        rows, n_bad = _learned(*self.observed.order(resource))
        points = self.observed.points[rows]
        targets = of_places(len(rows), n_bad)
        parents = points[: max(1, min(N_PARENTS, len(rows) - n_bad))]
        candidates = np.vstack([self.cube.uniform(rng, N_UNIFORM), self._changed(parents, rng)])
        leaves = lowest_leaves(self.cube.features(points), targets, self.cube.features(candidates), rng)
        best = self._first_far(candidates[rng.permutation(inside)] for inside, _ in leaves)
        if not len(best):
            return None
        these = "" if resource in (None, self.observed.resources[0]) else f", by trials at {resource}"
        return Ranked(best, [f"tree{self.near(point)}{these}" for point in best])

    def _changed(self, parents: Floats, rng: np.random.Generator) -> Floats:
        """Points (m, dim) near some of `parents` (p, dim) that the constraints allow."""
        chosen = parents[rng.integers(len(parents), size=N_NEAR)]
        sizes = STEP * np.exp(0.7 * rng.standard_normal(chosen.shape))
        points = perturbed(self.cube, chosen, sizes, rng)
        return points if not self.cube.space.constraints else points[[self.cube.allows(point) for point in points]]

    def _first_far(self, leaves: Iterable[Floats]) -> Floats:
        """The first points far from what was tried, of an iterable of some at a time; new ones if there are none."""
        far: list[Floats] = []
        new: list[Floats] = []
        for points in leaves:
            margins = self._distance.margins(points)
            far += list(points[margins >= 0])
            new += list(points[margins > -math.inf])
            if len(far) >= ENOUGH:
                break
        return np.array((far or new)[:ENOUGH])


def _learned(order: Rows, n_bad: int) -> tuple[Rows, int]:
    """Those of an order, best first, that a tree is grown on; and how many of them, at the end, are bad."""
    if len(order) <= MOST:
        return order, n_bad
    n_best = MOST // 2
    by_age = n_best + np.argsort(order[n_best:])
    places = np.concatenate([np.arange(n_best), np.sort(by_age[thinned(len(by_age), MOST - n_best)])])
    return order[places], int(np.sum(places >= len(order) - n_bad))


def _problems(distance: Any, high: Any) -> list[Any]:
    problems = value_problems("a number from 0 to 2", lambda x: is_number(x, 0, 2), distance=distance)
    return problems + value_problems("a number from 0 to 1", lambda x: is_number(x, 0, 1), high=high)
