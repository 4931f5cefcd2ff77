"""A bandit's early stopping: who is too far behind the best at the same resource is stopped."""

from __future__ import annotations

import math
from collections.abc import Sequence

from hpo_pipeline.checks import integer_problems, is_number, value_problems
from hpo_pipeline.errors import ConfigError
from hpo_pipeline.evaluation import Evaluation, Status
from hpo_pipeline.scheduler import Scheduler
from hpo_pipeline.searcher import NoTrial
from hpo_pipeline.searcher.trial_generator import TrialGenerator
from hpo_pipeline.trial import Decision, Job, State, StateChange


class Bandit(Scheduler):
    """Every trial towards max_resource, unless it is further than `slack` behind the best at the same resource.

    Args:
        trials: where new trials come from; the study hands it over.
        max_resource: what a trial is trained to.
        slack: in units of the metric.
        grace_period: no trial is stopped before it has this resource.
    """

    def __init__(self, trials: TrialGenerator, max_resource: int, slack: float = 0.1, grace_period: int = 1) -> None:
        found = integer_problems(max_resource=max_resource, grace_period=grace_period)
        if found := [*found, *value_problems("a number of at least 0", lambda value: is_number(value, 0), slack=slack)]:
            raise ConfigError(found)
        self._trials, self._max_resource, self._slack = trials, max_resource, slack
        self._milestones = range(grace_period, max_resource)  # where a trial waits for what `on_report` answers
        self._best: dict[int, float] = {}  # resource -> the best score there; scores are minimised

    def next_job(self) -> Job | NoTrial:
        trial = self._trials.new()
        return trial if isinstance(trial, NoTrial) else Job(trial, self._max_resource, milestones=self._milestones)

    def on_report(self, job: Job, evaluation: Evaluation) -> Decision:
        at, score = evaluation.resource, evaluation.score
        best = self._best[at] = min(score, self._best.get(at, math.inf))
        if at in self._milestones and score > best + self._slack:
            return Decision(stop=True, rung=0, reason=f"at {at}: more than {self._slack:g} behind the best")
        return super().on_report(job, evaluation)

    def on_result(self, job: Job, evaluation: Evaluation) -> Sequence[StateChange]:
        failed = evaluation.status is Status.FAILED
        return [StateChange(job.trial.id, State.FAILED if failed else State.COMPLETED)]

    def describe(self) -> str:
        return f"every trial to {self._max_resource}, unless it is more than {self._slack:g} behind the best"
