"""Simulated workers: when things happen, by hand, and what they cost."""

from __future__ import annotations

import math

import pytest
from pools import curve_of, job, setup, until_results

from hpo_pipeline.executor.simulated import SimulatedWorkers
from hpo_pipeline.objective import TrialSpec
from hpo_pipeline.trial import Outcome, Report, Result


class Timed:
    """A curve 1/r of which each unit takes the trial's `x` seconds; trial 9 fails."""

    def start(self, trial: TrialSpec) -> list[float]:
        return [trial.config["x"], 0.0, trial.config["trial"]]

    def advance(self, state: list[float]) -> dict[str, float]:
        state[1] += 1
        if state[2] == 9:
            raise RuntimeError("no")
        return {"loss": 1 / state[1], "seconds": state[0]}


def times(executor: SimulatedWorkers, n: int) -> list[tuple[float, int, int | Outcome]]:
    """When what was reported, up to the `n`-th result; by the clock, which the events agree with."""
    seen: list[tuple[float, int, int | Outcome]] = []
    while sum(isinstance(what, Outcome) for _, _, what in seen) < n:
        for event in executor.wait():
            assert isinstance(event, Report | Result)
            assert event.time == executor.clock() == executor.monotonic()
            what = event.resource if isinstance(event, Report) else event.outcome
            seen.append((event.time, event.trial_id, what))
    return seen


def test_each_unit_takes_what_it_reports_and_a_failing_one_a_second():
    executor = SimulatedWorkers(setup(), 3, Timed())
    for trial, x in ((0, 2.0), (1, 3.0), (9, 4.0)):
        executor.submit(job(trial, 2, x=x), 0)
    assert times(executor, 3) == [
        (1.0, 9, Outcome.FAILED),
        (2.0, 0, 1),
        (3.0, 1, 1),
        (4.0, 0, 2),
        (4.0, 0, Outcome.DONE),
        (6.0, 1, 2),
        (6.0, 1, Outcome.DONE),
    ]


def test_a_unit_of_an_objective_that_reports_no_seconds_takes_one():
    executor = SimulatedWorkers(setup("curve"))
    executor.submit(job(0, 2), 0)
    events = until_results(executor)
    assert curve_of(events) == [(1, 0.5), (2, 0.25)]
    assert [event.metrics["seconds"] for event in events if isinstance(event, Report)] == [1.0, 1.0]
    assert executor.clock() == 2.0


@pytest.mark.parametrize("x", [-1.0, math.inf])
def test_a_unit_that_can_take_no_such_time_fails_the_trial(x):
    executor = SimulatedWorkers(setup(), 1, Timed())
    executor.submit(job(0, 1, x=x), 0)
    (failed,) = until_results(executor)
    assert failed.error == f"ValueError: a unit of resource can't take {x:g} seconds"
    assert executor.clock() == 1.0


def test_time_passes_as_far_as_it_was_waited_for():
    executor = SimulatedWorkers(setup(), 1, Timed(), now=100.0)
    executor.submit(job(0, 1, x=2.0), 0)
    assert executor.wait(1.5) == []
    assert executor.clock() == 101.5
    assert len(executor.wait(0.5)) == 2
    assert executor.clock() == 102.0
    assert executor.wait(1.0) == []
    assert executor.clock() == 103.0


def test_a_wait_that_is_shorter_than_the_clock_can_show_moves_it_all_the_same():
    executor = SimulatedWorkers(setup(), 1, Timed(), now=1e9)
    executor.submit(job(0, 1, x=2.0), 0)
    executor.wait(1e-12)
    assert 1e9 < executor.clock() < 1e9 + 1e-6


def test_a_cancelled_job_ends_at_once_and_its_place_is_free():
    executor = SimulatedWorkers(setup(), 2, Timed())
    executor.submit(job(0, 2, x=10.0), 0)
    executor.submit(job(1, 2, x=2.0), 0)
    executor.wait()
    executor.cancel(0)
    executor.cancel(0)
    assert [(event.trial_id, event.outcome, event.time) for event in executor.wait()] == [(0, Outcome.STOPPED, 2.0)]
    executor.submit(job(2, 1, x=1.0), 0)
    assert times(executor, 2) == [(3.0, 2, 1), (3.0, 2, Outcome.DONE), (4.0, 1, 2), (4.0, 1, Outcome.DONE)]


def test_a_trial_goes_on_where_its_records_end_though_its_state_is_lost():
    executor = SimulatedWorkers(setup(), 1, Timed())
    executor.submit(job(0, 4, x=1.0), 2)
    assert curve_of(until_results(executor)) == [(3, 1 / 3), (4, 1 / 4)]
    executor.submit(job(0, 6, x=1.0), 5)  # the records end later than the state that it has
    assert curve_of(until_results(executor)) == [(6, 1 / 6)]
    executor.submit(job(0, 7, x=1.0), 6)
    executor.discard(0)
    assert curve_of(until_results(executor)) == [(7, 1 / 7)]


def test_nothing_is_kept_of_trials_that_are_discarded():
    executor = SimulatedWorkers(setup(), 40, Timed())
    for trial in range(10, 50):
        executor.submit(job(trial, 3, x=1.0), 0)
        if trial % 4 == 1:
            executor.cancel(trial)
        for ended in (event for event in executor.wait() if isinstance(event, Result)):
            executor.discard(ended.trial_id)
    while executor._running:
        for ended in (event for event in executor.wait() if isinstance(event, Result)):
            executor.discard(ended.trial_id)
    executor.wait(100.0)
    assert not executor._running
    assert not executor._paused
    assert not executor._events
