"""Every trial to its full resource, in the order of the searcher: the baseline without early stopping."""

from __future__ import annotations

from collections.abc import Sequence

from hpo_pipeline.errors import ConfigError, integer_problems
from hpo_pipeline.scheduler import DONE, Done, Wait
from hpo_pipeline.searcher.trial_generator import TrialGenerator
from hpo_pipeline.trial import CONTINUE, Decision, Job, State, StateChange


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

    def next_job(self) -> Job | Wait | Done:
        trial = self._trials.new()
        return DONE if trial is None else Job(trial, self._resource)

    def on_report(self, job: Job, resource: int, score: float) -> Decision:
        return Decision(rung=0) if resource == self._resource else CONTINUE

    def on_result(self, job: Job, score: float, *, failed: bool) -> Sequence[StateChange]:
        return [StateChange(job.trial.id, State.FAILED if failed else State.COMPLETED)]

    def describe(self) -> str:
        return f"every trial to {self._resource}"
