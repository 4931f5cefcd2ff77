"""Schedulers decide which trial gets how much resource next. One algorithm a file; the interface is here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from hpo_pipeline.trial import Decision, Job, StateChange


@dataclass(frozen=True, slots=True)
class Wait:
    """No job now; there may be one after the next report or result. Never the answer while no job is in flight."""


@dataclass(frozen=True, slots=True)
class Done:
    """No job now or ever: the searcher is exhausted, or the last trial has what it needs. Only this ends a study."""


WAIT, DONE = Wait(), Done()


class Scheduler(Protocol):
    """Hands out jobs and decides what becomes of trials.

    A session of calls, for successive halving with two trials on rungs at 1 and 2 epochs:

        next_job() -> Job(trial 0 -> 1);  next_job() -> Job(trial 1 -> 1);  next_job() -> WAIT
        on_report(job 0, 1, 0.5) -> Decision(rung=0);  on_result(job 0, 0.5, failed=False) -> [trial 0 PAUSED]
        on_report(job 1, 1, 0.4) -> Decision(rung=0)
        on_result(job 1, 0.4, failed=False) -> [trial 1 PAUSED, trial 0 STOPPED]
        next_job() -> Job(trial 1 -> 2) ...

    The tuner tells the searcher of every rung evaluation (a Decision with a rung) and of failures; schedulers only
    ask it for trials. Their state follows from these calls alone: no clock, no global randomness, and a call of
    `next_job` that answers WAIT or DONE changes nothing. Resuming a study is making the recorded calls again.
    Scores are minimised; +inf stands for NaN, an infinite metric and failure, ranks last and is never promoted.
    A resumed study may allow another number of trials (`trials.n_trials`); what was final before stays so: no job, and
    no change, for a trial that is COMPLETED, STOPPED or FAILED.

    The tuner checks every answer (checked.py); the first one that isn't what is asked for here ends the study.
    """

    def next_job(self) -> Job | Wait | Done:
        """The next job, for a worker that is free now: new trials in the order of their numbers, one job a trial."""
        ...

    def on_report(self, job: Job, resource: int, score: float) -> Decision:
        """The job's trial has reached `resource` (on the way, or the job's own at its end).

        It can be stopped where the job's `milestones` says, and nowhere else.
        """
        ...

    def on_result(self, job: Job, score: float, *, failed: bool) -> Sequence[StateChange]:
        """The job ended at its resource with `score`, or failed (`score` is +inf, and the trial is not run again).

        Not called for a job that `on_report` stopped. Returns every trial whose state changed by this, once: the job's
        own (FAILED if and only if it failed), and any others that were PAUSED.
        """
        ...

    def describe(self) -> str:
        """A few lines for people: the rungs, their sizes and resources. Shown before a study starts."""
        ...
