"""Worker processes and what trials start in them: none is left behind, and none has what it doesn't need."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pools import curve_of, job, outcomes, packs, processes_of, until_results

from hpo_pipeline.trial import Notice, Outcome, Report

TUNER = """
from pools import job, packs, until_results
if __name__ == "__main__":
    executor = packs({function!r}, n_workers=1, size=1)
    executor.submit(job(0, {resource}), 0)
    print(executor.wait()[0].metrics["loss"], flush=True)
"""


def tuner(function: str, resource: int, then: str = "") -> subprocess.Popen[str]:
    """A program that has an executor with one job, and goes on with `then` after the first report."""
    Path("tuner.py").write_text(TUNER.format(function=function, resource=resource) + f"    {then}\n")
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent), "HPO_TRUST": "trouble.*"}
    return subprocess.Popen([sys.executable, "tuner.py"], stdout=subprocess.PIPE, text=True, env=environment)


def is_alive() -> bool:
    """Whether the child is there that a trial has left."""
    with open("child.lock", "a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


def wait_for_its_end() -> None:
    with open("child.lock", "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)


@pytest.fixture(autouse=True)
def _at_most() -> Iterator[None]:
    """What waits for an end fails after two minutes."""

    def late(*_: object) -> None:
        raise TimeoutError("a process was left behind")

    signal.signal(signal.SIGALRM, late)
    signal.alarm(120)
    yield
    signal.alarm(0)


def test_workers_have_the_environment_of_the_moment_they_start(monkeypatch: pytest.MonkeyPatch):
    """Whatever the server had when the first of them started it."""
    for level in ("1", "2", None, "3"):
        if level is None:
            monkeypatch.delenv("LEVEL")
        else:
            monkeypatch.setenv("LEVEL", level)
        executor = packs("reads_the_environment", n_workers=1, size=1)
        executor.submit(job(0, 1), 0)
        (report,) = (event for event in until_results(executor) if isinstance(event, Report))
        executor.close()
        assert report.metrics["loss"] == float(level or 0)
        assert report.metrics["safe"] == 1


def test_closing_ends_what_a_trial_has_started():
    executor = packs("leaves_a_child", n_workers=1, size=1)
    executor.submit(job(0, 1), 0)
    until_results(executor)
    assert is_alive()
    executor.close()
    wait_for_its_end()


def test_a_worker_s_death_is_noticed_while_its_child_holds_the_pipe_and_ends_the_child():
    executor = packs("leaves_a_child", n_workers=1, size=1, max_retries=0)
    executor.submit(job(0, 2), 0)
    (report,) = executor.wait(60)
    assert is_alive()
    os.kill(int(report.metrics["pid"]), signal.SIGKILL)
    assert outcomes(until_results(executor)) == {0: (Outcome.FAILED, "the worker process ended by signal 9")}
    wait_for_its_end()
    executor.close()


def test_the_death_of_a_worker_without_a_job_ends_what_its_trials_have_started():
    executor = packs("leaves_a_child", n_workers=2, size=1)
    executor.submit(job(0, 1), 0)
    pid = int(until_results(executor)[0].metrics["pid"])
    (process,) = processes_of(executor)
    os.kill(pid, signal.SIGKILL)
    process.join()
    while executor._workers:  # the end of its pipe may come a moment after its exit code
        executor.wait(1)
    wait_for_its_end()
    executor.close()


def test_a_killed_tuner_leaves_neither_a_worker_that_holds_its_interpreter_nor_what_that_has_started():
    at_work = tuner("leaves_a_child", 2, then="executor.wait()")
    assert at_work.stdout is not None
    assert at_work.stdout.readline() == "1.0\n"
    assert is_alive()
    at_work.kill()
    wait_for_its_end()
    assert at_work.stdout.read() == ""  # the worker has inherited it, and is gone
    at_work.wait()


@pytest.mark.parametrize("then", ["pass", "raise SystemExit", "1 / 0"])
def test_a_program_that_closes_nothing_ends_with_its_workers(then):
    at_work = tuner("leaves_a_child", 2, then)
    at_work.communicate(timeout=60)
    wait_for_its_end()


def test_a_worker_of_a_function_imports_no_torch():
    at_work = tuner("modules", 1)
    assert at_work.communicate(timeout=60)[0] == "0.0\n"


def test_a_trial_may_start_processes_a_data_loader_s_for_instance():
    pytest.importorskip("torch")
    executor = packs("loads_data", n_workers=1, size=1)
    executor.submit(job(0, 1), 0)
    events = until_results(executor)
    executor.close()
    assert curve_of(events) == [(1, 45.0)]


def test_a_job_whose_worker_is_killed_goes_on_from_its_checkpoint():
    executor = packs(n_workers=1, size=1, checkpoint_seconds=1e-9)
    executor.submit(job(0, 3, milestones=[1, 2]), 0)
    events = executor.wait(60)
    os.kill(int(events[0].metrics["pid"]), signal.SIGKILL)
    processes_of(executor)[0].join()
    while not isinstance(events[-1], Notice):
        events += executor.wait(60)
    events += until_results(executor)
    executor.close()
    assert [(type(event), getattr(event, "resource", None)) for event in events[:-1]] == [
        (Report, 1),
        (Notice, None),
        (Report, 2),
        (Report, 3),
    ]
    assert outcomes(events) == {0: (Outcome.DONE, "")}


@pytest.mark.parametrize("max_retries", [0, 2])
def test_a_job_is_tried_again_as_often_as_it_may(max_retries):
    executor = packs(n_workers=2, size=1, max_retries=max_retries)
    executor.submit(job(0, 2, x=2), 0)
    events = until_results(executor)
    executor.close()
    tried = "; tried 3 times" if max_retries else ""
    assert outcomes(events) == {0: (Outcome.FAILED, f"the worker process ended with exit code 7{tried}")}
    assert [event.text.rpartition(" (")[2] for event in events if isinstance(event, Notice)] == [
        f"retry {i} of {max_retries})" for i in range(1, max_retries + 1)
    ]


def test_another_job_has_its_own_count():
    executor = packs(n_workers=1, size=1)
    for trial in range(2):
        executor.submit(job(trial, 3, x=4), 0)
        events = until_results(executor)
        assert sum(isinstance(event, Notice) for event in events) == 1
    executor.close()


def test_closing_during_a_retry_leaves_nothing():
    executor = packs("leaves_a_child", n_workers=1, size=1)
    executor.submit(job(0, 2), 0)
    (report,) = executor.wait(60)
    os.kill(int(report.metrics["pid"]), signal.SIGKILL)
    processes_of(executor)[0].join()
    assert isinstance(executor.wait(60)[0], Notice)
    executor.close()
    wait_for_its_end()
    assert executor.capacity == 1
