"""Sobol search: a scrambled Sobol sequence (Owen 1998) in the unit cube, which fills it more evenly than chance."""

from __future__ import annotations

from collections.abc import Iterator

from hpo_pipeline.searcher import Suggestion
from hpo_pipeline.searcher.random import RandomSearch
from hpo_pipeline.searcher.seen import PATIENCE
from hpo_pipeline.seeding import generator
from hpo_pipeline.space import SearchSpace
from hpo_pipeline.trial import Config, Job

BLOCK = 256
"""Points drawn at once; a power of 2, in which the sequence is balanced."""


class SobolSearch(RandomSearch):
    """Answers the first configuration of the sequence that hasn't been seen; where there is none, as random search."""

    def __init__(self, space: SearchSpace, seed: int) -> None:
        super().__init__(space, seed)
        self._n_trials = 0
        self._sequence = enumerate(self._configs())
        self._current: tuple[int, Config] | None = None

    def _configs(self) -> Iterator[Config]:
        from scipy.stats import qmc  # a slow import, for this searcher alone

        engine = qmc.Sobol(max(self._space.dim, 1), scramble=True, rng=generator(self._seed, "sobol"))
        while True:
            for point in engine.random(BLOCK):
                config = self._space.from_unit(point[: self._space.dim])
                if self._space.allows(config):
                    yield config

    def suggest(self, trial_id: int, first_rung: int = 0) -> Suggestion:
        # Both what is passed over (it has been seen for good) and how far is looked follow from what was seen alone.
        end = PATIENCE * (self._n_trials + 1)
        while not self._seen.exhausted:
            index, config = self._current = self._current or next(self._sequence)
            if index >= end:
                break
            if config not in self._seen:
                return Suggestion(config, f"Sobol point {index}")
            self._current = None
        return super().suggest(trial_id)

    def on_submitted(self, job: Job) -> None:
        super().on_submitted(job)
        self._n_trials = max(self._n_trials, job.trial.id + 1)
