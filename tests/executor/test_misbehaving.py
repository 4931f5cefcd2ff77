"""Trials that misbehave: whatever one of them does, it fails alone, and the next one finds all as it was."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest
from commands import FUNCTION, journal, start, wait_for
from pools import curve_of, job, outcomes, packs, processes_of, setup, until_results

from hpo_pipeline.executor.fused import FusedExecutor
from hpo_pipeline.executor.serial import SerialExecutor
from hpo_pipeline.interrupt import signals_as_interrupt
from hpo_pipeline.journal import Journal, read
from hpo_pipeline.trial import Notice, Outcome, Report

FAILS = {
    "exits": "SystemExit: 0",
    "exits with a text": "SystemExit: enough",
    "closes a generator": "GeneratorExit: ",
    "is cancelled": "CancelledError: ",
    "interrupts": "KeyboardInterrupt: ",
    "has a text that UTF-8 can't hold": r"RuntimeError: caf\udce9",
    "has no text": "UnprintableError: <its text can't be shown>",
    "returns nothing": "TypeError: the objective's advance must return a mapping of names to numbers, not None",
    "returns a list": "TypeError: the objective's advance must return a mapping of names to numbers, not a list",
    "reports text": "TypeError: metric 'loss' must be a number, not a str",
    "reports a list": "TypeError: metric 'loss' must be a number, not a list",
    "reports a number as a name": "TypeError: the name of a metric must be text, not a int",
    "reports a complex number": "TypeError: metric 'loss' must be a number, not a complex",
}


@pytest.mark.parametrize("deed", [*FAILS, "can't be pickled"])
def test_what_a_trial_raises_or_returns_fails_that_trial_alone(opened, deed):
    executor = opened("Deeds")
    with signals_as_interrupt():
        executor.submit(job(0, 3, x=deed), 0)
        failed = until_results(executor)[-1]
        executor.submit(job(1, 3, x="good"), 0)
        events = until_results(executor)
    assert failed.outcome is Outcome.FAILED
    if deed in FAILS:
        assert failed.error == FAILS[deed]
    assert failed.traceback in Path("trials/0/log.txt").read_text(encoding="utf-8")
    assert [at for at, _ in curve_of(events)] == [1, 2, 3]
    with Journal(Path("journal.jsonl")) as opened_journal:
        opened_journal.append(
            {"event": "study", "name": "s", "metrics": [{"name": "loss", "mode": "min"}], "time": 0.0}
        )
        ended = {"event": "result", "trial": 0, "outcome": "failed", "time": 0.0}
        opened_journal.append({**ended, "error": failed.error, "traceback": failed.traceback})
    _, (record, _) = read(Path("journal.jsonl"))
    assert record["traceback"] == failed.traceback


@pytest.mark.parametrize("deed", ["closes streams", "closes descriptors", "goes away", "goes on twice"])
def test_what_a_trial_does_to_its_process_is_undone(opened, deed):
    executor = opened("Deeds")
    home, streams = os.getcwd(), (sys.stdout, sys.stderr)
    executor.submit(job(0, 3, x=deed), 0)
    executor.submit(job(1, 3, x="good"), 0) if executor.capacity > 1 else None
    events = until_results(executor, min(2, executor.capacity))
    executor.submit(job(2, 3, x="good"), 0)
    events += until_results(executor)
    assert {outcome for outcome, _ in outcomes(events).values()} == {Outcome.DONE}
    assert (os.getcwd(), sys.stdout, sys.stderr) == (home, *streams)
    assert os.fstat(1)
    assert os.fstat(2)
    assert all(list(Path("trials", str(trial)).glob("3.*.ckpt")) for trial in outcomes(events))


@pytest.mark.parametrize("deed", ["closes streams", "closes descriptors", "goes away"])
def test_a_worker_goes_on_writing_each_trial_s_log(deed):
    executor = packs("Deeds", n_workers=1, size=1)
    for trial, x in enumerate((deed, "good")):
        executor.submit(job(trial, 3, x=x), 0)
        until_results(executor)
    executor.close()
    assert Path("trials/1/log.txt").read_text() == "good at 1\ngood at 2\ngood at 3\n"


def test_a_study_with_trials_that_exit_and_close_its_streams_does_what_was_asked(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    for group, text in {
        "objective": "{_target_: trouble.Deeds, deed: good}",
        "search_space": "{objective: {deed: {type: choice, choices: [exits, closes streams, goes away]}}}",
    }.items():
        Path("conf", group).mkdir(parents=True)
        Path("conf", group, "deeds.yaml").write_text(text)
    ended = wait_for(
        start(
            *("--config-dir", "conf", "objective=deeds", "search_space=deeds", "searcher=grid", "executor=serial"),
            *("tracker=none", "name=s", "metric=loss", "scheduler=fifo", "max_resource=3", "points_to_evaluate=[]"),
            HPO_TRUST="trouble.*",
        )
    )
    assert ended.code == 0, ended
    assert Path("runs/s/leaderboard.csv").exists()
    states = {record["trial"]: record["state"] for record in journal("s") if record["event"] == "decision"}
    assert sorted(states.values()) == ["COMPLETED", "COMPLETED", "FAILED"]


def test_ctrl_c_is_no_failure_of_the_trial_that_it_interrupts():
    executor = SerialExecutor(setup("interrupted"))
    executor.submit(job(0, 3), 0)
    with signals_as_interrupt(), pytest.raises(KeyboardInterrupt):
        executor.wait()


def test_ctrl_c_counts_although_the_trial_swallows_it():
    executor = SerialExecutor(setup("swallows_ctrl_c"))
    executor.submit(job(0, 3), 0)
    with signals_as_interrupt(), pytest.raises(KeyboardInterrupt):
        executor.wait()


@pytest.mark.parametrize("deed", ["hangs", "hangs in C"])
def test_a_trial_without_a_report_for_too_long_is_ended_and_fails(deed):
    executor = packs("Deeds", n_workers=1, size=1, job_timeout=1.5)
    executor.submit(job(0, 3, x=deed), 0)
    events = until_results(executor)
    executor.submit(job(1, 3, x="good"), 0)
    events += until_results(executor)
    executor.close()
    error = "no report for 1.5 s (executor.job_timeout)"
    assert outcomes(events) == {0: (Outcome.FAILED, error), 1: (Outcome.DONE, "")}
    assert re.search(r'File ".*trouble.py", line \d+ in', Path("trials/0/log.txt").read_text())


def test_of_a_pack_in_workers_the_others_go_on_from_their_checkpoints():
    executor = packs("Deeds", n_workers=1, size=2, job_timeout=1.5, checkpoint_seconds=1e-9)
    executor.submit(job(0, 3, x="good"), 0)
    executor.submit(job(1, 3, x="hangs"), 0)
    events = until_results(executor, 2)
    executor.close()
    error = "no report for 1.5 s (executor.job_timeout)"
    assert outcomes(events) == {0: (Outcome.DONE, ""), 1: (Outcome.FAILED, f"{error}; tried 2 times")}
    assert [event.text for event in events if isinstance(event, Notice)] == [
        f"{error}, with 2 trials: they go on one by one"
    ]
    reports = [(event.trial_id, event.resource) for event in events if isinstance(event, Report)]
    assert sorted(reports) == [(0, 1), (0, 2), (0, 3), (1, 1)]


@pytest.mark.parametrize("function", ["swallows", "waits_for_a_file"])
def test_in_the_tuner_s_process_a_trial_without_a_report_fails_as_well(function):
    executor = SerialExecutor(setup(function), job_timeout=0.2)
    executor.submit(job(0, 3), 0)
    events = until_results(executor)
    assert outcomes(events) == {0: (Outcome.FAILED, "JobTimeout: no report for 0.2 s (executor.job_timeout)")}


def test_in_the_tuner_s_process_trials_that_hang_in_a_pack_go_on_one_by_one():
    executor = FusedExecutor(setup("HangsInAPack"), n_workers=1, pack_size=2, job_timeout=0.2)
    for trial in range(2):
        executor.submit(job(trial, 3, x=1.0), 0)
    events = until_results(executor, 2)
    assert outcomes(events) == {0: (Outcome.DONE, ""), 1: (Outcome.DONE, "")}
    assert [event.text for event in events if isinstance(event, Notice)] == [
        "trials go on one by one: training a pack of them failed "
        "(JobTimeout: no report for 0.2 s (executor.job_timeout))"
    ]
    assert sum(isinstance(event, Report) for event in events) == 6


@pytest.mark.parametrize("n_workers", [1, 2])
def test_a_pack_that_hangs_in_a_worker_goes_on_one_by_one(n_workers):
    executor = packs("HangsInAPack", n_workers=n_workers, size=2, job_timeout=1.0)
    for trial in range(2 * n_workers):
        executor.submit(job(trial, 2, x=1.0), 0)
    events = until_results(executor, 2 * n_workers)
    executor.close()
    assert set(outcomes(events).values()) == {(Outcome.DONE, "")}


def test_a_trial_that_is_to_stop_when_its_worker_dies_is_stopped_and_not_tried_again():
    executor = packs(n_workers=1, size=1)
    executor.submit(job(0, 2, milestones=[1]), 0)
    (report,) = executor.wait(60)
    executor.cancel(0)
    os.kill(int(report.metrics["pid"]), 9)
    processes_of(executor)[0].join()
    assert outcomes(until_results(executor)) == {0: (Outcome.STOPPED, "")}
    executor.close()


def test_the_study_s_time_ends_within_an_epoch_and_the_trial_can_go_on():
    executor = SerialExecutor(setup("waits_for_a_file"), checkpoint_seconds=1e-9)
    executor.submit(job(0, 3), 0)
    assert curve_of(executor.wait(60)) == [(1, 1.0)]
    assert executor.wait(0.2) == []
    Path("go").touch()
    assert curve_of(until_results(executor)) == [(2, 1 / 2), (3, 1 / 3)]


def test_max_seconds_ends_a_serial_study_within_an_epoch_in_good_order(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    arguments = (
        *(*FUNCTION, "objective.function=trouble.waits_for_a_file", "executor=serial", "tracker=none"),
        *("name=s", "metric=loss", "scheduler=fifo", "max_resource=3", "n_trials=1"),
    )
    ended = wait_for(start(*arguments, "max_seconds=2", HPO_TRUST="trouble.*"))
    assert ended.code == 0, ended
    assert [record["outcome"] for record in journal("s") if record["event"] == "result"] == ["interrupted"]
    Path("go").touch()
    ended = wait_for(start(*arguments, "max_seconds=null", "resume=true", HPO_TRUST="trouble.*"))
    assert ended.code == 0, ended
    assert [record["resource"] for record in journal("s") if record["event"] == "report"] == [1, 2, 3]
