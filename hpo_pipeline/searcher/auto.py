"""Chooses among searchers by what the study does with its trials.

    trials are trained in steps    one-tree Thompson sampling at a distance from earlier trials (trees.py): breadth
                                   pays while a first unit costs little, and ranks don't mind that resources differ
    each is trained at once        a Gaussian process (gp.py), every fourth proposal or so by Parzen estimators
                                   (tpe.py): evaluations are dear and comparable, so a model of values pays; the other
                                   one goes on where the first one's assumptions don't hold

Every searcher hears everything. Which of them proposes a trial follows from (seed, trial id) and from whether there has
been a job that ends below `max_resource`, or that may be stopped on its way.
"""

from __future__ import annotations

from collections.abc import Sequence

from hpo_pipeline.checks import integer_problems
from hpo_pipeline.errors import ConfigError
from hpo_pipeline.evaluation import Evaluation
from hpo_pipeline.searcher import Searcher, Suggestion
from hpo_pipeline.searcher.earlier import EarlierStudy
from hpo_pipeline.searcher.gp import GPSearch
from hpo_pipeline.searcher.learning import LearningSearcher
from hpo_pipeline.searcher.tpe import TPE
from hpo_pipeline.searcher.trees import TreeSearch
from hpo_pipeline.seeding import generator
from hpo_pipeline.space import SearchSpace
from hpo_pipeline.trial import Job, StateChange

GP_SHARE = 0.75
"""Of the proposals where each trial is trained at once."""
GP_UNIFORM = 0.05
"""The share of uniform trials among those."""


class AutoSearch(Searcher):
    """Trees, or a Gaussian process and TPE, as suits the study.

    Args:
        max_resource: what a trial can be trained to.
        n_startup: so many trials have an evaluation before a model is used.
    """

    def __init__(self, space: SearchSpace, seed: int, max_resource: int, n_startup: int = 10) -> None:
        if problems := integer_problems(max_resource=max_resource, n_startup=n_startup):
            raise ConfigError(problems)
        self._seed = seed
        self._max_resource = max_resource
        self._in_steps = False
        self._trees = TreeSearch(space, seed, n_startup=n_startup)
        self._gp = GPSearch(space, seed, n_startup=n_startup, uniform=GP_UNIFORM)
        self._tpe = TPE(space, seed, n_startup=n_startup)
        self._all: tuple[LearningSearcher, ...] = (self._trees, self._gp, self._tpe)

    def begin_with(self, studies: Sequence[EarlierStudy]) -> None:
        """Learns from earlier studies; they are told before all else."""
        for searcher in self._all:
            searcher.begin_with(studies)

    def suggest(self, trial_id: int, first_rung: int = 0) -> Suggestion:
        return self._proposing(trial_id).suggest(trial_id, first_rung)

    def _proposing(self, trial_id: int) -> LearningSearcher:
        if self._in_steps:
            return self._trees
        return self._gp if generator(self._seed, "auto", trial_id).random() < GP_SHARE else self._tpe

    def describe(self) -> str:
        return (
            "auto: proposals by one-tree Thompson sampling if trials are trained in steps; if each is trained at once, "
            f"{GP_SHARE:.0%} by a Gaussian process and the others by TPE"
        )

    def on_submitted(self, job: Job) -> None:
        self._in_steps |= job.resource < self._max_resource or bool(job.milestones)
        for searcher in self._all:
            searcher.on_submitted(job)

    def on_evaluation(self, evaluation: Evaluation) -> None:
        for searcher in self._all:
            searcher.on_evaluation(evaluation)

    def on_state(self, change: StateChange) -> None:
        for searcher in self._all:
            searcher.on_state(change)
