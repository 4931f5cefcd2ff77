"""What searchers that learn have in common: they hear of everything, begin uniformly, and repeat nothing."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from hpo_pipeline.checks import integer_problems, is_number, value_problems
from hpo_pipeline.errors import ConfigError, Problem
from hpo_pipeline.evaluation import Evaluation
from hpo_pipeline.searcher import Searcher, Suggestion
from hpo_pipeline.searcher.earlier import ENOUGH, MOST_IN_ALL, MOST_TRIALS, EarlierStudy, Standings, portfolio
from hpo_pipeline.searcher.observations import Observations
from hpo_pipeline.searcher.one_core import one_core
from hpo_pipeline.searcher.seen import Seen
from hpo_pipeline.seeding import generator
from hpo_pipeline.space import SearchSpace
from hpo_pipeline.space.unit_cube import Floats, UnitCube
from hpo_pipeline.trial import Job, StateChange


class Ranked(NamedTuple):
    """Candidates for a new trial.

    Attributes:
        points: (m, dim) of the unit cube, canonical, best first.
        origin: what they come from, for people: "tree"; or one for each point.
    """

    points: Floats
    origin: str | Sequence[str]


class LearningSearcher(Searcher):
    """Subclasses say which points are best (`_ranked`); whatever they need to know is in `self.observed`.

    The first of them that the constraints allow, and that no trial has had, is suggested. A trial is uniform where
    fewer than `n_startup` trials have an evaluation, with probability `uniform`, and where there is nothing better.
    Where there are earlier studies (`begin_with`), the configurations that were best in them come first.

    Args:
        n_startup: so many trials have an evaluation before the model is used.
        uniform: the share of uniform trials after that.
    """

    def __init__(self, space: SearchSpace, seed: int, *, n_startup: int = 10, uniform: float = 0.25) -> None:
        if problems := _problems(n_startup, uniform):
            raise ConfigError(problems)
        self.cube = UnitCube(space)
        self.observed = Observations(self.cube)
        self._space = space
        self._seed = seed
        self._seen = Seen(space)
        self._n_startup = n_startup
        self._uniform = uniform
        self._earlier: list[Standings] = []
        self._portfolio: list[Suggestion] = []

    def begin_with(self, studies: Sequence[EarlierStudy]) -> None:
        """Learns from earlier studies (earlier.py); they are told before all else."""
        most = min(MOST_TRIALS, max(1, MOST_IN_ALL // max(1, len(studies))))
        self._earlier = [Standings.of(study, self.cube, most) for study in studies]
        self._portfolio = [Suggestion(config, origin) for config, origin in portfolio(self._earlier)]

    @abstractmethod
    def _ranked(self, rng: np.random.Generator, first_rung: int) -> Ranked | None:
        """Candidates for a trial that begins on `first_rung`; None for a uniform one.

        What is answered follows from `rng` (the trial's own), `self.observed` and the arguments alone. So models are
        fitted here, not where results are heard: a resumed study hears of all of them, and fits nothing.
        """

    def suggest(self, trial_id: int, first_rung: int = 0) -> Suggestion:
        for first in self._portfolio:
            if first.config not in self._seen:
                return first
        rng = generator(self._seed, "suggest", trial_id)
        learned = self._space.dim > 0 and not self._seen.exhausted and self.observed.n_evaluated >= self._n_startup
        ranked = None
        if learned and rng.random() >= self._uniform:
            with one_core():
                ranked = self._ranked(rng, first_rung)
        if ranked is not None:
            for i, point in enumerate(ranked.points):
                config = self.cube.config(point)
                if config not in self._seen and self._space.allows(config):
                    origin = ranked.origin if isinstance(ranked.origin, str) else ranked.origin[i]
                    return Suggestion(config, origin)
        uniform = self._seen.first_unseen(iter(lambda: self._space.sample(rng), None))
        return Suggestion(uniform, "uniform")

    def near(self, point: Floats) -> str:
        """ ", near trial 12": the trial whose configuration is nearest to `point` of the unit cube."""
        distances = self.cube.distances(point[None, :], self.observed.points)[0]
        return f", near trial {self.observed.ids[int(np.argmin(distances))]}"

    def on_submitted(self, job: Job) -> None:
        self._seen.add(job.trial.config)
        self.observed.on_submitted(job)

    def on_evaluation(self, evaluation: Evaluation) -> None:
        self.observed.on_evaluation(evaluation)
        if self._earlier and self.observed.n_evaluated >= ENOUGH and evaluation.resource in self.observed.resources:
            self._take_in_earlier(evaluation.resource)

    def _take_in_earlier(self, resource: int) -> None:
        """Makes the earlier studies' trials data like others, the best ones last, once enough is known of this one."""
        rows, scores = self.observed.at(resource)
        known = np.isfinite(scores)
        if known.sum() < ENOUGH:
            return
        for earlier in self._earlier:
            mapped = earlier.scores(self.observed.points[rows[known]], scores[known])
            if mapped is None:
                continue
            for i in reversed(range(len(mapped))):
                name = f"{earlier.study.trials[i].id} of {earlier.study.name}"
                self.observed.add_earlier(name, earlier.points[i], resource, float(mapped[i]))
        self._earlier = []

    def on_state(self, change: StateChange) -> None:
        self.observed.on_state(change)


def _problems(n_startup: Any, uniform: Any) -> list[Problem]:
    is_share = value_problems("a number from 0 to 1", lambda x: is_number(x) and 0 <= x <= 1, uniform=uniform)
    return integer_problems(n_startup=n_startup) + is_share
