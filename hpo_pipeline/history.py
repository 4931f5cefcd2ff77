"""What a study's records lead to: one fold, for a study at work and for one that is resumed from its journal.

    ask the scheduler (next_job, consequences) -> records -> journal -> apply

A report or a result is put to scheduler and searcher, and their answers are records as well (`consequences`). At work
the tuner writes them down; in a resumed study they are there already, and must be the same.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from hpo_pipeline.errors import StudyError
from hpo_pipeline.evaluation import Evaluation, evaluation, failure
from hpo_pipeline.records import Record
from hpo_pipeline.scheduler import Scheduler
from hpo_pipeline.scheduler.checked import CheckedScheduler
from hpo_pipeline.scheduler.finalists import NO_FINALISTS, Finalists, FinalistSettings
from hpo_pipeline.searcher import NoTrial
from hpo_pipeline.searcher.trial_generator import TrialGenerator
from hpo_pipeline.trial import FINAL, Config, Job, State, StateChange, Value
from hpo_pipeline.view import StudyView

_ANSWERS = ("rung", "decision")
_CHANGED = "start a new study, or restore the configuration and the program that it began with"


class History:
    """The view, the jobs in flight, and what scheduler and searcher know: the state that a study's records lead to.

    Args:
        scheduler, trials: new; `trials` is what the scheduler asks for new ones.
        view: the fold of no record yet.
        finalists: what comes after the search in this session.

    Attributes:
        jobs: trial id -> the job that is in flight according to the records.
        due: what the last record led to, and a crash kept from being recorded.
        scheduler_name: the class, for messages.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        trials: TrialGenerator,
        view: StudyView,
        finalists: FinalistSettings = NO_FINALISTS,
    ) -> None:
        self.view = view
        self.jobs: dict[int, Job] = {}
        self.due: deque[Record] = deque()
        self._scheduler = Finalists(CheckedScheduler(scheduler, view, self.jobs), trials, view, self.jobs, finalists)
        self.scheduler_name = type(scheduler).__name__
        self._trials = trials
        self._searcher = trials.searcher
        self._next: Job | None = None

    # -- at work: asking -----------------------------------------------------------------------------------------

    def next_job(self) -> Job | NoTrial:
        """The scheduler's next job, in flight once its records are applied."""
        answer = self._scheduler.next_job()
        self._next = answer if isinstance(answer, Job) else None
        return answer

    def submission(self, job: Job, now: float) -> list[Record]:
        """What to record of a new job."""
        trial = job.trial
        known = self.view.trials.get(trial.id)
        place = {"trial": trial.id, "resource": job.resource, "rung": job.rung, "bracket": job.bracket}
        if known is not None and known.has_finished and not job.finalist:
            return [{"event": "counted", **place, "time": now}]
        record: Record = {"event": "submitted", **place, "session": self.view.sessions, "time": now}
        if job.finalist:
            record["finalist"] = True
        if job.source is not None:
            record["source"] = list(job.source)
        if trial.id not in self.view.trials:
            suggested: Record = {"event": "suggested", "trial": trial.id, "config": _plain(trial.config)}
            suggested |= {"origin": trial.origin} if trial.origin else {}
            suggested |= {"first_rung": trial.first_rung} if trial.first_rung is not None else {}
            suggested |= {"repeats": trial.repeats} if trial.repeats is not None else {}
            return [{**suggested, "time": now}, record]
        if trial.config != self.view.trials[trial.id].config:
            record["config"] = _plain(trial.config)
        return [record]

    def consequences(self, record: Record) -> list[Record]:
        """Puts what isn't applied yet, a report, a result or a job that is only counted, to scheduler and searcher.

        Returns:
            What to record of it.
        """
        match record["event"]:
            case "report":
                return self._after_report(self._job_of(record), record)
            case "result" if record["outcome"] in ("done", "failed"):
                return self._after_result(self._job_of(record), record)
            case "counted" if self._next is not None:
                return self._counted(self._next, record["time"], "")
        return []

    def _job_of(self, record: Record) -> Job:
        if record["trial"] not in self.jobs:
            raise StudyError(f"a {record['event']} of trial {record['trial']}, which has no job")
        return self.jobs[record["trial"]]

    def _after_report(self, job: Job, report: Record) -> list[Record]:
        view, resource = self.view, report["resource"]
        if not view.trials[job.trial.id].resource < resource <= job.resource:
            at = view.trials[job.trial.id].resource
            raise StudyError(f"trial {job.trial.id} reports {resource} on its way from {at} to {job.resource}")
        reached = evaluation(job, resource, report["metrics"], view.metrics, view.constraints)
        decision = self._scheduler.on_report(job, reached)
        if not job.finalist:
            self._searcher.on_evaluation(_on_rung(reached, decision.rung))
        records: list[Record] = []
        if decision.rung is not None:
            records.append(_rung(job, decision.rung, resource, report["time"]))
        if decision.stop:
            stopped = StateChange(job.trial.id, State.STOPPED, decision.reason)
            records += self._changed(job, [stopped], report["time"])
        return records

    def _after_result(self, job: Job, result: Record) -> list[Record]:
        metrics, trial = self.view.metrics, self.view.trials[job.trial.id]
        if result["outcome"] == "failed":
            reached = failure(job, metrics)
            if not job.finalist:
                self._searcher.on_evaluation(reached)
        elif (why := trial.finished or result.get("finished", "")) and not job.finalist:
            return self._counted(job, result["time"], why)
        else:
            reported = trial.curve[-1][1] if trial.curve else {}
            reached = evaluation(job, job.resource, reported, metrics, self.view.constraints)
        return self._changed(job, self._scheduler.on_result(job, reached), result["time"])

    def _counted(self, job: Job, now: float, why: str) -> list[Record]:
        """Counts on the rest of its job what is known of a trial that has finished, as if it had gone on so.

        That is its last report; of one that was further up as a finalist, what it reported on the way, or its failure.
        """
        trial = self.view.trials[job.trial.id]
        metrics, constraints = self.view.metrics, self.view.constraints
        is_new = trial.state not in FINAL
        last = trial.curve[-1][1]
        records: list[Record] = []
        changes: Sequence[StateChange] = ()
        for resource in range((trial.resource if is_new else trial.counted) + 1, job.resource + 1):
            if resource > trial.resource and trial.state is State.FAILED:
                changes = self._scheduler.on_result(job, failure(job, metrics))
                break
            reached = replace(
                evaluation(job, resource, trial.at(resource) or last, metrics, constraints), finished=True
            )
            decision = self._scheduler.on_report(job, reached)
            if decision.rung is not None:
                records.append(_rung(job, decision.rung, resource, now))
                if is_new:  # of one that is final, a searcher hears no more
                    self._searcher.on_evaluation(_on_rung(reached, decision.rung))
            if decision.stop:
                break
        else:
            reported = trial.at(job.resource) or last
            changes = self._scheduler.on_result(
                job, replace(evaluation(job, job.resource, reported, metrics, constraints), finished=True)
            )
        own = [StateChange(job.trial.id, State.COMPLETED, why)] if is_new else []
        others = [change for change in changes if change.trial_id != job.trial.id]
        return records + self._changed(job, [*own, *others], now)

    def _changed(self, job: Job, changes: Sequence[StateChange], now: float) -> list[Record]:
        """Records of the changes, but for trials that have finished: they stay COMPLETED."""
        changes = [change for change in changes if not self.view.trials[change.trial_id].has_finished]
        for change in () if job.finalist else changes:
            self._searcher.on_state(change)
        return [
            {"event": "decision", "trial": c.trial_id, "state": c.state.value, "reason": c.reason, "time": now}
            for c in changes
        ]

    # -- the fold ------------------------------------------------------------------------------------------------

    def apply(self, record: Record) -> None:
        """Takes in a record that is in the journal. A submission is of the job that `next_job` answered last."""
        self.view.apply(record)
        match record["event"]:
            case "submitted" if self._next is not None:
                self.jobs[record["trial"]] = self._next
                if not self._next.finalist:
                    self._searcher.on_submitted(self._next)
            case "result" if record["outcome"] in ("done", "failed"):
                del self.jobs[record["trial"]]
            case "decision" if record["state"] == State.STOPPED.value:
                self.jobs.pop(record["trial"], None)

    def replay(self, records: Iterable[Record], beginnings: Iterable[Record] | None = None) -> None:
        """Makes the recorded calls again.

        Args:
            records: all of them; gone through once if the beginnings are given, so that no one needs to hold them.
            beginnings: those of sessions and trials alone (`session`, `suggested`).

        Raises:
            StudyError: a record doesn't follow from those before: the configuration or the program has changed, or
                the journal; names the line.
        """
        allowed_now, finalists_now = self._trials.n_trials, self._scheduler.settings
        if beginnings is None:
            beginnings = records = list(records)
        sessions = _sessions(beginnings)
        configs: Iterator[Config] = iter(())
        for line, record in enumerate(records, start=1):
            if record["event"] == "session" or line == 1:
                # What the scheduler could ask for then is what it can ask for now: the trials of the session, too.
                self._trials.n_trials = record.get("n_trials", allowed_now)
                self._scheduler.settings = replace(finalists_now, **record.get("finalists", {"n": 0, "seeds": 0}))
                suggested = sessions.popleft()
                for trial in suggested:
                    if "repeats" not in trial:
                        self._trials.replay(trial["config"], trial.get("origin", ""), trial.get("first_rung"))
                configs = iter([trial["config"] for trial in suggested])
                del suggested
            if record["event"] == "suggested":
                record["config"] = next(configs)  # one of the two that are equal is enough in memory
            try:
                self._replay(record)
            except StudyError as error:
                raise StudyError(f"line {line}: {error}") from error.__cause__
        self._trials.n_trials, self._scheduler.settings = allowed_now, finalists_now

    def _replay(self, record: Record) -> None:
        if record["event"] in _ANSWERS:
            self._check_answer(record)
        elif self.due and record["event"] != "study":
            raise StudyError(f"{_told(self.due[0])} is missing before this; {_CHANGED}")
        if record["event"] == "suggested" and record["trial"] != len(self.view.trials):
            raise StudyError(f"trial {record['trial']} is suggested, where {len(self.view.trials)} is the next")
        if record["event"] in ("submitted", "counted"):
            self._check_submission(record)
        self.due.extend(self.consequences(record))
        self.apply(record)

    def _check_answer(self, record: Record) -> None:
        due = self.due.popleft() if self.due else None
        keys = ("event", "trial", "rung", "bracket", "resource", "state")
        if due is None or any(due.get(key) != record.get(key) for key in keys):
            answer = _told(due) if due else "nothing"
            raise StudyError(f"the journal has {_told(record)} where the scheduler now answers {answer}; {_CHANGED}")

    def _check_submission(self, record: Record) -> None:
        job = self.next_job()
        now: Record = self.submission(job, record["time"])[-1] if isinstance(job, Job) else {}
        keys = ("event", "trial", "resource", "rung", "bracket", "source", "finalist")
        if any(now.get(key) != record.get(key) for key in keys):
            raise StudyError(
                f"the journal has trial {record['trial']} sent to resource {record['resource']} where the scheduler "
                f"now answers {job}; {_CHANGED}"
            )


def _sessions(beginnings: Iterable[Record]) -> deque[list[Record]]:
    """The trials that each session began; first those from before any."""
    sessions: deque[list[Record]] = deque([[]])
    for record in beginnings:
        if record["event"] == "session":
            sessions.append([])
        elif record["event"] == "suggested":
            sessions[-1].append(record)
    return sessions


def _rung(job: Job, rung: int, resource: int, now: float) -> Record:
    place = {"trial": job.trial.id, "rung": rung, "bracket": job.bracket, "resource": resource}
    return {"event": "rung", **place, "time": now}


def _on_rung(reached: Evaluation, rung: int | None) -> Evaluation:
    """The evaluation on the rung that the scheduler counts it on."""
    return reached if reached.rung == rung else replace(reached, rung=rung)


def _plain(config: Config) -> dict[str, Value]:
    """As JSON can hold it; no second copy of what is a dict, as each trial's is kept."""
    return config if isinstance(config, dict) else dict(config)


def _told(record: Record) -> str:
    what: Any = record["state"] if record["event"] == "decision" else f"on rung {record['rung']}"
    return f"trial {record['trial']} {what}"
