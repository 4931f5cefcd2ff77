"""Every trial to its full resource, in the order of the searcher: the baseline without early stopping."""

from __future__ import annotations

from collections.abc import Sequence

from hpo_pipeline.checks import integer_problems
from hpo_pipeline.errors import ConfigError
from hpo_pipeline.evaluation import Evaluation
from hpo_pipeline.scheduler import Done, Wait, ended, without_trial
from hpo_pipeline.searcher import NoTrial
from hpo_pipeline.searcher.trial_generator import TrialGenerator
from hpo_pipeline.trial import CONTINUE, Decision, Job, StateChange


class FIFO:
    """First in, first out.

    Args:
        trials: where new trials come from.
        max_resource: what each trial is trained to.

    Raises:
        ConfigError: naming the keys.
    """

    def __init__(self, trials: TrialGenerator, max_resource: int) -> None:
        if problems := integer_problems(max_resource=max_resource):
            raise ConfigError(problems)
        self._trials = trials
        self._resource = max_resource
        self._running = 0

    def next_job(self) -> Job | Wait | Done:
        trial = self._trials.new()
        if isinstance(trial, NoTrial):
            return without_trial(trial, self._running)
        self._running += 1
        return Job(trial, self._resource)

    def on_report(self, job: Job, evaluation: Evaluation) -> Decision:
        return Decision(rung=0) if evaluation.resource == self._resource else CONTINUE

    def on_result(self, job: Job, evaluation: Evaluation) -> Sequence[StateChange]:
        self._running -= 1
        return [StateChange(job.trial.id, ended(evaluation))]

    def describe(self) -> str:
        return f"every trial to {self._resource}"
