"""TPE, the tree-structured Parzen estimator (Bergstra et al. 2011, "Algorithms for Hyper-Parameter Optimization"),
multivariate (Falkner et al. 2018, "BOHB: Robust and Efficient Hyperparameter Optimization at Scale").

    l(x)    density of the good trials, the best share gamma    g(x)    density of the others
    proposed: of n_candidates draws from l, the one with the largest l(x) / g(x)

Modelled are the evaluations at the highest resource that has enough of them: more than the space has dimensions. So
with Hyperband this is BOHB, and with ASHA its asynchronous form. Trials that are at work there or elsewhere, and those
that failed, are among the others: so workers keep away from each other, and from what doesn't run.

A good trial weighs in l the more the better its rank, linearly (Watanabe 2023, "Tree-Structured Parzen Estimator",
weighs by improvement, which depends on the scale of scores). Bandwidths, in the unit interval, n points, d dimensions:

    of l     1.06 s n^(-1/(d+4)) (Scott 1992), s² = (Σ(u - mean u)² + 1/12) / (n + 1): the points' variance, together
             with one observation of the uniform distribution's
    of g     0.2 n^(-1/(d+4)), as in Optuna
    of C categories, both: C / (n + C): each of them is counted as if it had been seen once more
"""

from __future__ import annotations

import math
from array import array
from typing import Any

import numpy as np

from hpo_pipeline.checks import integer_problems, is_number, value_problems
from hpo_pipeline.errors import ConfigError, Problem
from hpo_pipeline.searcher.learning import LearningSearcher, Ranked
from hpo_pipeline.searcher.observations import Rows
from hpo_pipeline.searcher.parzen import ParzenEstimator
from hpo_pipeline.searcher.targets import thinned
from hpo_pipeline.space import SearchSpace
from hpo_pipeline.space.unit_cube import Floats

UNIFORM = 0.25
"""The share of uniform trials with several resources."""
NARROWEST = 0.03
"""The least bandwidth of l (Watanabe 2023)."""
GROWTH = 1.2
"""The bandwidths of g are those of the last of 1, 1.2, 1.44, ... points: its kernels stay as they are in between."""
MOST = 10_000
"""Evaluations that are modelled: of more, the best of all (the share gamma of so many), others of all times."""
ROUNDS = 10
"""How often candidates are drawn where constraints forbid some of them."""


class TPE(LearningSearcher):
    """Proposes where good trials are dense, compared with the others.

    Args:
        gamma: share of the trials that are good.
        n_candidates: draws from the density of the good ones; more of them are greedier.
        n_startup: so many trials have an evaluation before the model is used.
        uniform: the share of uniform trials after that. None: 0 while all evaluations are at one resource, else 0.25,
            because what is best at a low one needn't be in the end.
    """

    def __init__(
        self,
        space: SearchSpace,
        seed: int,
        gamma: float = 0.15,
        n_candidates: int = 24,
        n_startup: int = 10,
        uniform: float | None = None,
    ) -> None:
        problems = _problems(gamma, n_candidates)
        try:
            super().__init__(space, seed, n_startup=n_startup, uniform=0.0 if uniform is None else uniform)
        except ConfigError as error:
            problems = [*problems, *error.problems]
        if problems:
            raise ConfigError(problems)
        self._share_follows = uniform is None
        self._gamma = gamma
        self._n_candidates = n_candidates
        cells = zip(self.cube.cells, self.cube.categorical, strict=True)
        self._n_categories = np.array([len(c.centres) if c and flat else 0 for c, flat in cells])  # 0 for numbers
        self._others: ParzenEstimator | None = None
        self._n_read = 0  # of the log
        self._levels: dict[int, tuple[array[int], array[float]]] = {}  # resource -> rows, scores

    def _ranked(self, rng: np.random.Generator, first_rung: int) -> Ranked | None:
        if self._share_follows and len(self.observed.resources) > 1 and rng.random() < UNIFORM:
            return None
        rows, scores = self._modelled()
        n_good = min(math.ceil(self._gamma * len(rows)), int(np.isfinite(scores).sum()))
        if n_good == 0:
            return None
        good = rows[np.argsort(scores, kind="stable")[:n_good]]
        density = ParzenEstimator(self.cube, self._good_bandwidths(good))
        density.add(self.observed.points[good])
        weights = np.arange(n_good, 0, -1) * 2 / (n_good + 1)  # their sum is n_good
        candidates, around = self._candidates(rng, density, weights)
        if not len(candidates):
            return None
        ratio = density.log_density(candidates, weights) - self._log_others(candidates, rows, good)
        best = np.argsort(-ratio, kind="stable")
        ids = [self.observed.ids[row] for row in good]
        origin = [f"tpe, around trial {ids[i]}" if i < n_good else "tpe, uniform part" for i in around[best]]
        return Ranked(candidates[best], origin)

    def _modelled(self) -> tuple[Rows, Floats]:
        """The trials, by row, and their scores at the highest resource that has enough of them; else none.

        One at least is finite there; and +inf are those of trials that have failed since.
        """
        for observed in self.observed.log[self._n_read :]:
            rows, scores = self._levels.setdefault(observed.resource, (array("q"), array("d")))
            rows.append(observed.row)
            scores.append(observed.score)
        self._n_read = len(self.observed.log)
        for resource in reversed(self.observed.resources):
            rows, scores = self._levels[resource]
            if len(rows) > self.cube.dim and (reached := np.array(scores)).min() < np.inf:
                found = np.array(rows, dtype=np.intp)
                reached[self.observed.failed[found]] = np.inf
                if len(found) > MOST:
                    best = np.argsort(reached, kind="stable")
                    n_good = math.ceil(self._gamma * MOST)
                    others = np.sort(best[n_good:])
                    kept = np.sort(np.concatenate([best[:n_good], others[thinned(len(others), MOST - n_good)]]))
                    found, reached = found[kept], reached[kept]
                return found, reached
        return np.empty(0, dtype=np.intp), np.empty(0)

    def _good_bandwidths(self, good: Rows) -> Floats:
        points = self.observed.points[good]
        active = self.cube.active(points)
        n = active.sum(axis=0)
        mean = np.sum(points * active, axis=0) / np.maximum(n, 1)
        variance = (np.sum((points - mean) ** 2 * active, axis=0) + 1 / 12) / (n + 1)
        scott = 1.06 * np.sqrt(variance) * np.maximum(n, 1) ** (-1 / (self.cube.dim + 4))
        return self._with_categories(np.maximum(scott, NARROWEST), n)

    def _with_categories(self, bandwidths: Floats, n: Any) -> Floats:
        """`bandwidths` of numbers, with those of categories in their place, for `n` points."""
        sizes = self._n_categories
        return np.where(sizes > 0, sizes / (n + np.maximum(sizes, 1)), bandwidths)

    def _candidates(self, rng: np.random.Generator, density: ParzenEstimator, weights: Floats) -> tuple[Floats, Rows]:
        """Allowed draws from the density of the good trials, and the kernels that they are of."""
        if not self._space.constraints:
            return density.sample(rng, self._n_candidates, weights)
        points, around = zip(*(density.sample(rng, self._n_candidates, weights) for _ in range(ROUNDS)), strict=True)
        drawn = np.concatenate(points)
        allowed = [i for i, point in enumerate(drawn) if self.cube.allows(point)][: self._n_candidates]
        return drawn[allowed], np.concatenate(around)[allowed]

    def _log_others(self, at: Floats, rows: Rows, good: Rows) -> Floats:
        """log g of the candidates; its kernels stand around every trial, those of the others alone have a weight."""
        observed = self.observed
        weights = np.zeros(observed.n_trials)
        weights[rows] = 1.0
        weights[observed.failed] = 1.0
        weights[list(observed.pending)] = 1.0
        weights[good] = 0.0
        n = GROWTH ** math.floor(math.log(max(weights.sum(), 1.0), GROWTH))
        numbers = np.full(self.cube.dim, 0.2 * n ** (-1 / (self.cube.dim + 4)))
        bandwidths = self._with_categories(numbers, n)
        if observed.n_trials > 2 * MOST:  # around those alone that have a weight, anew each time
            others = np.flatnonzero(weights)
            density = ParzenEstimator(self.cube, bandwidths)
            density.add(observed.points[others])
            return density.log_density(at, weights[others])
        if self._others is None or not np.array_equal(self._others.bandwidths, bandwidths):
            self._others = ParzenEstimator(self.cube, bandwidths)
        self._others.add(observed.points[len(self._others) :])
        return self._others.log_density(at, weights)


def _problems(gamma: Any, n_candidates: Any) -> list[Problem]:
    is_share = value_problems("a number above 0, at most 1", lambda x: is_number(x) and 0 < x <= 1, gamma=gamma)
    return is_share + integer_problems(n_candidates=n_candidates)
