"""Worker processes that die under their trials: who fails, who goes on, and that nobody is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import filelock
import pytest
from heard import rung_values
from pools import curve_of, job, outcomes, packs, processes_of, until_results

from hpo_pipeline.budget import Budget
from hpo_pipeline.executor.pool import Pool
from hpo_pipeline.journal import Journal, read
from hpo_pipeline.scheduler.successive_halving import SuccessiveHalving
from hpo_pipeline.searcher.random import RandomSearch
from hpo_pipeline.searcher.trial_generator import TrialGenerator
from hpo_pipeline.space import SearchSpace
from hpo_pipeline.trial import Event, Notice, Outcome, Report, Result
from hpo_pipeline.tuner import Tuner
from hpo_pipeline.view import StudyView

KILLED = f"by signal {int(signal.SIGKILL)}"


def kill_worker_of(pool: Pool, report: Event) -> None:
    """Returns when the process that the report is from is dead."""
    assert isinstance(report, Report)
    (process,) = [process for process in processes_of(pool) if process.pid == report.metrics["pid"]]
    os.kill(int(report.metrics["pid"]), signal.SIGKILL)
    process.join(10)


@pytest.mark.parametrize(("x", "how"), [(2, "with exit code 7"), (3, f"by signal {int(signal.SIGABRT)}")])
def test_a_trial_under_which_workers_die_is_tried_again_and_fails_and_another_one_takes_over(pool, x, how):
    pool.submit(job(0, 3, x=x), 0)
    notice, failed = until_results(pool)
    assert notice == Notice(f"trial 0: the worker process ended {how}; it goes on from its checkpoint (retry 1 of 1)")
    assert (failed.trial_id, failed.outcome) == (0, Outcome.FAILED)
    assert failed.error == f"the worker process ended {how}; tried 2 times"
    assert failed.error.partition(";")[0] in Path("trials/0/log.txt").read_text()
    pool.submit(job(1, 2), 0)
    assert curve_of(until_results(pool)) == [(1, 0.5), (2, 0.25)]


def test_a_worker_that_dies_with_nothing_to_do_is_replaced(pool):
    pool.submit(job(0, 1), 0)
    first = until_results(pool)
    os.kill(int(first[0].metrics["pid"]), signal.SIGKILL)
    for process in processes_of(pool):
        process.join(10)
    pool.submit(job(1, 1), 0)
    (report, done) = until_results(pool)
    assert done.outcome is Outcome.DONE
    assert report.metrics["pid"] != first[0].metrics["pid"]


def test_of_a_pack_only_the_trial_that_ends_its_process_fails():
    executor = packs(n_workers=2, size=4)
    for trial in range(8):  # in turn: 0, 2, 4 and 6 are together
        executor.submit(job(trial, 3, x=4 if trial == 4 else 0.5), 0)
    events = until_results(executor, 8)
    executor.submit(job(8, 1), 0)
    assert curve_of(until_results(executor)) == [(1, 0.5)]
    assert executor.capacity == 8
    executor.close()
    done = dict.fromkeys(range(8), (Outcome.DONE, ""))
    assert outcomes(events) == done | {4: (Outcome.FAILED, f"the worker process ended {KILLED}; tried 2 times")}
    values = {(e.trial_id, e.resource): e.metrics["loss"] for e in events if isinstance(e, Report)}
    assert values == {(4, 1): 4.0} | {(i, at): 0.5 / at for i in range(8) if i != 4 for at in (1, 2, 3)}
    told = [event.text for event in events if isinstance(event, Notice)]
    assert told == [f"the worker process ended {KILLED}, with 4 trials: they go on one by one"]


def test_trials_of_a_dead_worker_go_on_one_after_the_other_and_nothing_new_beside_them():
    executor = packs(n_workers=1, size=4)
    for trial in range(4):
        executor.submit(job(trial, 2, x=3 if trial == 0 else 0.5), 0)
    (notice,) = executor.wait(60)
    capacities, order = [executor.capacity], []
    while len(capacities) < 5:
        events = executor.wait(60)
        order += [event.trial_id for event in events if isinstance(event, Report)]
        capacities += [executor.capacity] * any(isinstance(event, Result) for event in events)
    executor.close()
    assert isinstance(notice, Notice)
    assert order == [1, 1, 2, 2, 3, 3]
    assert capacities == [4, 3, 2, 1, 4]


def test_a_new_job_joins_a_pack_and_not_a_trial_that_is_alone():
    executor = packs(n_workers=2, size=3)
    executor.submit(job(0, 1, x=3), 0)
    executor.submit(job(1, 10**9), 0)
    executor.submit(job(2, 1), 0)  # beside 0
    executor.submit(job(3, 10**9), 0)  # beside 1
    events = []
    while not any(isinstance(event, Notice) for event in events):
        events += executor.wait(60)
    executor.submit(job(4, 1), 0)
    pids = {}
    while not {1, 2, 4} <= pids.keys():
        pids |= {event.trial_id: event.metrics["pid"] for event in executor.wait(60) if isinstance(event, Report)}
    executor.close()
    assert pids[4] == pids[1] != pids[2]


def test_trials_of_a_dead_worker_go_on_from_their_checkpoints():
    executor = packs(n_workers=1, checkpoint_seconds=1e-9)  # one after each unit
    for trial in range(2):
        executor.submit(job(trial, 3, x=4 if trial == 1 else 0.5), 0)
    events = until_results(executor, 2)
    executor.close()
    reported = [(event.trial_id, event.resource) for event in events if isinstance(event, Report)]
    assert reported == [(0, 1), (1, 1), (0, 2), (0, 3)]


def test_a_trial_that_is_to_stop_when_its_worker_dies_is_stopped_and_the_others_go_on():
    executor = packs(n_workers=1, size=2)
    for trial in range(2):
        executor.submit(job(trial, 2, milestones=[1]), 0)
    seen = []
    while len(seen) < 2:
        seen += executor.wait(60)
    assert [event.resource for event in seen] == [1, 1]
    executor.cancel(1)
    kill_worker_of(executor, seen[0])
    events = until_results(executor, 2)
    executor.close()
    assert outcomes(events) == {0: (Outcome.DONE, ""), 1: (Outcome.STOPPED, "")}
    assert {event.trial_id for event in events if isinstance(event, Report)} == {0}


def test_a_job_that_waits_for_another_worker_is_cancelled():
    executor = packs(n_workers=1, size=3)
    for trial in range(3):
        executor.submit(job(trial, 2, milestones=[1]), 0)
    seen = []
    while len(seen) < 3:
        seen += executor.wait(60)
    kill_worker_of(executor, seen[0])
    while not isinstance(seen[-1], Notice):
        seen += executor.wait(60)
    executor.cancel(2)  # 0 has the new worker
    executor.cancel(2)
    assert executor.capacity == 3
    events = until_results(executor, 3)
    executor.close()
    assert outcomes(events) == {0: (Outcome.DONE, ""), 1: (Outcome.DONE, ""), 2: (Outcome.STOPPED, "")}


def test_a_job_that_was_given_to_a_dead_worker_is_not_lost():
    executor = packs(n_workers=1, size=4)
    for trial in range(2):
        executor.submit(job(trial, 2, milestones=[1]), 0)
    (report,) = executor.wait(60)
    kill_worker_of(executor, report)
    executor.submit(job(2, 2), 0)
    events = until_results(executor, 3)
    executor.close()
    assert outcomes(events) == dict.fromkeys(range(3), (Outcome.DONE, ""))


def test_a_worker_that_dies_before_the_size_of_a_pack_is_measured_is_followed_by_one_that_measures_it():
    executor = packs(n_workers=2, size=None)
    for trial in range(4):
        executor.submit(job(trial, 1, x=3 if trial == 0 else 0.5), 0)
    first = outcomes(until_results(executor, 4))
    assert executor.capacity == 4
    for trial in range(4, 8):
        executor.submit(job(trial, 1), 0)
    second = outcomes(until_results(executor, 4))
    executor.close()
    assert [trial for trial, (outcome, _) in (first | second).items() if outcome is not Outcome.DONE] == [0]
    assert executor.capacity == 2  # functions are called one by one


def test_a_synchronous_study_in_which_a_trial_ends_its_process_has_one_failure_and_all_other_rung_evaluations():
    space = SearchSpace.parse({"x": {"type": "float", "low": 0, "high": 1}})
    trials = TrialGenerator(RandomSearch(space, 0), space, 8)
    executor = packs("one_ends", n_workers=2, size=4)
    header = {"event": "study", "name": "s", "id": "s", "metrics": [{"name": "loss", "mode": "min"}], "time": 0.0}
    view = StudyView()
    with Journal(Path("journal.jsonl")) as journal:
        journal.append(header)
        halving = SuccessiveHalving(trials, eta=2, min_resource=1, max_resource=4, bracket_size=8)
        tuner = Tuner(halving, trials, executor, journal, view, Budget(n_trials=8))
        tuner.replay([header])
        assert tuner.run().state == "completed"
    rungs = rung_values((record for record, _ in read(Path("journal.jsonl"))), "resource")
    assert rungs == {
        **{(1, trial): trial + 1 for trial in (0, 2, 3, 4, 5, 6, 7)},
        **{(2, trial): trial + 1 / 2 for trial in (0, 2, 3, 4)},
        **{(4, trial): trial + 1 / 4 for trial in (0, 2)},
    }
    assert len(rungs) == 13
    assert view.failures == 1


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
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent), "HPO_TRUST": "trouble.*"}
    tuner = subprocess.Popen([sys.executable, "tuner.py"], stdout=subprocess.PIPE, text=True, env=environment)
    assert tuner.stdout is not None
    assert tuner.stdout.readline() == "1\n"
    lock = filelock.FileLock("alive.lock")
    with pytest.raises(filelock.Timeout):
        lock.acquire(timeout=0)
    tuner.kill()
    tuner.communicate()
    lock.acquire(timeout=30)
