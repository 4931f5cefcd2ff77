"""What every executor promises, and how worker processes share the jobs."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from pathlib import Path

import filelock
import pytest
from pools import curve_of, job, packs, results, setup, until_results

from hpo_pipeline.errors import ConfigError
from hpo_pipeline.executor.fused import FusedExecutor
from hpo_pipeline.executor.process import ProcessExecutor
from hpo_pipeline.executor.serial import SerialExecutor
from hpo_pipeline.trial import Outcome, Report, Result


def test_a_job_reports_each_unit_and_ends_with_its_last_report(opened):
    executor = opened()
    executor.submit(job(3, 4), 0)
    answers = []
    while not answers or not isinstance(answers[-1][-1], Result):
        answers.append(executor.wait(60))
    events = [event for answer in answers for event in answer]
    assert curve_of(events) == [(1, 0.5), (2, 0.25), (3, 0.5 / 3), (4, 0.125)]
    assert [type(event) for event in answers[-1]][-2:] == [Report, Result]
    assert events[-1].outcome is Outcome.DONE
    assert len(list(Path("trials/3").glob("4.*.ckpt"))) == 1


def test_a_trial_goes_on_where_its_last_job_ended(opened_any):
    executor = opened_any()
    for resource, recorded in ((2, 0), (5, 2)):
        executor.submit(job(0, resource), recorded)
        events = until_results(executor)
    assert [at for at, _ in curve_of(events)] == [3, 4, 5]


def test_an_objective_that_raises_fails_the_trial_and_its_traceback_is_in_the_log(opened):
    executor = opened()
    executor.submit(job(0, 3, x=-1), 0)
    (failed,) = results(until_results(executor))
    assert (failed.outcome, failed.error) == (Outcome.FAILED, "RuntimeError: no")
    assert 'raise RuntimeError("no\\nsuch luck")' in failed.traceback
    assert failed.traceback in Path("trials/0/log.txt").read_text()
    executor.submit(job(1, 1), 0)
    assert curve_of(until_results(executor)) == [(1, 0.5)]


def test_an_objective_without_the_metric_fails_and_names_those_that_it_has(opened_any):
    executor = opened_any()
    executor.submit(job(0, 3, x=-2), 0)
    (failed,) = results(until_results(executor))
    assert failed.outcome is Outcome.FAILED
    assert "no 'loss'" in failed.error
    assert "other" in failed.error


def test_a_trial_that_is_stopped_reports_nothing_more_and_frees_its_place(opened_any):
    executor = opened_any()
    executor.submit(job(0, 5, milestones=[2, 4]), 0)
    seen = []
    while not seen or seen[-1].resource < 2:
        seen += executor.wait(60)
    executor.cancel(0)
    (stopped,) = until_results(executor)
    assert (stopped.trial_id, stopped.outcome) == (0, Outcome.STOPPED)
    executor.submit(job(1, 1), 0)
    assert curve_of(until_results(executor)) == [(1, 0.5)]


def test_a_trial_that_may_go_on_goes_on(opened_any):
    executor = opened_any()
    executor.submit(job(0, 3, milestones=[1, 2]), 0)
    events = []
    while not events or isinstance(events[-1], Report):
        events += executor.wait(60)
    assert [at for at, _ in curve_of(events)] == [1, 2, 3]


def test_a_job_is_cancelled_between_any_two_units_and_reports_nothing_more(opened_any):
    executor = opened_any()
    executor.submit(job(0, 10**9), 0)
    assert executor.wait(60)
    executor.cancel(0)
    executor.cancel(0)
    (stopped,) = until_results(executor)
    assert (stopped.trial_id, stopped.outcome, stopped.error) == (0, Outcome.STOPPED, "")
    executor.submit(job(1, 2), 0)
    assert curve_of(until_results(executor)) == [(1, 0.5), (2, 0.25)]


def test_a_job_is_cancelled_before_it_has_begun(opened_any):
    executor = opened_any()
    executor.submit(job(0, 3), 0)
    executor.cancel(0)
    assert [result.outcome for result in until_results(executor)] == [Outcome.STOPPED]


def test_of_a_trial_without_a_job_nothing_is_cancelled(opened_any):
    executor = opened_any()
    executor.cancel(0)
    executor.submit(job(0, 1), 0)
    until_results(executor)
    executor.cancel(0)
    executor.submit(job(0, 2), 1)
    assert curve_of(until_results(executor)) == [(2, 0.25)]


def test_the_clocks_of_executors_that_train_are_the_system_s(opened):
    executor = opened()
    assert time.time() <= executor.clock() <= time.time()
    assert time.monotonic() <= executor.monotonic() <= time.monotonic()


def test_what_works_beside_the_tuner_can_be_woken(opened):
    executor = opened("endless")
    if executor.works_in_wait:
        executor.wake()
        return
    executor.submit(job(0, 2), 0)
    assert curve_of(executor.wait(60)) == [(1, 0.0)]
    executor.wake()
    assert executor.wait() == []
    thread = threading.Thread(target=executor.wake)
    thread.start()
    assert executor.wait() == []
    thread.join()
    executor.close()
    executor.wake()


def test_a_job_that_has_ended_when_it_is_cancelled_is_cancelled(pool):
    pool.submit(job(0, 1), 0)
    pool.wait(0)  # which lets the worker begin
    (worker,) = pool._transport._workers.values()
    assert worker.pipe.poll(60)
    pool.cancel(0)
    assert [(type(event), event.outcome) for event in until_results(pool)] == [(Result, Outcome.STOPPED)]
    pool.submit(job(0, 2), 1)
    assert curve_of(until_results(pool)) == [(2, 0.25)]


def test_a_discarded_trial_leaves_no_checkpoint(opened):
    executor = opened()
    executor.submit(job(0, 2), 0)
    until_results(executor)
    executor.discard(0)
    executor.discard(1)
    assert not list(Path("trials/0").glob("*.ckpt"))


def test_what_a_trial_prints_is_in_its_log(pool):
    pool.submit(job(0, 2), 0)
    until_results(pool)
    pool.close()
    assert Path("trials/0/log.txt").read_text() == "resource 1\nresource 2\n"


def test_two_jobs_run_in_two_processes_and_a_trial_returns_to_its_own(pool):
    pool.submit(job(0, 1), 0)
    pool.submit(job(1, 1), 0)
    pids = {event.trial_id: event.metrics["pid"] for event in until_results(pool, 2) if isinstance(event, Report)}
    assert len(set(pids.values())) == 2
    assert os.getpid() not in pids.values()
    for trial in (1, 0):
        pool.submit(job(trial, 2), 1)
        assert until_results(pool)[0].metrics["pid"] == pids[trial]


def test_jobs_are_spread_evenly_over_the_workers():
    executor = packs(n_workers=2, size=8)
    for trial in range(16):
        executor.submit(job(trial, 1), 0)
    pids = Counter(event.metrics["pid"] for event in until_results(executor, 16) if isinstance(event, Report))
    executor.close()
    assert sorted(pids.values()) == [8, 8]


def test_a_stopped_trial_of_a_pack_is_not_advanced_again():
    executor = packs(n_workers=1, size=2)
    executor.submit(job(0, 3, milestones=[1]), 0)
    executor.submit(job(1, 3), 0)
    seen = []
    while sum(isinstance(event, Result) for event in seen) < 2:
        for event in executor.wait(60):
            seen.append(event)
            if isinstance(event, Report) and (event.trial_id, event.resource) == (0, 1):
                executor.cancel(0)
    executor.close()
    reports = [(event.trial_id, event.resource) for event in seen if isinstance(event, Report)]
    assert reports == [(0, 1), (1, 1), (1, 2), (1, 3)]
    assert {event.trial_id: event.outcome for event in seen if isinstance(event, Result)} == {
        0: Outcome.STOPPED,
        1: Outcome.DONE,
    }


def test_a_pack_is_filled_before_it_goes_on():
    # The worker is idle when the first of four jobs comes, and does not run away with it.
    executor = packs(n_workers=1, size=8)
    for trial in range(4):
        executor.submit(job(trial, 2), 0)
    order = [event.trial_id for event in until_results(executor, 4) if isinstance(event, Report)]
    executor.close()
    assert sorted(order[:4]) == sorted(order[4:]) == [0, 1, 2, 3]


def test_closing_ends_workers_in_the_middle_of_an_epoch():
    executor = ProcessExecutor(setup("endless"), n_workers=1)
    executor.submit(job(0, 2), 0)
    assert curve_of(executor.wait(60)) == [(1, 0.0)]
    executor.close()
    filelock.FileLock("alive.lock").acquire(timeout=0)


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "2"])
@pytest.mark.parametrize(
    ("kind", "key"),
    [
        (ProcessExecutor, "n_workers"),
        (ProcessExecutor, "threads_per_worker"),
        (FusedExecutor, "n_workers"),
        (FusedExecutor, "pack_size"),
        (FusedExecutor, "threads"),
    ],
)
def test_counts_of_workers_threads_and_jobs_are_checked(kind, key, value):
    with pytest.raises(ConfigError, match=rf"^{key}: "):
        kind(setup(), **{key: value})


def test_there_are_as_many_packs_as_gpus_and_as_cores_where_there_are_none():
    assert FusedExecutor(setup(), devices=["0", "1", "2"], pack_size=5).capacity == 15
    assert FusedExecutor(setup(), pack_size=5).capacity == 5 * ProcessExecutor(setup()).capacity


def test_wrong_numbers_are_all_told_at_once():
    with pytest.raises(ConfigError) as error:
        ProcessExecutor(setup(), n_workers=0, threads_per_worker=-1, checkpoint_seconds=0)
    assert [problem.partition(":")[0] for problem in error.value.lines] == [
        "n_workers",
        "threads_per_worker",
        "checkpoint_seconds",
    ]


@pytest.mark.parametrize("kind", [SerialExecutor, ProcessExecutor, FusedExecutor])
@pytest.mark.parametrize("value", [0, -1, True, "2", float("nan")])
def test_a_time_limit_is_a_positive_number(kind, value):
    with pytest.raises(ConfigError, match=r"^job_timeout: must be a positive number of seconds, or null"):
        kind(setup(), job_timeout=value)


@pytest.mark.parametrize("kind", [ProcessExecutor, FusedExecutor])
@pytest.mark.parametrize("value", [-1, 0.5, True, None])
def test_a_number_of_retries_is_zero_or_more(kind, value):
    with pytest.raises(ConfigError, match=r"^max_retries: must be an integer of at least 0"):
        kind(setup(), max_retries=value)
