"""Hill climbing: new configurations are small steps from the best one so far."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np

from hpo_pipeline.checks import integer_problems, is_positive, value_problems
from hpo_pipeline.errors import ConfigError
from hpo_pipeline.evaluation import Evaluation, Status
from hpo_pipeline.searcher import Searcher, Suggestion
from hpo_pipeline.searcher.seen import Seen
from hpo_pipeline.seeding import generator
from hpo_pipeline.space import SearchSpace
from hpo_pipeline.trial import Config, Job, Trial


class HillClimb(Searcher):
    """The best is that with the best score among the trials that came furthest.

    Args:
        space, seed: the study's; it hands them over.
        step: the standard deviation of a step, in units of a hyperparameter's whole range, on its scale.
        n_startup: so many trials are uniform first.
    """

    def __init__(self, space: SearchSpace, seed: int, step: float = 0.1, n_startup: int = 5) -> None:
        if found := [
            *value_problems("a positive number", is_positive, step=step),
            *integer_problems(n_startup=n_startup),
        ]:
            raise ConfigError(found)
        self._space, self._seed, self._step, self._n_startup = space, seed, step, n_startup
        self._seen = Seen(space)
        self._best: Trial | None = None
        self._reached = (0, math.inf)  # minus its resource, its score: less is better

    def suggest(self, trial_id: int, first_rung: int = 0) -> Suggestion:
        rng = generator(self._seed, "hill_climb", trial_id)  # the same for a resumed study
        best = None if trial_id < self._n_startup else self._best
        draws = self._steps(best.config, rng) if best else iter(lambda: self._space.sample(rng), None)
        return Suggestion(self._seen.first_unseen(draws), f"a step from trial {best.id}" if best else "uniform")

    def on_submitted(self, job: Job) -> None:
        self._seen.add(job.trial.config)  # whatever it comes from: no configuration is tried twice

    def on_evaluation(self, evaluation: Evaluation) -> None:
        reached = (-evaluation.resource, evaluation.score)
        if evaluation.status is Status.OK and reached < self._reached:
            self._best, self._reached = evaluation.trial, reached

    def _steps(self, config: Config, rng: np.random.Generator) -> Iterator[Config]:
        """Configurations around one, further and further away."""
        centre = self._space.to_unit(config)
        for n in itertools.count():
            scale = self._step * (1 + n / 100)
            stepped = self._space.from_unit(np.clip(centre + scale * rng.normal(size=len(centre)), 0, 1))
            if self._space.allows(stepped):
                yield stepped
