"""Every trial to its full resource, in the order of the searcher: the baseline without early stopping."""

from __future__ import annotations

from collections.abc import Sequence

from hpo_pipeline.checks import integer_problems
from hpo_pipeline.errors import ConfigError
from hpo_pipeline.evaluation import Evaluation, Status
from hpo_pipeline.scheduler import Scheduler
from hpo_pipeline.searcher import NoTrial
from hpo_pipeline.searcher.trial_generator import TrialGenerator
from hpo_pipeline.trial import Job, State, StateChange


class FIFO(Scheduler):
    """First in, first out; `max_resource` is what each trial is trained to."""

    _milestones: Sequence[int] = ()

    def __init__(self, trials: TrialGenerator, max_resource: int) -> None:
        if problems := integer_problems(max_resource=max_resource):
            raise ConfigError(problems)
        self._trials = trials
        self._resource = max_resource

    def next_job(self) -> Job | NoTrial:
        trial = self._trials.new()
        return trial if isinstance(trial, NoTrial) else Job(trial, self._resource, milestones=self._milestones)

    def on_result(self, job: Job, evaluation: Evaluation) -> Sequence[StateChange]:
        failed = evaluation.status is Status.FAILED
        return [StateChange(job.trial.id, State.FAILED if failed else State.COMPLETED)]

    def describe(self) -> str:
        return f"every trial to {self._resource}"
