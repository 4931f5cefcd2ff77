"""CMA-ES, covariance matrix adaptation (Hansen 2016, "The CMA Evolution Strategy: A Tutorial"), by the package cmaes.

New trials are drawn from a normal distribution in the unit cube, reflected at its bounds. Whenever as many trials as a
generation has were evaluated, in the order in which that was heard, the distribution moves to the better half of them.
So a worker never waits: while a generation is at work it gets a further draw, which counts as well.

The distribution begins in the middle of the cube, or at the best of an earlier study, with a standard deviation of
`sigma`. A trial's result is its first rung evaluation, by its rank among all at that resource up to then, as brackets
begin at different ones. What has no finite score is worst.

Values in steps, categories (in the order in which they are listed) and conditions: what the distribution is told of a
trial is not the middle of a cell of the unit cube, or 0.5 of what doesn't exist there, but a point that could have been
drawn and means the same configuration. And each such coordinate is moved to another value with probability 1 / (d · λ),
the margin of Hamano et al. 2022 ("CMA-ES with Margin"), so that none is given up for good.
"""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

import numpy as np
from sortedcontainers import SortedList

from hpo_pipeline.checks import integer_problems, is_number, value_problems
from hpo_pipeline.errors import ConfigError, Problem
from hpo_pipeline.searcher.evolution import moved, reflected
from hpo_pipeline.searcher.learning import LearningSearcher, Ranked
from hpo_pipeline.seeding import derived_seed
from hpo_pipeline.space import SearchSpace
from hpo_pipeline.space.unit_cube import Floats

if TYPE_CHECKING:
    from cmaes import CMA

_DRAWS = 16
"""Of which the first that is allowed, and is new, becomes a trial."""


class CMAES(LearningSearcher):
    """CMA-ES, without waiting for the last of a generation.

    Args:
        population: λ, trials of a generation; None: 4 + floor(3 ln d) for d dimensions.
        sigma: standard deviation at the beginning, where a scale has length 1.
    """

    def __init__(self, space: SearchSpace, seed: int, population: int | None = None, sigma: float = 0.15) -> None:
        problems = [] if population is None else integer_problems(least=4, population=population)
        problems += value_problems(
            "a number above 0 and at most 1", lambda x: is_number(x, 0, 1) and x > 0, sigma=sigma
        )
        if importlib.util.find_spec("cmaes") is None:
            what = "CMA-ES needs the package cmaes, which is not installed; pip install 'hpo_pipeline[cmaes]'"
            problems.append(Problem("_target_", what))
        if problems:
            raise ConfigError(problems)
        super().__init__(space, seed, n_startup=1, uniform=0.0)
        self._population: int = population or 4 + int(3 * np.log(max(self.cube.dim, 1)))
        self._sigma = sigma
        self._optimizer: CMA | None = None
        self._told = 0
        self._scores: dict[int, SortedList[float]] = {}  # by resource, of the log up to the last generation
        self._n_ranked = 0  # of the log

    def _ranked(self, rng: np.random.Generator, first_rung: int) -> Ranked:
        optimizer = self._up_to_date()
        optimizer.reseed_rng(int(rng.integers(2**32)))
        points = reflected(np.array([optimizer.ask() for _ in range(_DRAWS)]))
        leaps = rng.random(points.shape) < 1 / (self.cube.dim * self._population)
        for i, column in zip(*np.nonzero(leaps), strict=True):
            if self.cube.cells[column] is not None:
                points[i, column] = moved(self.cube, column, points[i, column], rng)
        return Ranked(self.cube.canonical(points), f"cmaes, generation {optimizer.generation}")

    def _up_to_date(self) -> CMA:
        """The distribution after all generations that are complete; it follows from the results in their order."""
        from cmaes import CMA

        results = list(self.observed.first_heard)
        earlier = [i for i, row in enumerate(results) if isinstance(self.observed.ids[row], str)]
        if self._optimizer is None or (earlier and self._told <= earlier[-1]):
            best = self.observed.points[results[earlier[-1]]] if earlier else np.full(self.cube.dim, 0.5)
            self._optimizer = CMA(best.copy(), self._sigma, population_size=self._population)
            self._told = earlier[-1] + 1 if earlier else 0
        while len(results) >= self._told + self._population:
            generation = results[self._told : self._told + self._population]
            points = [self._as_drawn(self._optimizer, row) for row in generation]
            self._optimizer.tell(list(zip(points, self._ranks(generation), strict=True)))
            self._told += self._population
        return self._optimizer

    def _ranks(self, rows: list[int]) -> list[float]:
        """Of each trial, the share of better scores among those that were heard at its resource with them or before.

        Asked of a generation after those before it.
        """
        ends = [self.observed.first_heard[row] for row in rows]
        log = self.observed.log
        for heard in log[self._n_ranked : ends[-1]]:
            self._scores.setdefault(heard.resource, SortedList()).add(heard.score)
        self._n_ranked = ends[-1]
        own = [log[end - 1] for end in ends]
        return [(at := self._scores[first.resource]).bisect_left(first.score) / len(at) for first in own]

    def _as_drawn(self, optimizer: CMA, row: int) -> Floats:
        """A point (dim,) that means the configuration in `row`, as near to a draw of the distribution as it allows."""
        optimizer.reseed_rng(derived_seed(self._seed, "told", self.observed.ids[row]) % 2**32)
        low, high = self.cube.cell(self.observed.points[row])
        drawn: Floats = np.clip(reflected(optimizer.ask()), low, high)
        return drawn
