"""What every executor on this machine promises; for worker processes, what their deaths lead to."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import filelock
import pytest
from pools import curve_of, job, setup, until_results

from hpo_pipeline.errors import ConfigError
from hpo_pipeline.executor import Executor
from hpo_pipeline.executor.process import ProcessExecutor
from hpo_pipeline.executor.serial import SerialExecutor
from hpo_pipeline.trial import Outcome, Report, Result

HERE = Path(__file__).parent
Open = Callable[..., Executor]


@pytest.fixture(autouse=True)
def _trusted(monkeypatch):
    monkeypatch.setenv("HPO_TRUST", "trouble.*")
    monkeypatch.syspath_prepend(HERE)


@pytest.fixture(params=["serial", "process"])
def kind(request) -> str:
    return request.param


@pytest.fixture
def opened(kind) -> Iterator[Open]:
    executors: list[Executor] = []

    def make(function: str = "curve", **arguments) -> Executor:
        made = SerialExecutor(setup(function)) if kind == "serial" else ProcessExecutor(setup(function), **arguments)
        executors.append(made)
        return made

    yield make
    for executor in executors:
        executor.close()
        executor.close()


@pytest.fixture
def pool() -> Iterator[ProcessExecutor]:
    executor = ProcessExecutor(setup(), n_workers=2)
    yield executor
    executor.close()


def test_a_job_reports_each_unit_and_ends_with_its_last_report(opened):
    executor = opened(n_workers=1)
    executor.submit(job(3, 4), 0)
    answers = []
    while not answers or not isinstance(answers[-1][-1], Result):
        answers.append(executor.wait(60))
    events = [event for answer in answers for event in answer]
    assert curve_of(events) == [(1, 0.5), (2, 0.25), (3, 0.5 / 3), (4, 0.125)]
    assert [type(event) for event in answers[-1]][-2:] == [Report, Result]
    assert events[-1].outcome is Outcome.DONE
    assert Path("trials/3/4.ckpt").is_file()


def test_a_trial_goes_on_where_its_last_job_ended(opened):
    executor = opened(n_workers=1)
    for resource, recorded in ((2, 0), (5, 2)):
        executor.submit(job(0, resource), recorded)
        events = until_results(executor)
    assert [at for at, _ in curve_of(events)] == [3, 4, 5]


def test_an_objective_that_raises_fails_the_trial_and_its_traceback_is_in_the_log(opened):
    executor = opened(n_workers=1)
    executor.submit(job(0, 3, x=-1), 0)
    (failed,) = until_results(executor)
    assert (failed.outcome, failed.error) == (Outcome.FAILED, "RuntimeError: no")
    assert 'raise RuntimeError("no\\nsuch luck")' in failed.traceback
    assert failed.traceback in Path("trials/0/log.txt").read_text()
    executor.submit(job(1, 1), 0)
    assert curve_of(until_results(executor)) == [(1, 0.5)]


def test_an_objective_without_the_metric_fails_and_names_those_that_it_has(opened):
    executor = opened(n_workers=1)
    executor.submit(job(0, 3, x=-2), 0)
    (failed,) = until_results(executor)
    assert failed.outcome is Outcome.FAILED
    assert "no 'loss'" in failed.error
    assert "other" in failed.error


def test_a_trial_that_is_stopped_reports_nothing_more_and_frees_its_place(opened):
    executor = opened(n_workers=1)
    executor.submit(job(0, 5, decide_at=[2, 4]), 0)
    seen = []
    while not seen or seen[-1].resource < 2:
        seen += executor.wait(60)
    executor.decide(0, stop=True)
    (stopped,) = until_results(executor)
    assert (stopped.trial_id, stopped.outcome) == (0, Outcome.STOPPED)
    executor.submit(job(1, 1), 0)
    assert curve_of(until_results(executor)) == [(1, 0.5)]


def test_a_trial_that_may_go_on_goes_on(opened):
    executor = opened(n_workers=1)
    executor.submit(job(0, 3, decide_at=[1, 2]), 0)
    events = []
    while not events or isinstance(events[-1], Report):
        events += executor.wait(60)
        if isinstance(events[-1], Report):
            executor.decide(0, stop=False)
    assert [at for at, _ in curve_of(events)] == [1, 2, 3]


def test_a_discarded_trial_leaves_no_checkpoint(opened):
    executor = opened(n_workers=1)
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


@pytest.mark.parametrize(("x", "how"), [(2, "with exit code 7"), (3, f"by signal {int(signal.SIGABRT)}")])
def test_a_worker_that_dies_fails_its_trial_and_another_one_takes_over(pool, x, how):
    pool.submit(job(0, 3, x=x), 0)
    (failed,) = until_results(pool)
    assert (failed.trial_id, failed.outcome) == (0, Outcome.FAILED)
    assert failed.error == f"the worker process ended {how}"
    pool.submit(job(1, 2), 0)
    assert curve_of(until_results(pool)) == [(1, 0.5), (2, 0.25)]


def test_a_worker_that_dies_with_nothing_to_do_is_replaced(pool):
    pool.submit(job(0, 1), 0)
    first = until_results(pool)
    os.kill(int(first[0].metrics["pid"]), signal.SIGKILL)
    for process in [worker.process for worker in pool._workers]:
        process.join(10)
    pool.submit(job(1, 1), 0)
    (report, done) = until_results(pool)
    assert done.outcome is Outcome.DONE
    assert report.metrics["pid"] != first[0].metrics["pid"]


def test_two_jobs_run_in_two_processes_and_a_trial_returns_to_its_own(pool):
    pool.submit(job(0, 1), 0)
    pool.submit(job(1, 1), 0)
    pids = {event.trial_id: event.metrics["pid"] for event in until_results(pool, 2) if isinstance(event, Report)}
    assert len(set(pids.values())) == 2
    assert os.getpid() not in pids.values()
    for trial in (1, 0):
        pool.submit(job(trial, 2), 1)
        assert until_results(pool)[0].metrics["pid"] == pids[trial]


def test_closing_ends_workers_in_the_middle_of_an_epoch():
    executor = ProcessExecutor(setup("endless"), n_workers=1)
    executor.submit(job(0, 2), 0)
    assert curve_of(executor.wait(60)) == [(1, 0.0)]
    executor.close()
    filelock.FileLock("alive.lock").acquire(timeout=0)


def test_a_worker_ends_when_its_tuner_is_killed_in_the_middle_of_an_epoch():
    Path("tuner.py").write_text(
        "from pools import job, setup\n"
        "from hpo_pipeline.executor.process import ProcessExecutor\n"
        "if __name__ == '__main__':\n"
        "    executor = ProcessExecutor(setup('endless'), n_workers=1)\n"
        "    executor.submit(job(0, 2), 0)\n"
        "    print(len(executor.wait()), flush=True)\n"
        "    executor.wait()\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(HERE)}
    tuner = subprocess.Popen([sys.executable, "tuner.py"], stdout=subprocess.PIPE, text=True, env=environment)
    assert tuner.stdout is not None
    assert tuner.stdout.readline() == "1\n"
    lock = filelock.FileLock("alive.lock")
    with pytest.raises(filelock.Timeout):
        lock.acquire(timeout=0)
    tuner.kill()
    tuner.communicate()
    lock.acquire(timeout=30)


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "2"])
@pytest.mark.parametrize("key", ["n_workers", "threads_per_worker"])
def test_counts_of_workers_and_threads_are_checked(key, value):
    with pytest.raises(ConfigError, match=rf"^{key}: "):
        ProcessExecutor(setup(), **{key: value})


def test_wrong_numbers_are_all_told_at_once():
    with pytest.raises(ConfigError) as error:
        ProcessExecutor(setup(), n_workers=0, threads_per_worker=-1, checkpoint_seconds=0)
    assert [problem.partition(":")[0] for problem in error.value.problems] == [
        "n_workers",
        "threads_per_worker",
        "checkpoint_seconds",
    ]
