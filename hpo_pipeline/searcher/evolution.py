"""Regularized evolution (Real et al. 2019, "Regularized Evolution for Image Classifier Architecture Search").

The population is the `population` trials that were evaluated last: the oldest one dies with each that comes, however
good it is. Of `sample` of them, drawn at random, the best is the parent; its child differs in one hyperparameter.

Trials are compared by the order in `Observations.order`: at the highest resource that both have reached. The paper's
hyperparameters are choices, and another is drawn; a number moves by a normal step (`STEP` of its scale, times
exp(0.7 · N(0, 1)), so that some are long and some are short), reflected at the bounds.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hpo_pipeline.checks import integer_problems
from hpo_pipeline.errors import ConfigError, Problem
from hpo_pipeline.searcher.learning import LearningSearcher, Ranked
from hpo_pipeline.space import SearchSpace
from hpo_pipeline.space.unit_cube import Floats, UnitCube

STEP = 0.1
_CHILDREN = 32
"""Of one parent, of which the first that is allowed, and is new, becomes a trial."""


class RegularizedEvolution(LearningSearcher):
    """Ageing evolution with tournaments, asynchronous.

    Args:
        population: how many of the latest evaluated trials may have children.
        sample: how many of them are drawn for a tournament.
        n_startup: so many trials are uniform first.
    """

    def __init__(
        self, space: SearchSpace, seed: int, population: int = 20, sample: int = 10, n_startup: int = 10
    ) -> None:
        if problems := _problems(population, sample):
            raise ConfigError(problems)
        super().__init__(space, seed, n_startup=n_startup, uniform=0.0)
        self._population = population
        self._sample = sample

    def _ranked(self, rng: np.random.Generator, first_rung: int) -> Ranked | None:
        alive = list(self.observed.first_heard)[-self._population :]
        drawn = rng.choice(alive, size=min(self._sample, len(alive)), replace=False)
        order, n_bad = self.observed.order()
        rank = {row: i for i, row in enumerate(order.tolist())}
        parent = min(drawn.tolist(), key=rank.__getitem__)
        if rank[parent] >= len(order) - n_bad:  # they have all failed
            return None
        children = mutated(self.cube, self.observed.points[parent], rng, _CHILDREN)
        return Ranked(children, f"evolution, child of trial {self.observed.ids[parent]}")


def _problems(population: Any, sample: Any) -> list[Problem]:
    problems = integer_problems(population=population, sample=sample)
    if not problems and sample > population:
        problems.append(Problem("sample", f"must be at most the population ({population})", sample))
    return problems


def mutated(cube: UnitCube, parent: Floats, rng: np.random.Generator, m: int) -> Floats:
    """`m` children (m, dim), canonical, of the canonical point `parent` (dim,): one existing dimension of each changes.

    What doesn't exist in the parent, and does in the child, is uniform.
    """
    exists = np.flatnonzero(cube.active(parent[None, :])[0])
    if not len(exists):
        return np.empty((0, cube.dim))
    children = cube.drawn_where_inactive(np.repeat(parent[None, :], m, axis=0), rng)
    for child, column in zip(children, rng.choice(exists, size=m), strict=True):
        child[column] = moved(cube, column, child[column], rng)
    return cube.canonical(children)


def moved(cube: UnitCube, column: int, u: float, rng: np.random.Generator) -> float:
    """Another value of one hyperparameter."""
    step = STEP * np.exp(0.7 * rng.standard_normal()) * rng.standard_normal()
    cells = cube.cells[column]
    if cells is None:
        return float(reflected(np.array(u + step)))
    n, own = len(cells.centres), int(cells.index(np.array(u)))
    if n == 1:
        return u
    if cube.categorical[column]:
        return float(cells.centres[(own + rng.integers(1, n)) % n])
    found = int(cells.index(reflected(np.array(u + step))))
    if found == own:  # the neighbour on that side, if there is one
        found = own + (1 if step > 0 else -1)
        found = own - (found - own) if not 0 <= found < n else found
    return float(cells.centres[found])


def reflected(u: Floats) -> Floats:
    """Within [0, 1]: what lies beyond a bound comes back from it."""
    u = np.abs(u) % 2.0
    return np.where(u > 1.0, 2.0 - u, u)
