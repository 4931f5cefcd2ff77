"""A scheduler, held to its interface at every call: what it does wrong is one sentence, and nothing is done of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hpo_pipeline.checks import is_integer
from hpo_pipeline.errors import ComponentError, asked
from hpo_pipeline.evaluation import Evaluation, Status
from hpo_pipeline.scheduler import Scheduler
from hpo_pipeline.searcher import NoTrial
from hpo_pipeline.trial import FINAL, Decision, Job, State, StateChange, Trial
from hpo_pipeline.view import StudyView

_CHANGES = (State.PAUSED, State.COMPLETED, State.STOPPED)


class CheckedScheduler:
    """Passes calls on to a scheduler, and its answers back if they are what `Scheduler` promises.

    Args:
        view, jobs: the study so far, and the jobs in flight; read, never changed.
    """

    def __init__(self, scheduler: Scheduler, view: StudyView, jobs: Mapping[int, Job]) -> None:
        self._scheduler = scheduler
        self._view = view
        self._jobs = jobs

    def next_job(self) -> Job | NoTrial:
        """As `Scheduler.next_job`.

        Raises:
            ComponentError: the answer isn't what the interface asks for; so do the others.
        """
        answer: object = asked(self._scheduler, "next_job")
        if isinstance(answer, NoTrial):
            return answer
        if not isinstance(answer, Job):
            raise self._broken("next_job", f"answered {answer!r}", "a Job, WAIT or DONE")
        wrong = _job_problem(answer) or self._trial_problem(answer) or self._source_problem(answer)
        if wrong:
            raise self._broken("next_job", *wrong)
        return answer

    def _trial_problem(self, job: Job) -> tuple[str, str] | None:
        number = job.trial.id
        known, new = self._view.trials.get(number), len(self._view.trials)
        if number == new:
            return None
        if known is None:
            return f"sent trial {number} to work", f"trial {new} first: trials begin in order"
        if number in self._jobs:
            return f"sent trial {number} to work while it has a job", "one job a trial at a time"
        if known.state in FINAL and not known.has_finished:
            state = known.state.value
            return f"sent trial {number} to work after it was {state}", f"no job for a trial that is {state}"
        if job.resource <= (has := known.counted if known.has_finished else known.resource):
            return (
                f"sent trial {number} to resource {job.resource}, and it has {has} already",
                "a resource beyond that",
            )
        return None

    def _source_problem(self, job: Job) -> tuple[str, str] | None:
        match job.source:
            case None:
                return None
            case tuple((trial_id, resource)) if is_integer(trial_id, 0):
                source = self._view.trials.get(trial_id)
                if source is not None and source.state not in FINAL and is_integer(resource, 1, source.resource):
                    return None
        wanted = "(trial, resource) of a trial that has come there and hasn't failed or been stopped, or None"
        return f"gave a job the source {job.source!r}", wanted

    def on_report(self, job: Job, evaluation: Evaluation) -> Decision:
        """As `Scheduler.on_report`."""
        answer: object = asked(self._scheduler, "on_report", job, evaluation)
        if not isinstance(answer, Decision) or not _is_decision(answer):
            what = f"answered {answer!r} to a report of trial {job.trial.id}"
            raise self._broken("on_report", what, "a Decision: stop is a bool, rung an integer or None, reason a str")
        if answer.stop and evaluation.resource not in job.milestones:
            raise self._broken(
                "on_report",
                f"stopped trial {job.trial.id} at {evaluation.resource}",
                f"to stop a job only where its milestones says, here {_listed(job.milestones)}; at its end, on_result "
                "says what becomes of the trial",
            )
        return answer

    def on_result(self, job: Job, evaluation: Evaluation) -> Sequence[StateChange]:
        """As `Scheduler.on_result`."""
        answer: object = asked(self._scheduler, "on_result", job, evaluation)
        if not isinstance(answer, Sequence) or not all(map(_is_change, answer)):
            what = f"answered {answer!r} to the result of trial {job.trial.id}"
            raise self._broken("on_result", what, "a sequence of StateChange(trial id, State, str)")
        told = [change.trial_id for change in answer]
        if job.trial.id not in told:
            what = f"says nothing of trial {job.trial.id}, whose job has ended"
            raise self._broken("on_result", what, "a change on each trial whose state changes, this one among them")
        for change in answer:
            self._check_change(change, job, evaluation.status is Status.FAILED)
        if len(set(told)) < len(told):
            raise self._broken("on_result", f"gave two changes on one trial: {told}", "one for each")
        return answer

    def _check_change(self, change: StateChange, job: Job, failed: bool) -> None:
        what = f"says {change.state.value} of trial {change.trial_id}"
        if change.trial_id == job.trial.id:
            allowed = (State.FAILED,) if failed else _CHANGES
            if change.state not in allowed:
                names = " or ".join(state.value for state in allowed)
                raise self._broken("on_result", f"{what}, whose job {'failed' if failed else 'went well'}", names)
            return
        other = self._view.trials.get(change.trial_id)
        may_change = other is not None and (other.state is State.PAUSED or other.has_finished)
        if not may_change or change.state not in _CHANGES:
            state = "isn't there" if other is None else f"is {other.state.value}"
            wanted = "PAUSED, COMPLETED or STOPPED, of its own trial or of those that are PAUSED"
            raise self._broken("on_result", f"{what}, which {state}", wanted)

    def _broken(self, method: str, what: str, wanted: str) -> ComponentError:
        told = f"{type(self._scheduler).__name__}.{method} {what}; the interface asks for {wanted}"
        return ComponentError(" ".join(told.split()))


def _job_problem(job: Job) -> tuple[str, str] | None:
    """What is wrong with a job by itself: (what was done, what is asked for)."""
    if not isinstance(job.trial, Trial):
        return f"answered a job of {job.trial!r}", "a Trial that `trials.new()` gave"
    for name, value, least in (("resource", job.resource, 1), ("rung", job.rung, 0), ("bracket", job.bracket, 0)):
        if not is_integer(value, least):
            return f"answered a job of {name} {value!r}", f"an integer of at least {least}"
    stops = job.milestones
    ends = [*stops[:1], *stops[-1:]] if isinstance(stops, range) else stops
    if not isinstance(ends, Sequence) or not all(is_integer(at, 1, job.resource - 1) for at in ends):
        return f"answered a job of milestones {stops!r}", f"resources before the job's end, {job.resource}"
    return None


def _is_decision(answer: Decision) -> bool:
    is_rung = answer.rung is None or is_integer(answer.rung, 0)
    return is_rung and isinstance(answer.stop, bool) and isinstance(answer.reason, str)


def _is_change(answer: object) -> bool:
    if not isinstance(answer, StateChange) or not is_integer(answer.trial_id, 0):
        return False
    return isinstance(answer.state, State) and isinstance(answer.reason, str)


def _listed(resources: Sequence[int]) -> str:
    return ", ".join(map(str, resources[:8])) + (", …" if len(resources) > 8 else "") if resources else "nowhere"
