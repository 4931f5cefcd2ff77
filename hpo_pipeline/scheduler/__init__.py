"""Schedulers decide which trial gets how much resource next. One algorithm a file; the interface is here.

Those here take `trials`, where new trials come from, and keys of the config, and raise a ConfigError that names the
keys which are wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from hpo_pipeline.evaluation import Evaluation
from hpo_pipeline.searcher import EXHAUSTED, NOT_READY, NoTrial
from hpo_pipeline.trial import CONTINUE, Decision, Job, StateChange

WAIT, DONE = NOT_READY, EXHAUSTED
"""Why there is no job, as of trials: none yet, until something else is reported, or none but for the jobs in flight.

WAIT is never the answer while no job is in flight, unless `trials.new()` was not ready. DONE is what ends a study, when
no job is in flight any more.
"""


class Scheduler(Protocol):
    """Hands out jobs and decides what becomes of trials. Subclasses say only what differs.

    A session of calls, for successive halving with two trials on rungs at 1 and 2 epochs:

        next_job() -> Job(trial 0 -> 1);  next_job() -> Job(trial 1 -> 1);  next_job() -> WAIT
        on_report(job 0, Evaluation(0.5)) -> Decision(rung=0);  on_result(job 0, Evaluation(0.5)) -> [trial 0 PAUSED]
        on_report(job 1, Evaluation(0.4)) -> Decision(rung=0)
        on_result(job 1, Evaluation(0.4)) -> [trial 1 PAUSED, trial 0 STOPPED]
        next_job() -> Job(trial 1 -> 2) ...

    The tuner tells the searcher of everything; schedulers only ask it for trials. Their state follows from these calls
    alone: no clock, no global randomness, and a call of `next_job` that answers no job changes nothing. Resuming
    a study is making the recorded calls again. Scores are minimised; an evaluation whose status isn't OK (a metric is
    not finite, the trial failed) has the score +inf, ranks last and is never promoted. Trials are compared by a
    `Ranking` of their evaluations.
    A trial may finish before its job does (its objective stops early). Then `on_report` and `on_result` are called as
    if it had gone on with the score of its last report, `evaluation.finished` being true; later jobs that it is given
    are answered so at once. Unless it is stopped at that report it is COMPLETED, whatever state they put it in.
    A resumed study may allow another number of trials (`trials.n_trials`); what was final before stays so: no job, and
    no change, for a trial that is COMPLETED, STOPPED or FAILED.

    The tuner checks every answer (checked.py); the first one that isn't what is asked for here ends the study.
    """

    def next_job(self) -> Job | NoTrial:
        """The next job, for a worker that is free now, or WAIT or DONE: new trials in the order of their numbers, one
        job a trial."""

    def on_report(self, job: Job, evaluation: Evaluation) -> Decision:
        """The job's trial has reached `evaluation.resource` (on the way, or the job's own at its end).

        It can be stopped where the job's `milestones` says, and nowhere else.
        """
        return Decision(rung=job.rung) if evaluation.resource == job.resource else CONTINUE

    def on_result(self, job: Job, evaluation: Evaluation) -> Sequence[StateChange]:
        """The job ended at its resource with this evaluation, or failed (and the trial is not run again).

        Not called for a job that `on_report` stopped. Returns every trial whose state changed by this, once: the job's
        own (FAILED if and only if it failed), and any others that were PAUSED.
        """

    def describe(self) -> str:
        """A few lines for people: the rungs, their sizes and resources. Shown before a study starts."""
