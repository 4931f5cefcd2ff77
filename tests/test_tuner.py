"""The loop: when it ends, how it ranks, what it drops, and what it tells."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import ClassVar

import pytest
from sessions import RecordingExecutor, Session, by_number, fifo, halving, promotion, stopping

from hpo_pipeline.budget import Budget, End
from hpo_pipeline.journal import Record
from hpo_pipeline.simulation import random_world
from hpo_pipeline.trial import Event, Notice, Outcome, Result, State
from hpo_pipeline.view import StudyView

# -- when it ends --------------------------------------------------------------------------------------------------


def test_a_study_ends_after_n_trials():
    assert len(Session(fifo, by_number, Budget(n_trials=3)).view.trials) == 3


def test_a_study_ends_when_its_total_resource_is_spent():
    session = Session(fifo, by_number, Budget(max_total_resource=6))
    assert session.view.total_resource == 6
    assert session.end == End("completed", "max_total_resource=6 is spent")
    assert session.view.trials[1].state is State.INTERRUPTED


def test_a_study_ends_when_its_seconds_are_over():
    # Each unit takes one second of the simulated clock.
    session = Session(fifo, by_number, Budget(max_seconds=10))
    assert session.view.total_resource == 10
    assert session.end == End("completed", "max_seconds=10 are over")


def test_seconds_are_those_of_the_tuner_whatever_times_workers_and_the_system_tell():
    class Unordered(RecordingExecutor):
        """Reports in an order of their own, as those of many workers, on a machine whose clock is set."""

        def wait(self, timeout: float | None = None) -> list[Event]:
            events = super().wait(timeout)
            return [replace(event, time=event.time + 1000 * (event.trial_id % 3)) for event in events]

    hours = itertools.cycle([0.0, 3600.0, -7200.0])
    given = {"executor": Unordered, "wall_clock": lambda: next(hours), "n_workers": 3}
    first = Session(fifo, by_number, Budget(n_trials=3), **given)
    assert first.view.seconds == 4.0  # three trials at once, four units of a second each
    longer = Session(fifo, by_number, Budget(n_trials=6, max_seconds=9), **given)
    assert longer.view.total_resource == 24
    assert longer.view.seconds == 8.0
    folded = StudyView()
    for record in longer.records:
        folded.apply(record)
    assert folded.seconds == 8.0


def test_the_seconds_of_a_journal_of_version_1_are_not_those_of_its_workers_added_up():
    # By hand: two workers; their reports come at 3, 1, 4, 2 seconds, and after ten seconds' rest at 1 and 2 more.
    view = StudyView()
    view.apply({"event": "study", "name": "s", "metrics": [{"name": "loss", "mode": "min"}], "time": 0.0})
    for began, times in ((0.0, [3.0, 1.0, 4.0, 2.0]), (14.0, [15.0, 16.0])):
        view.apply({"event": "session", "time": began})
        for time in times:
            view.apply({"event": "end", "state": "completed", "reason": "", "time": time})
    assert view.seconds == 4.0 + 2.0


def test_the_seconds_of_earlier_sessions_count():
    Session(fifo, by_number, Budget(max_seconds=10), dies_after=4)
    assert Session(fifo, by_number, Budget(max_seconds=10)).view.total_resource == 10


@pytest.mark.parametrize(("mode", "target"), [("min", 0.25), ("max", 1.0)])
def test_a_study_ends_when_the_target_is_reached(mode, target):
    # Trial 0 reports 1, 1/2, 1/3, 1/4: the minimum target is met with the last, the maximum one with the first.
    session = Session(fifo, by_number, Budget(target=target), mode=mode)
    assert session.end == End("completed", f"target={target:g} is reached")
    assert session.view.total_resource == {"min": 4, "max": 1}[mode]


def test_whichever_criterion_comes_first_ends_it():
    assert Session(fifo, by_number, Budget(n_trials=100, max_total_resource=5, target=-1)).view.total_resource == 5


def test_a_study_ends_when_the_searcher_has_nothing_more():
    session = Session(fifo, by_number, Budget(n_trials=0))
    assert session.end == End("completed", "the search is complete")


def test_a_study_whose_executor_takes_no_job_has_failed():
    session = Session(fifo, by_number, Budget(n_trials=3), n_workers=0)
    assert session.end == End("failed", "the executor has no room for a job")


def test_a_larger_n_trials_goes_on_with_a_study_that_was_through():
    Session(fifo, by_number, Budget(n_trials=2))
    longer = Session(fifo, by_number, Budget(n_trials=3))
    assert sorted(longer.view.trials) == [0, 1, 2]
    assert [job.trial.id for job in longer.executor.jobs] == [2]


def test_a_resumed_study_that_has_all_its_trials_starts_no_job():
    Session(fifo, by_number, Budget(n_trials=2))
    again = Session(fifo, by_number, Budget(n_trials=2))
    assert again.executor.jobs == []
    assert again.end.state == "completed"


# -- failures and what isn't finite --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n_trials", "allowed", "started"),
    [(20, None, 11), (80, None, 21), (20, 0, 1), (20, 3, 4)],
    ids=["ten of few", "a quarter of many", "none", "three"],
)
def test_more_failures_than_allowed_end_a_study_with_the_last_error(n_trials, allowed, started):
    session = Session(fifo, lambda *_: None, Budget(n_trials=n_trials), max_failures=allowed)
    told = "1 trial" if started == 1 else f"all {started} trials"
    assert session.end == End("failed", f"{told} failed; the last error: RuntimeError: simulated failure")
    assert len(session.view.trials) == started


def test_a_study_of_which_every_trial_failed_has_failed():
    session = Session(fifo, lambda _i, _c, r: None if r > 1 else 1.0, Budget(n_trials=4))
    assert session.end == End("failed", "all 4 trials failed; the last error: RuntimeError: simulated failure")


def test_failures_among_other_trials_are_counted_as_they_are():
    session = Session(fifo, lambda i, _c, r: float(r) if i == 0 else None, Budget(n_trials=9), max_failures=1)
    assert session.end == End("failed", "2 trials failed; the last error: RuntimeError: simulated failure")


def test_a_failed_trial_does_not_end_the_study():
    session = Session(fifo, lambda i, _c, r: None if i == 1 else float(r), Budget(n_trials=3))
    assert session.end.state == "completed"
    assert [t.state for t in session.view.trials.values()] == [State.COMPLETED, State.FAILED, State.COMPLETED]


def test_failed_trials_rank_behind_all_others_and_among_themselves_by_what_they_reached():
    # Each reports its value once; 0 and 1 fail then, 2 is the worst and 3 has no finite value.
    values = [1.0, 0.5, 9.0, math.nan]
    session = Session(fifo, lambda i, _c, r: None if i < 2 and r > 1 else values[i], Budget(n_trials=4))
    assert [trial.id for trial in session.view.ranking()] == [2, 3, 1, 0]


def test_a_best_trial_that_fails_hands_over_to_the_next_best():
    # Trial 1 reaches the lowest value and then fails; 2 never gets below 0.
    session = Session(fifo, lambda i, _c, r: None if (i, r) == (1, 3) else float(abs(i - 1)), Budget(n_trials=3))
    assert session.view.best is session.view.trials[0]
    assert [value for _, value, _ in session.view.best_history] == [1.0, 0.0, 1.0]


def test_a_study_in_which_every_value_is_of_a_failed_trial_has_no_best():
    session = Session(fifo, lambda _i, _c, r: None if r > 1 else 1.0, Budget(n_trials=2))
    assert session.view.best is None
    assert math.isnan(session.view.best_history[-1][1])


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("mode", ["min", "max"])
def test_a_metric_that_is_not_finite_is_no_failure_and_ranks_last(value, mode):
    session = Session(fifo, lambda i, _c, _r: value if i < 2 else 5.0, Budget(n_trials=3), mode=mode, max_failures=0)
    assert session.view.failures == 0
    assert [trial.id for trial in session.view.ranking()] == [2, 0, 1]


def test_in_mode_max_the_largest_is_promoted():
    # Values 0..3 on the first rung: 3 and 2 go on, then 3.
    session = Session(halving, lambda i, _c, _r: float(i), Budget(n_trials=4), mode="max")
    assert [job.trial.id for job in session.executor.jobs] == [0, 1, 2, 3, 3, 2, 3]


def test_points_to_evaluate_come_first_and_count_as_trials():
    points = [{"x": 0.125}, {"x": 0.75}]
    session = Session(fifo, by_number, Budget(n_trials=3), points=points)
    assert [t.config for t in session.view.trials.values()][:2] == points
    assert len(session.view.trials) == 3


# -- decisions and checkpoints -------------------------------------------------------------------------------------


def test_a_trial_that_the_scheduler_stops_ends_there_with_the_reason():
    # By hand, eta=2: 0 comes first and goes on to the end; 1 is second of two at the first rung, where one is kept.
    session = Session(stopping, by_number, Budget(n_trials=2))
    assert [(t.resource, t.state) for t in session.view.trials.values()] == [(4, State.COMPLETED), (1, State.STOPPED)]
    assert session.view.trials[1].reason == "rung 0: rank 2 of 2, kept 1"


def test_a_stopped_trial_makes_its_worker_free_for_the_next():
    session = Session(stopping, by_number, Budget(n_trials=6))
    assert len(session.view.trials) == 6
    assert session.view.total_resource == 4 + 5


def test_a_stopped_trial_whose_worker_died_before_it_heard_of_it_is_stopped_and_not_failed():
    class Dying(RecordingExecutor):
        def wait(self, timeout: float | None = None) -> list[Event]:
            died = {"outcome": Outcome.FAILED, "error": "the worker process ended"}
            return [replace(event, **died) if stopped(event) else event for event in super().wait(timeout)]

    def stopped(event: Event) -> bool:
        return isinstance(event, Result) and event.outcome is Outcome.STOPPED

    session = Session(stopping, by_number, Budget(n_trials=2), executor=Dying)
    assert [t.state for t in session.view.trials.values()] == [State.COMPLETED, State.STOPPED]
    again = Session(stopping, by_number, Budget(n_trials=3))
    assert [t.state for t in again.view.trials.values()] == [State.COMPLETED, State.STOPPED, State.STOPPED]


def test_checkpoints_are_dropped_of_all_trials_that_are_through_but_the_best_one():
    # Halving, 4 trials, the lower the number the better: 0 wins.
    session = Session(halving, by_number, Budget(n_trials=4))
    assert sorted(set(session.executor.discarded)) == [1, 2, 3]


def test_the_checkpoint_of_a_former_best_is_dropped():
    session = Session(fifo, lambda i, _c, _r: float(-i), Budget(n_trials=3))
    assert sorted(set(session.executor.discarded)) == [0, 1]


def test_the_best_checkpoint_is_there_even_if_a_better_trial_fails_later():
    # 1 is better than 0 from its first epoch on and fails in its last one, while 2, the worst, is through.
    def curve(trial_id: int, _config: object, resource: int) -> float | None:
        return None if (trial_id, resource) == (1, 4) else float([1, 0, 2][trial_id])

    session = Session(fifo, curve, Budget(n_trials=3), n_workers=3)
    assert session.view.best is session.view.trials[0]
    assert sorted(session.executor.discarded) == [1, 2]


def test_a_resumed_study_drops_the_checkpoint_of_the_best_before_when_a_trial_is_better():
    Session(fifo, lambda i, _c, _r: float(-i), Budget(n_trials=1))
    resumed = Session(fifo, lambda i, _c, _r: float(-i), Budget(n_trials=2))
    assert resumed.executor.discarded == [0]


def test_no_checkpoint_is_dropped_of_a_trial_that_can_still_be_promoted():
    curve, _ = random_world(8, failures=0.0)
    session = Session(promotion, curve, Budget(n_trials=9))
    waiting = [i for i, t in session.view.trials.items() if t.state is State.PAUSED]
    assert waiting
    assert not set(waiting) & set(session.executor.discarded)


# -- what executors tell besides -----------------------------------------------------------------------------------


def test_an_executor_that_finds_room_for_more_jobs_gets_them():
    class Growing(RecordingExecutor):
        at_work: ClassVar[list[int]] = []

        def wait(self, timeout: float | None = None) -> list[Event]:
            self.at_work.append(len(self._running))
            self.capacity = 3
            return super().wait(timeout)

    Session(fifo, by_number, Budget(n_trials=5), executor=Growing)
    assert Growing.at_work[:3] == [1, 3, 3]


def test_a_notice_is_said_to_listeners_and_not_recorded():
    class Telling(RecordingExecutor):
        def wait(self, timeout: float | None = None) -> list[Event]:
            return [Notice("packs of 64"), *super().wait(timeout)]

    class Ears:
        def __init__(self) -> None:
            self.heard: list[str] = []

        def update(self, record: Record) -> None:
            assert "packs of 64" not in str(record)

        def say(self, notice: str) -> None:
            self.heard.append(notice)

    ears = Ears()
    session = Session(fifo, by_number, Budget(n_trials=1), executor=Telling, listener=ears)
    assert ears.heard == ["packs of 64"] * 4
    assert "packs of 64" not in str(session.records)
