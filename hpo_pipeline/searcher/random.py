"""Random search: every configuration is drawn independently (Bergstra & Bengio 2012)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hpo_pipeline.searcher import Searcher, Suggestion
from hpo_pipeline.searcher.seen import Seen
from hpo_pipeline.seeding import generator
from hpo_pipeline.space import SearchSpace
from hpo_pipeline.trial import Config, Job


class RandomSearch(Searcher):
    """Draws trial i's configuration from the generator of (seed, i), again until it is a new one.

    Once a finite space is exhausted, configurations are repeated.
    """

    def __init__(self, space: SearchSpace, seed: int) -> None:
        self._space = space
        self._seed = seed
        self._seen = Seen(space)

    def suggest(self, trial_id: int, first_rung: int = 0) -> Suggestion:
        rng = generator(self._seed, "suggest", trial_id)
        draw, origin = self._source(first_rung, rng)
        return Suggestion(self._seen.first_unseen(iter(lambda: draw(rng), None)), origin)

    def _source(self, first_rung: int, rng: np.random.Generator) -> tuple[Callable[[np.random.Generator], Config], str]:
        """What the trial's configurations are drawn by, and what that is called."""
        return self._space.sample, "uniform"

    def on_submitted(self, job: Job) -> None:
        self._seen.add(job.trial.config)
