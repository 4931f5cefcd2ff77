"""The loop that joins scheduler, searcher, executor and journal: one study, until its budget ends.

    next_job -> journal -> executor;  report -> scheduler -> journal -> executor;  result -> scheduler -> journal

What an event leads to (history.py) is recorded in one piece before anything outside this process is told; only then
are the view, the listeners and the executor. So wherever a crash or an interrupt comes, the journal says what was done,
and a resumed study makes up for what is missing: it folds the records again (`replay`), hands out the jobs that were in
flight, and has checkpoints dropped that nobody needs.

A new trial's configuration may take the searcher a while. It is computed beside the loop, which answers the workers
meanwhile and is woken when the configuration is there.
"""

from __future__ import annotations

import heapq
import os
import socket
import traceback
from collections.abc import Iterable, Sequence
from typing import Protocol

from hpo_pipeline.budget import Budget, End
from hpo_pipeline.errors import ComponentError, StudyError
from hpo_pipeline.executor import Executor
from hpo_pipeline.history import History
from hpo_pipeline.interrupt import signals_as_interrupt
from hpo_pipeline.journal import Journal, Record
from hpo_pipeline.records import named_alike
from hpo_pipeline.scheduler import DONE, WAIT, Scheduler
from hpo_pipeline.scheduler.finalists import NO_FINALISTS, FinalistSettings
from hpo_pipeline.searcher import NoTrial
from hpo_pipeline.searcher.trial_generator import TrialGenerator
from hpo_pipeline.trial import FINAL, Event, Job, Notice, Outcome, Report, Result, State
from hpo_pipeline.view import StudyView, TrialView

_FINAL = frozenset(state.value for state in FINAL)


class Listener(Protocol):
    """Sees every record after it was written and taken into the view, and notices (the table in the terminal)."""

    def update(self, record: Record) -> None: ...

    def say(self, notice: str) -> None: ...


class Tuner:
    """One session of a study.

    Args:
        scheduler, trials, executor, journal: the study's, `trials` being what the scheduler asks for new ones. The
            clock is the executor's.
        view: the fold of the journal so far; this class alone applies records to it.
        budget: when to end.
        finalists: what comes after the search.
        listeners: told of each record.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        trials: TrialGenerator,
        executor: Executor,
        journal: Journal,
        view: StudyView,
        budget: Budget,
        listeners: Sequence[Listener] = (),
        finalists: FinalistSettings = NO_FINALISTS,
    ) -> None:
        self._history = History(scheduler, trials, view, finalists)
        self._searcher = trials.searcher
        self._executor = executor
        self._journal = journal
        self._view = view
        self._budget = budget
        self._listeners = listeners
        self._finalists = finalists
        self._began = executor.monotonic()
        self._seconds_before = 0.0
        self._at_work: dict[int, Job] = {}
        """Trial id -> the job that takes up a place of the executor."""
        self._backlog: list[Job] = []
        """Jobs that were in flight when the last session ended; handed out again as there is room."""
        self._kept: list[TrialView] = []
        """The best trials that are through: their checkpoints stay."""

    def replay(self, records: Iterable[Record], beginnings: Iterable[Record] | None = None) -> None:
        """Folds the records of earlier sessions, before `run`.

        Args:
            records: all of them; gone through once if the beginnings are given.
            beginnings: those of sessions and trials alone (`session`, `suggested`).

        Raises:
            StudyError: the scheduler would have acted otherwise; the configuration or the program has changed.
        """
        try:
            self._history.replay(records, beginnings)
        except StudyError as error:
            raise StudyError(f"{self._journal.path}: can't go on: {error}") from error.__cause__
        self._executor.begin_after(self._view.latest)
        self._seconds_before = self._view.seconds
        self._kept = self._best_of(trial for trial in self._view.trials.values() if trial.state in FINAL)

    def begin(self, header: Record) -> None:
        """Records which study this is, where the journal doesn't say it yet; after `replay`, before `run`."""
        self._journal.append(header)
        self._history.apply(header)
        self._executor.begin_after(self._view.latest)

    def run(self) -> End:
        """Runs until the budget ends, the search space or the scheduler is exhausted, or Ctrl-C.

        Raises:
            StudyError: the journal can't be written; nothing was done that isn't recorded.
        """
        details: Record = {}
        broken_off = True
        with signals_as_interrupt():
            try:
                end = self._loop()
                broken_off = False
            except KeyboardInterrupt:
                end = End("interrupted", "stopped by Ctrl-C")
            except ComponentError as error:
                end = End("failed", str(error))
                details["traceback"] = "".join(traceback.format_exception(error))
            finally:
                self._executor.close()
        if broken_off:  # else the view has it all, and a long journal takes a while to read
            self._catch_up()
        now = self._executor.clock()
        ended = {"event": "result", "outcome": "interrupted", "error": "", "traceback": "", "time": now}
        running = [trial.id for trial in self._view.trials.values() if trial.state is State.RUNNING]
        end_record = {"event": "end", "state": end.state, "reason": end.reason, "time": now, **details}
        self._record(*({**ended, "trial": trial_id} for trial_id in running), end_record)
        return end

    def _loop(self) -> End:
        self._began = self._executor.monotonic()
        self._record(*self._history.due)
        session = {"event": "session", "session": self._view.sessions + 1, "host": socket.gethostname()}
        session |= {"simulated": True} if self._executor.is_simulated else {}
        now = self._executor.clock()
        session |= {"pid": os.getpid(), "n_trials": self._budget.n_trials}
        if self._finalists.n:
            session["finalists"] = {"n": self._finalists.n, "seeds": self._finalists.seeds}
        self._record({**session, "time": now})
        self._resume()
        if not self._executor.works_in_wait:
            self._searcher.beside(self._executor.wake)
            self._journal.when_lost(self._executor.wake)
        while (end := self._budget.end(self._view, self._elapsed())) is None:
            self._journal.check()
            answer = self._fill()
            if self._at_work or (answer is None and self._executor.grows):
                for event in self._executor.wait(self._budget.seconds_left(self._elapsed())):
                    self._take(event)
            elif answer is WAIT and self._searcher.at_work:
                self._searcher.wait(self._budget.seconds_left(self._elapsed()))
            else:
                end = self._nothing_to_do(answer)
                break
        return End("failed", self._view.failures_text) if self._view.all_failed else end

    def _resume(self) -> None:
        """Takes up what earlier sessions left: checkpoints to drop, results to record, jobs to hand out again."""
        for trial in self._view.trials.values():
            if trial.state in FINAL and trial not in self._kept:
                self._executor.discard(trial.id)
        for job in list(self._history.jobs.values()):
            trial = self._view.trials[job.trial.id]
            if trial.resource < job.resource and not trial.finished:
                self._backlog.append(job)
            else:  # the session died between the last report and the result that follows it
                self._record_result(Result(job.trial.id, Outcome.DONE, self._executor.clock()))

    def _fill(self) -> NoTrial | None:
        """Gives every free worker a job; returns what the scheduler answers if it has none for one."""
        while len(self._at_work) < self._executor.capacity:
            if self._backlog:
                job = self._backlog.pop(0)
            else:
                answer = self._history.next_job()
                if not isinstance(answer, Job):
                    return answer
                job = answer
                submission = self._history.submission(job, self._executor.clock())
                self._record(*submission, *self._history.consequences(submission[-1]))
                if job.trial.id not in self._history.jobs:  # it has finished: there is nothing to train
                    continue
            self._at_work[job.trial.id] = job
            self._executor.submit(job, self._view.trials[job.trial.id].resource)
        return None

    def _nothing_to_do(self, answer: NoTrial | None) -> End:
        if answer is DONE:
            return End("completed", "the search is complete")
        if answer is None:
            return End("failed", "the executor has no room for a job")
        raise ComponentError(
            f"{self._history.scheduler_name}.next_job answers WAIT while no job is at work, so there is nothing that "
            "it could wait for; the interface asks for DONE where no job will ever come, and of a searcher that it is "
            "ready then"
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
            record |= {"metrics": named_alike(report.metrics), "time": report.time}
            record |= {"finished": report.finished} if report.finished else {}
            record |= {"node": report.node} if report.node else {}
            self._record(record, *self._history.consequences(record))
        if job.trial.id not in self._history.jobs:
            self._executor.cancel(job.trial.id)

    def _record_result(self, result: Result) -> None:
        record = {"event": "result", "trial": result.trial_id, "outcome": result.outcome.value, "error": result.error}
        record |= {"traceback": result.traceback, "time": result.time}
        record |= {"finished": result.finished} if result.finished else {}
        record |= {"node": result.node} if result.node else {}
        self._record(record, *self._history.consequences(record))

    # -- records and checkpoints ---------------------------------------------------------------------------------

    def _record(self, *records: Record) -> None:
        elapsed = round(self._elapsed(), 3)
        timed = [{**record, "elapsed": elapsed} for record in records]
        self._journal.append(*timed)
        for record in timed:
            self._history.apply(record)
            for listener in self._listeners:
                listener.update(record)
            if record["event"] == "decision" and record["state"] in _FINAL:
                self._tidy(self._view.trials[record["trial"]])

    def _catch_up(self) -> None:
        """Takes into the view what is in the journal and not in the view, after an interrupt between the two."""
        for record in self._journal.recover(self._view.n_records):
            self._view.apply(record)

    def _tidy(self, through: TrialView) -> None:
        """Keeps the checkpoints of the best that are through: better ones at work may yet fail, and some go on."""
        candidates = {trial.id: trial for trial in (*self._kept, through)}
        self._kept = self._best_of(candidates.values())
        for trial in candidates.values():
            if trial not in self._kept:
                self._executor.discard(trial.id)

    def _best_of(self, trials: Iterable[TrialView]) -> list[TrialView]:
        """As many as may be finalists, one at least. A further seed of a finalist only tells how good that one is."""
        usable = (trial for trial in trials if trial.is_usable and trial.repeats is None)
        return heapq.nsmallest(max(1, self._finalists.n), usable, key=lambda trial: trial.rank)

    def _elapsed(self) -> float:
        """Seconds that the study has run, earlier sessions included."""
        return self._seconds_before + self._executor.monotonic() - self._began
