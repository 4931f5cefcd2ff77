"""A searcher beside the loop: nobody waits for it, it hears all in order, and never has two threads in it."""

from __future__ import annotations

import threading

import pytest
from heard import evaluated, started
from sessions import RecordingExecutor, fifo

from hpo_pipeline.budget import Budget, End
from hpo_pipeline.errors import ComponentError
from hpo_pipeline.journal import VERSION, Journal
from hpo_pipeline.scheduler import DONE
from hpo_pipeline.searcher import EXHAUSTED, NOT_READY, Searcher, Suggestion
from hpo_pipeline.searcher.asking import AskedSearcher
from hpo_pipeline.searcher.trial_generator import TrialGenerator
from hpo_pipeline.simulation import METRIC, SPACE
from hpo_pipeline.tuner import Tuner
from hpo_pipeline.view import StudyView

SECONDS = 30
"""Until a test gives up; nothing takes that long unless it is broken."""


class Gated(Searcher):
    """Suggests x = how much it has heard; every suggestion goes through a gate."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.woken = threading.Event()
        self.heard: list[str] = []
        self.asked: list[int] = []
        self._inside = threading.Lock()

    def suggest(self, trial_id, first_rung=0):
        assert self._inside.acquire(blocking=False), "two threads"
        self.asked.append(trial_id)
        assert self.gate.wait(SECONDS)
        self._inside.release()
        return {"x": len(self.heard) / 100}

    def on_submitted(self, job):
        assert self._inside.acquire(blocking=False), "two threads"
        self.heard.append(f"submitted {job.trial.id}")
        self._inside.release()

    def on_evaluation(self, evaluation):
        assert self._inside.acquire(blocking=False), "two threads"
        self.heard.append(f"evaluated {evaluation.trial.id}")
        self._inside.release()


@pytest.fixture
def searcher():
    made = Gated()
    yield made
    made.gate.set()


@pytest.fixture
def beside(searcher):
    made = AskedSearcher(searcher, SPACE)
    made.beside(searcher.woken.set)
    return made


def test_a_suggestion_that_takes_its_time_is_not_ready_until_it_is_there_and_then_wakes(searcher, beside):
    assert [beside.suggest(0, 0), beside.suggest(0, 0)] == [NOT_READY, NOT_READY]
    assert beside.at_work
    searcher.gate.set()
    assert searcher.woken.wait(SECONDS)
    assert beside.suggest(0, 0) == Suggestion({"x": 0.0})
    assert not beside.at_work
    assert searcher.asked == [0]


def test_what_happens_meanwhile_is_heard_afterwards_in_its_order(searcher, beside):
    started(beside, 0, {"x": 0.5})
    assert beside.suggest(1, 0) is NOT_READY
    evaluated(beside, 0, {"x": 0.5}, 1, 0.1)
    started(beside, 7, {"x": 0.7})
    assert searcher.heard == ["submitted 0"]
    searcher.gate.set()
    beside.wait()
    assert beside.suggest(1, 0) == Suggestion({"x": 0.01})  # what it had heard when it was asked
    assert searcher.heard == ["submitted 0", "evaluated 0", "submitted 7"]


def test_one_that_is_quick_is_answered_at_once(searcher, beside):
    searcher.gate.set()
    answers = [beside.suggest(i, 0) for i in range(20)]
    if NOT_READY not in answers:  # on a machine that is very busy, one may take long
        assert not searcher.woken.is_set()
    beside.wait()
    assert beside.suggest(20, 0) in (Suggestion({"x": 0.0}), NOT_READY)


def test_a_suggestion_for_another_trial_or_rung_is_not_used(searcher, beside):
    assert beside.suggest(0, 0) is NOT_READY
    searcher.gate.set()
    beside.wait()
    started(beside, 0, {"x": 0.5})
    while (answer := beside.suggest(0, 1)) is NOT_READY:
        beside.wait()
    assert answer == Suggestion({"x": 0.01})
    assert searcher.asked == [0, 0]


def test_what_it_raises_is_raised_where_it_is_asked(searcher, beside):
    searcher.suggest = lambda *_: {}["gone"]

    def answer():
        while (config := beside.suggest(0, 0)) is NOT_READY:
            beside.wait()
        return config

    with pytest.raises(ComponentError, match=r"Gated\.suggest raised KeyError"):
        answer()


class Beside(RecordingExecutor):
    """A simulated executor that can be woken, as those with workers of their own."""

    def __init__(self, *given, **named):
        super().__init__(*given, **named)
        self.works_in_wait = False


def study(executor, searcher, folder, n_trials):
    trials = TrialGenerator(searcher, SPACE, n_trials)
    view = StudyView()
    with Journal(folder / "journal.jsonl") as journal:
        header = {"event": "study", "version": VERSION, "name": "s", "time": 0.0}
        header["metrics"] = [{"name": METRIC, "mode": "min"}]
        journal.append(header)
        tuner = Tuner(fifo(trials), trials, executor, journal, view, Budget(n_trials=n_trials))
        tuner.replay([header])
        return tuner.run(), view


def test_workers_are_answered_while_a_configuration_is_computed(tmp_path):
    """Trial 1's configuration is there only when trial 0 has reported three units."""

    class Slow(Searcher):
        def __init__(self) -> None:
            self.reports = threading.Semaphore(0)

        def suggest(self, trial_id, first_rung=0):
            if trial_id == 1:
                for _ in range(3):
                    assert self.reports.acquire(timeout=SECONDS)
            return {"x": trial_id / 10}

    searcher = Slow()

    class Counting(Beside):
        def wait(self, timeout=None):
            searcher.reports.release()
            return super().wait(timeout)

    end, view = study(Counting(2, lambda *_: 0.5), searcher, tmp_path, n_trials=3)
    assert end == End("completed", "the search is complete")
    assert [trial.resource for trial in view.trials.values()] == [4, 4, 4]


def test_with_nothing_at_work_a_study_waits_for_its_searcher(tmp_path, searcher):
    woken = searcher.gate.set
    threading.Timer(0.05, woken).start()
    end, view = study(Beside(1, lambda *_: 0.5), searcher, tmp_path, n_trials=2)
    assert end == End("completed", "the search is complete")
    assert len(view.trials) == 2


def test_a_searcher_that_is_never_ready_is_a_failed_study_and_not_an_endless_one(tmp_path):
    class Never(Searcher):
        def suggest(self, trial_id, first_rung=0):
            return NOT_READY

    end, _ = study(RecordingExecutor(1, lambda *_: 0.5), Never(), tmp_path, n_trials=2)
    assert end.state == "failed"
    assert "FIFO.next_job answers WAIT while no job is at work" in end.reason


def test_a_searcher_may_wait_for_the_jobs_that_are_at_work(tmp_path):
    class Pairs(Searcher):
        """Two trials at a time; the next two when both have ended."""

        running = 0

        def suggest(self, trial_id, first_rung=0):
            if trial_id == 4:
                return EXHAUSTED
            return NOT_READY if trial_id % 2 == 0 and self.running else {"x": trial_id / 10}

        def on_submitted(self, job):
            self.running += 1

        def on_state(self, change):
            self.running -= 1

    executor = RecordingExecutor(3, lambda *_: 0.5)
    end, view = study(executor, Pairs(), tmp_path, n_trials=9)
    assert (end.state, len(view.trials), executor.clock()) == ("completed", 4, 8.0)


def test_a_study_whose_time_is_over_does_not_wait_for_its_searcher(tmp_path, searcher):
    executor = Beside(1, lambda *_: 0.5)
    ticks = iter(range(10_000))
    executor.monotonic = lambda: next(ticks) / 100
    trials = TrialGenerator(searcher, SPACE)
    with Journal(tmp_path / "journal.jsonl") as journal:
        header = {"event": "study", "version": VERSION, "name": "s", "time": 0.0}
        header["metrics"] = [{"name": METRIC, "mode": "min"}]
        journal.append(header)
        tuner = Tuner(fifo(trials), trials, executor, journal, StudyView(), Budget(max_seconds=0.2))
        tuner.replay([header])
        assert tuner.run() == End("completed", "max_seconds=0.2 are over")
    assert searcher.asked == [0]


def test_a_scheduler_that_is_done_ends_the_study_though_a_suggestion_was_never_fetched(tmp_path, searcher):
    class Once:
        """Asks for one trial, and does without it."""

        def __init__(self, scheduler) -> None:
            self.scheduler, self.asked = scheduler, 0

        def next_job(self):
            self.asked += 1
            return self.scheduler.next_job() if self.asked == 1 else DONE

    trials = TrialGenerator(searcher, SPACE, 3)
    with Journal(tmp_path / "journal.jsonl") as journal:
        header = {"event": "study", "version": VERSION, "name": "s", "time": 0.0}
        header["metrics"] = [{"name": METRIC, "mode": "min"}]
        journal.append(header)
        tuner = Tuner(Once(fifo(trials)), trials, Beside(1, lambda *_: 0.5), journal, StudyView(), Budget())
        tuner.replay([header])
        threading.Timer(0.05, searcher.gate.set).start()
        assert tuner.run() == End("completed", "the search is complete")
