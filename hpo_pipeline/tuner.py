"""The loop that joins scheduler, executor and journal: one study, until its budget ends.

    next_job -> journal -> executor;  report -> scheduler -> journal -> executor;  result -> scheduler -> journal

What an event leads to is recorded in one piece before anything outside this process is told. Resuming is making the
recorded calls again (`replay`); the jobs that were in flight are then handed out once more.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from hpo_pipeline.errors import StudyError
from hpo_pipeline.executor import Executor
from hpo_pipeline.interrupt import signals_as_interrupt
from hpo_pipeline.journal import Journal, Record
from hpo_pipeline.report.text import failures_text
from hpo_pipeline.report.view import StudyView, TrialView
from hpo_pipeline.scheduler import Scheduler
from hpo_pipeline.score import WORST, score
from hpo_pipeline.searcher.suggestions import Suggestions
from hpo_pipeline.trial import FINAL, Budget, Event, Job, Notice, Outcome, Report, Result, State, Verdict


class Listener(Protocol):
    """Sees every record after it was written and taken into the view, and notices (the table in the terminal)."""

    def update(self, record: Record) -> None: ...

    def say(self, notice: str) -> None: ...


@dataclass(frozen=True, slots=True)
class End:
    """Why a session ended; `state` is "completed", "interrupted" or "failed"."""

    state: str
    reason: str


class Tuner:
    """One session of a study.

    Args:
        scheduler, trials, executor, journal: the study's, `trials` being what the scheduler asks for new ones.
        view: the fold of the journal so far; this class alone applies records to it.
        budget: when to end.
        max_failures: more failed trials end the study; None for 10 or a quarter of the trials, whichever is larger.
        listeners: told of each record.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        trials: Suggestions,
        executor: Executor,
        journal: Journal,
        view: StudyView,
        budget: Budget,
        max_failures: int | None = None,
        listeners: Sequence[Listener] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._scheduler = scheduler
        self._trials = trials
        self._executor = executor
        self._journal = journal
        self._view = view
        self._budget = budget
        self._max_failures = max_failures
        self._listeners = listeners
        self._clock = clock
        self._jobs: dict[int, Job] = {}
        self._stopped: set[int] = set()
        self._began = clock()
        self._seconds_before = 0.0
        self._kept: TrialView | None = None
        self._due: list[Record] = []
        self._backlog: list[Job] = []

    # -- resuming ------------------------------------------------------------------------------------------------

    def replay(self, records: Iterable[Record]) -> None:
        """Makes the recorded calls again, before `run`.

        Raises:
            StudyError: the scheduler would have acted otherwise; the configuration or the program has changed.
        """
        allowed_now = self._trials.n_trials
        for session in _sessions(records):
            # What the scheduler could ask for then is what it can ask for now.
            self._trials.n_trials = session[0].get("n_trials", allowed_now)
            for record in session:
                if record["event"] == "suggested":
                    self._trials.replay(record["config"])
            for record in session:
                self._view.apply(record)
                self._replay(record)
        self._trials.n_trials = allowed_now
        self._seconds_before = self._view.seconds
        self._kept = next((t for t in self._view.ranking() if t.state in FINAL and t.is_usable), None)

    def _replay(self, record: Record) -> None:
        match record["event"]:
            case "submitted":
                self._replay_submitted(record)
            case "report":
                job = self._jobs[record["trial"]]
                self._due = self._decide(job, record["resource"], record["metrics"], record["time"])[1]
            case "result" if record["outcome"] in ("done", "failed"):
                verdicts = self._settle(self._jobs.pop(record["trial"]), failed=record["outcome"] == "failed")
                self._due = [_decision(verdict, record["time"]) for verdict in verdicts]
            case "rung" | "decision":
                self._due = self._due[1:]
                self._free_if_stopped(record)

    def _free_if_stopped(self, record: Record) -> None:
        if record["event"] == "decision" and record["state"] == State.STOPPED.value:
            self._jobs.pop(record["trial"], None)

    def _record_due(self) -> None:
        """Records what the last event led to, where a crash left the event alone in the journal."""
        self._record(*self._due)
        for record in self._due:
            self._free_if_stopped(record)

    def _replay_submitted(self, record: Record) -> None:
        job = self._scheduler.next_job()
        wanted = tuple(record[key] for key in ("trial", "resource", "rung", "bracket"))
        if not isinstance(job, Job) or (job.trial.id, job.resource, job.rung, job.bracket) != wanted:
            raise StudyError(
                f"{self._journal.path}: can't go on: the journal has trial {wanted[0]} sent to resource {wanted[1]} "
                f"where the scheduler now answers {job}; start a new study, or restore the configuration it began with"
            )
        self._jobs[job.trial.id] = job

    # -- the loop ------------------------------------------------------------------------------------------------

    def run(self) -> End:
        """Runs until the budget ends, the search space or the scheduler is exhausted, or Ctrl-C."""
        with signals_as_interrupt():
            try:
                end = self._loop()
            except KeyboardInterrupt:
                end = End("interrupted", "stopped by Ctrl-C")
            finally:
                self._executor.close()
        now = self._clock()
        interrupted = [
            {"event": "result", "trial": trial_id, "outcome": "interrupted", "error": "", "traceback": "", "time": now}
            for trial_id in self._jobs
            if trial_id not in self._stopped
        ]
        self._record(*interrupted, {"event": "end", "state": end.state, "reason": end.reason, "time": now})
        return end

    def _loop(self) -> End:
        self._began = self._clock()
        self._record_due()
        self._record({"event": "session", "pid": os.getpid(), "n_trials": self._budget.n_trials, "time": self._began})
        self._resubmit()
        while (end := self._over()) is None:
            self._fill()
            if not self._jobs:
                end = End("completed", "the search is complete")
                break
            for event in self._executor.wait(self._seconds_left()):
                self._take(event)
        return End("failed", failures_text(self._view)) if self._view.all_failed else end

    def _fill(self) -> None:
        """Gives every free worker a job, as long as there are any."""
        while self._backlog and len(self._jobs) - len(self._backlog) < self._executor.capacity:
            again = self._backlog.pop(0)
            self._executor.submit(again, self._view.trials[again.trial.id].resource)
        while len(self._jobs) < self._executor.capacity and isinstance(job := self._scheduler.next_job(), Job):
            trial, now = job.trial, self._clock()
            submitted: Record = {"event": "submitted", "trial": trial.id, "resource": job.resource}
            submitted |= {"rung": job.rung, "bracket": job.bracket, "time": now}
            if job.source is not None:
                submitted["source"] = list(job.source)
            if trial.id not in self._view.trials:
                suggested = {"event": "suggested", "trial": trial.id, "config": dict(trial.config), "time": now}
                self._record(suggested, submitted)
            else:
                if trial.config != self._view.trials[trial.id].config:
                    submitted["config"] = dict(trial.config)
                self._record(submitted)
            self._jobs[trial.id] = job
            self._executor.submit(job, self._view.trials[trial.id].resource)

    def _take(self, event: Event) -> None:
        if isinstance(event, Notice):
            for listener in self._listeners:
                listener.say(event.text)
        elif isinstance(event, Report):
            self._on_report(self._jobs[event.trial_id], event)
        else:
            self._on_result(self._jobs[event.trial_id], event)

    def _on_report(self, job: Job, report: Report) -> None:
        if report.resource <= self._view.trials[report.trial_id].resource:
            # Trained again after a crash, up to where the records end: nothing new, and the trial goes on.
            self._answer(job, report, stop=False)
            return
        stop, records = self._decide(job, report.resource, report.metrics, report.time)
        self._record(
            {
                "event": "report",
                "trial": report.trial_id,
                "resource": report.resource,
                "metrics": dict(report.metrics),
                "time": report.time,
            },
            *records,
        )
        self._answer(job, report, stop=stop)

    def _answer(self, job: Job, report: Report, *, stop: bool) -> None:
        if report.resource in job.decide_at:
            if stop:
                self._stopped.add(job.trial.id)
            self._executor.decide(job.trial.id, stop=stop)

    def _on_result(self, job: Job, result: Result) -> None:
        del self._jobs[job.trial.id]
        if job.trial.id in self._stopped:  # even if its worker died before it heard of it
            self._stopped.remove(job.trial.id)
            return
        failed = result.outcome is Outcome.FAILED
        record = {
            "event": "result",
            "trial": result.trial_id,
            "outcome": result.outcome.value,
            "error": result.error,
            "traceback": result.traceback,
            "time": result.time,
        }
        verdicts = self._settle(job, failed=failed)
        self._record(record, *(_decision(verdict, result.time) for verdict in verdicts))

    def _resubmit(self) -> None:
        """What was in flight when the last session ended is handed out again, as workers become free."""
        for job in list(self._jobs.values()):
            if self._view.trials[job.trial.id].resource < job.resource:
                self._backlog.append(job)
            else:  # the session died between the last report and the result that follows it
                self._on_result(job, Result(job.trial.id, Outcome.DONE, self._clock()))

    # -- what the scheduler makes of it: shared with `replay` ----------------------------------------------------

    def _decide(
        self, job: Job, resource: int, metrics: Mapping[str, float], now: float = 0.0
    ) -> tuple[bool, list[Record]]:
        """Asks the scheduler about a report; returns whether to stop, and what to record of it."""
        value = metrics[self._view.metric]
        reached = score(value, self._view.mode)
        decision = self._scheduler.on_report(job, resource, reached)
        records: list[Record] = []
        if decision.rung is not None:
            self._trials.observe(job.trial, resource, reached)
            records.append(
                {
                    "event": "rung",
                    "trial": job.trial.id,
                    "rung": decision.rung,
                    "bracket": job.bracket,
                    "resource": resource,
                    "value": value,
                    "time": now,
                }
            )
        if decision.stop:
            records.append(_decision(Verdict(job.trial.id, State.STOPPED, decision.reason), now))
        return decision.stop, records

    def _settle(self, job: Job, *, failed: bool) -> Sequence[Verdict]:
        """Tells the scheduler that a job ended."""
        if failed:
            self._trials.observe(job.trial, job.resource, WORST)
            return self._scheduler.on_result(job, WORST, failed=True)
        last = self._view.trials[job.trial.id].latest(self._view.metric)
        return self._scheduler.on_result(job, score(math.nan if last is None else last, self._view.mode), failed=False)

    # -- records, budget, checkpoints ----------------------------------------------------------------------------

    def _record(self, *records: Record) -> None:
        self._journal.append(*records)
        for record in records:
            self._view.apply(record)
            for listener in self._listeners:
                listener.update(record)
            if record["event"] == "decision" and State(record["state"]) in FINAL:
                self._tidy(self._view.trials[record["trial"]])

    def _tidy(self, through: TrialView) -> None:
        """Keeps one checkpoint of the trials that are through, the best one's: better ones at work may yet fail."""
        dropped: TrialView | None = through
        if through.is_usable and (self._kept is None or through.rank < self._kept.rank):
            dropped, self._kept = self._kept, through
        if dropped is not None:
            self._executor.discard(dropped.id)

    def _over(self) -> End | None:
        budget, view = self._budget, self._view
        if view.failures > self._failures_allowed():
            return End("failed", failures_text(view))
        if budget.max_total_resource is not None and view.total_resource >= budget.max_total_resource:
            return End("completed", f"max_total_resource={budget.max_total_resource} is spent")
        left = self._seconds_left()
        if left is not None and left <= 0:
            return End("completed", f"max_seconds={budget.max_seconds:g} are over")
        best = view.best
        if budget.target is not None and best and best.best_score <= score(budget.target, view.mode):
            return End("completed", f"target={budget.target:g} is reached")
        return None

    def _failures_allowed(self) -> int:
        if self._max_failures is not None:
            return self._max_failures
        return max(10, max(self._budget.n_trials or 0, len(self._view.trials)) // 4)

    def _seconds_left(self) -> float | None:
        if self._budget.max_seconds is None:
            return None
        return max(0.0, self._budget.max_seconds - self._seconds_before - (self._clock() - self._began))


def _sessions(records: Iterable[Record]) -> list[list[Record]]:
    """The records, cut before each `session`; the header stands alone."""
    sessions: list[list[Record]] = []
    for record in records:
        if not sessions or record["event"] == "session":
            sessions.append([])
        sessions[-1].append(record)
    return sessions


def _decision(verdict: Verdict, now: float) -> Record:
    state = verdict.state.value
    return {"event": "decision", "trial": verdict.trial_id, "state": state, "reason": verdict.reason, "time": now}
