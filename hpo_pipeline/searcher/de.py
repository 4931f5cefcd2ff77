"""Differential evolution (Storn & Price 1997), with a population at each resource.

With Hyperband it is DEHB (Awad et al. 2021, "DEHB: Evolutionary Hyperband for Scalable, Robust and Efficient
Hyperparameter Optimization").

    rand/1    v = x_a + F · (x_b - x_c), of three different parents; a coordinate outside [0, 1] is drawn anew
    bin       u_j = v_j with probability p, and for one j always; else that of the target
    selection the child takes its target's place in the population if its score is no worse

    F = mutation    p = crossover    x_a, x_b, x_c = parents    u = the new trial, a point of the unit cube

The trials that begin at a resource have the places of its population in turn. The first ones are uniform, from then on
each is the child of the one that has its place. A trial that comes up from a rung below takes a free place, or that of
the worst if it is better. Parents are the members of the resource that the child begins at and, as long as they are
fewer than the population, the best of the resource below as well, and so on down.

The paper's populations change in generations; here each evaluation counts at once, as in its authors' asynchronous
form, so that no worker waits. There, higher rungs are filled with children as well; here trials are promoted to them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from hpo_pipeline.checks import integer_problems, is_number, value_problems
from hpo_pipeline.errors import ConfigError
from hpo_pipeline.evaluation import Evaluation, Status
from hpo_pipeline.searcher.learning import LearningSearcher, Ranked
from hpo_pipeline.space import SearchSpace
from hpo_pipeline.space.unit_cube import Floats
from hpo_pipeline.trial import Job

_CHILDREN = 32
"""Of one target, of which the first that is allowed, and is new, becomes a trial."""


@dataclass(slots=True)
class Population:
    """Up to `size` members, each in a place: place -> (score, row)."""

    size: int
    members: dict[int, tuple[float, int]] = field(default_factory=dict)
    began: int = 0

    @property
    def turn(self) -> int:
        """The place of the next trial that begins here."""
        return self.began % self.size

    def take(self, score: float, row: int, place: int | None) -> None:
        """Takes in a trial, on its way up where it has no place of its own."""
        if place is None:
            free = [i for i in range(self.size) if i not in self.members]
            place = free[0] if free else max(self.members, key=lambda i: self.members[i])
        if place not in self.members or score <= self.members[place][0]:
            self.members[place] = score, row

    def ranked(self) -> list[int]:
        """The members' rows, best first."""
        return [row for _, row in sorted(self.members.values())]


class DifferentialEvolution(LearningSearcher):
    """rand/1/bin on the points of the unit cube, asynchronous.

    Args:
        population: members at each resource, and trials before the first child.
        mutation: F, the weight of the difference of two parents.
        crossover: p, how likely a coordinate comes from the parents and not from the target.
    """

    def __init__(
        self, space: SearchSpace, seed: int, population: int = 10, mutation: float = 0.5, crossover: float = 0.5
    ) -> None:
        if problems := [
            *integer_problems(least=4, population=population),
            *value_problems(
                "a number above 0 and at most 2", lambda x: is_number(x, 0, 2) and x > 0, mutation=mutation
            ),
            *value_problems("a number from 0 to 1", lambda x: is_number(x, 0, 1), crossover=crossover),
        ]:
            raise ConfigError(problems)
        super().__init__(space, seed, n_startup=population, uniform=0.0)
        self._size = population
        self._mutation = mutation
        self._crossover = crossover
        self._levels: dict[int, Population] = {}  # by resource
        self._places: dict[int | str, tuple[int, int]] = {}
        """Trial id -> the resource that it began at, and its place there."""

    def _level(self, resource: int) -> Population:
        return self._levels.setdefault(resource, Population(self._size))

    def on_submitted(self, job: Job) -> None:
        super().on_submitted(job)
        begins_at = job.milestones[0] if job.milestones else job.resource
        level = self._level(begins_at)
        if job.trial.id not in self._places:
            self._places[job.trial.id] = begins_at, level.turn
            level.began += 1

    def on_evaluation(self, evaluation: Evaluation) -> None:
        before = len(self.observed.log)
        super().on_evaluation(evaluation)
        for heard in self.observed.log[before:]:
            if heard.status is Status.OK:
                began_at, place = self._places.get(self.observed.ids[heard.row], (0, 0))
                self._level(heard.resource).take(heard.score, heard.row, place if began_at == heard.resource else None)

    def _ranked(self, rng: np.random.Generator, first_rung: int) -> Ranked | None:
        resources = sorted(self._levels)
        level = self._levels[resources[first_rung]] if first_rung < len(resources) else Population(self._size)
        parents = level.ranked()
        for resource in reversed(resources[:first_rung]):
            below = [row for row in self._levels[resource].ranked() if row not in parents]
            parents += below[: self._size - len(parents)]
        if len(parents) < 4:  # three, and a target that is none of them
            return None
        target = level.members[level.turn][1] if level.turn in level.members else parents[level.turn % len(parents)]
        mates = self.observed.points[[row for row in parents if row != target]]
        points = self.cube.drawn_where_inactive(np.vstack([self.observed.points[target], mates]), rng)
        children = trial_vectors(rng, points[0], points[1:], _CHILDREN, self._mutation, self._crossover)
        return Ranked(self.cube.canonical(children), f"de, child of trial {self.observed.ids[target]}")


def trial_vectors(
    rng: np.random.Generator, target: Floats, parents: Floats, m: int, mutation: float, crossover: float
) -> Floats:
    """rand/1/bin: `m` children (m, dim) of `target` (dim,) and of three `parents` (n, dim) each, n at least 3."""
    dim = len(target)
    a, b, c = (parents[picked] for picked in np.argsort(rng.random((m, len(parents))), axis=1)[:, :3].T)
    mutants = a + mutation * (b - c)
    mutants = np.where((mutants < 0) | (mutants > 1), rng.random((m, dim)), mutants)
    crossed = rng.random((m, dim)) < crossover
    crossed[np.arange(m), rng.integers(dim, size=m)] = True
    return np.where(crossed, mutants, target)
