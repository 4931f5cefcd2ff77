"""Random search: every configuration is drawn independently (Bergstra & Bengio 2012)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hpo_pipeline.searcher import Searcher
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

    def suggest(self, trial_id: int, first_rung: int = 0) -> Config:
        rng = generator(self._seed, "suggest", trial_id)
        draw = self._source(first_rung, rng)
        return self._seen.first_unseen(iter(lambda: draw(rng), None))

    def _source(self, first_rung: int, rng: np.random.Generator) -> Callable[[np.random.Generator], Config]:
        """What the trial's configurations are drawn by."""
        return self._space.sample

    def on_submitted(self, job: Job) -> None:
        self._seen.add(job.trial.config)
