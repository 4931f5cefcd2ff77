"""The loop that joins scheduler, executor and journal: one study, until its budget ends.

    next_job -> journal -> executor;  report -> scheduler -> journal -> executor;  result -> scheduler -> journal

What an event leads to (history.py) is recorded in one piece before anything outside this process is told; only then
are the view, the listeners and the executor. So wherever a crash or an interrupt comes, the journal says what was done,
and a resumed study makes up for what is missing: it folds the records again (`replay`), hands out the jobs that were in
flight, and has checkpoints dropped that nobody needs.
"""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from hpo_pipeline.errors import ComponentError, StudyError
from hpo_pipeline.executor import Executor
from hpo_pipeline.history import History
from hpo_pipeline.interrupt import signals_as_interrupt
from hpo_pipeline.journal import Journal, Record
from hpo_pipeline.report.text import failures_text
from hpo_pipeline.scheduler import Done, Scheduler, Wait
from hpo_pipeline.score import score
from hpo_pipeline.searcher.trial_generator import TrialGenerator
from hpo_pipeline.trial import FINAL, Budget, Event, Job, Notice, Outcome, Report, Result, State
from hpo_pipeline.view import StudyView, TrialView


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
        monotonic: seconds that no change of the system's clock moves; durations are counted with it.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        trials: TrialGenerator,
        executor: Executor,
        journal: Journal,
        view: StudyView,
        budget: Budget,
        max_failures: int | None = None,
        listeners: Sequence[Listener] = (),
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._history = History(scheduler, trials, view)
        self._executor = executor
        self._journal = journal
        self._view = view
        self._budget = budget
        self._max_failures = max_failures
        self._listeners = listeners
        self._clock = clock
        self._monotonic = monotonic
        self._began = monotonic()
        self._seconds_before = 0.0
        self._at_work: dict[int, Job] = {}
        """Trial id -> the job that takes up a place of the executor."""
        self._backlog: list[Job] = []
        """Jobs that were in flight when the last session ended; handed out again as there is room."""
        self._kept: TrialView | None = None

    def replay(self, records: Iterable[Record]) -> None:
        """Folds the records of earlier sessions, before `run`.

        Raises:
            StudyError: the scheduler would have acted otherwise; the configuration or the program has changed.
        """
        try:
            self._history.replay(records)
        except StudyError as error:
            raise StudyError(f"{self._journal.path}: can't go on: {error}") from error.__cause__
        self._seconds_before = self._view.seconds
        self._kept = next((t for t in self._view.ranking() if t.state in FINAL and t.is_usable), None)

    def run(self) -> End:
        """Runs until the budget ends, the search space or the scheduler is exhausted, or Ctrl-C.

        Raises:
            StudyError: the journal can't be written; nothing was done that isn't recorded.
        """
        details: Record = {}
        with signals_as_interrupt():
            try:
                end = self._loop()
            except KeyboardInterrupt:
                end = End("interrupted", "stopped by Ctrl-C")
            except ComponentError as error:
                end = End("failed", str(error))
                details["traceback"] = "".join(traceback.format_exception(error))
            finally:
                self._executor.close()
        self._catch_up()
        now = self._clock()
        ended = {"event": "result", "outcome": "interrupted", "error": "", "traceback": "", "time": now}
        running = [trial.id for trial in self._view.trials.values() if trial.state is State.RUNNING]
        end_record = {"event": "end", "state": end.state, "reason": end.reason, "time": now, **details}
        self._record(*({**ended, "trial": trial_id} for trial_id in running), end_record)
        return end

    def _loop(self) -> End:
        self._began = self._monotonic()
        self._record(*self._history.due)
        self._record({"event": "session", "pid": os.getpid(), "n_trials": self._budget.n_trials, "time": self._clock()})
        self._resume()
        while (end := self._over()) is None:
            answer = self._fill()
            if not self._at_work:
                end = self._nothing_to_do(answer)
                break
            for event in self._executor.wait(self._seconds_left()):
                self._take(event)
        return End("failed", failures_text(self._view)) if self._view.all_failed else end

    def _resume(self) -> None:
        """Takes up what earlier sessions left: checkpoints to drop, results to record, jobs to hand out again."""
        for trial in self._view.trials.values():
            if trial.state in FINAL and trial is not self._kept:
                self._executor.discard(trial.id)
        for job in list(self._history.jobs.values()):
            if self._view.trials[job.trial.id].resource < job.resource:
                self._backlog.append(job)
            else:  # the session died between the last report and the result that follows it
                self._record_result(Result(job.trial.id, Outcome.DONE, self._clock()))

    def _fill(self) -> Wait | Done | None:
        """Gives every free worker a job; returns what the scheduler answers if it has none for one."""
        while len(self._at_work) < self._executor.capacity:
            if self._backlog:
                job = self._backlog.pop(0)
            else:
                answer = self._history.next_job()
                if not isinstance(answer, Job):
                    return answer
                job = answer
                self._record(*self._history.submission(job, self._clock()))
            self._at_work[job.trial.id] = job
            self._executor.submit(job, self._view.trials[job.trial.id].resource)
        return None

    def _nothing_to_do(self, answer: Wait | Done | None) -> End:
        if isinstance(answer, Done):
            return End("completed", "the search is complete")
        if answer is None:
            return End("failed", "the executor has no room for a job")
        raise ComponentError(
            f"{self._history.scheduler_name}.next_job answers WAIT while no job is at work, so there is nothing that "
            "it could wait for; the interface asks for DONE where no job will ever come"
        )

    def _take(self, event: Event) -> None:
        if isinstance(event, Notice):
            for listener in self._listeners:
                listener.say(event.text)
        elif isinstance(event, Report):
            self._on_report(self._at_work[event.trial_id], event)
        else:
            del self._at_work[event.trial_id]
            if event.trial_id in self._history.jobs:  # else it was stopped, even if its worker died of something else
                self._record_result(event)

    def _on_report(self, job: Job, report: Report) -> None:
        # Trained again after a crash, up to where the records end: nothing new, and the trial goes on.
        if report.resource > self._view.trials[report.trial_id].resource:
            record = {"event": "report", "trial": report.trial_id, "resource": report.resource}
            record |= {"metrics": dict(report.metrics), "time": report.time}
            self._record(record, *self._history.consequences(record))
        if job.trial.id not in self._history.jobs:
            self._executor.cancel(job.trial.id)

    def _record_result(self, result: Result) -> None:
        record = {"event": "result", "trial": result.trial_id, "outcome": result.outcome.value, "error": result.error}
        record |= {"traceback": result.traceback, "time": result.time}
        self._record(record, *self._history.consequences(record))

    # -- records and checkpoints ---------------------------------------------------------------------------------

    def _record(self, *records: Record) -> None:
        elapsed = round(self._elapsed(), 3)
        timed = [{**record, "elapsed": elapsed} for record in records]
        self._journal.append(*timed)
        for record in timed:
            self._show(record)

    def _show(self, record: Record) -> None:
        """Lets all know what is in the journal."""
        self._history.apply(record)
        for listener in self._listeners:
            listener.update(record)
        if record["event"] == "decision" and State(record["state"]) in FINAL:
            self._tidy(self._view.trials[record["trial"]])

    def _catch_up(self) -> None:
        """Takes into the view what is in the journal and not in the view, after an interrupt between the two."""
        for record in self._journal.recover()[self._view.n_records :]:
            self._view.apply(record)

    def _tidy(self, through: TrialView) -> None:
        """Keeps one checkpoint of the trials that are through, the best one's: better ones at work may yet fail."""
        dropped: TrialView | None = through
        if through.is_usable and (self._kept is None or through.rank < self._kept.rank):
            dropped, self._kept = self._kept, through
        if dropped is not None:
            self._executor.discard(dropped.id)

    # -- the budget ----------------------------------------------------------------------------------------------

    def _elapsed(self) -> float:
        """Seconds that the study has run, earlier sessions included."""
        return self._seconds_before + self._monotonic() - self._began

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
        return max(0.0, self._budget.max_seconds - self._elapsed())
