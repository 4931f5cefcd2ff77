"""Studies on a simulated clock, and earlier ones that are replayed, as people start them."""

from __future__ import annotations

import itertools
import shlex
import shutil
import time
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from commands import run
from heard import folded

from hpo_pipeline.executor.simulated import SimulatedExecutor
from hpo_pipeline.journal import Record, read
from hpo_pipeline.trial import Event

FREE = ("objective=function", "search_space=learning_curve", "searcher=random", "scheduler=asha", "max_resource=9")
TABLE = "lr,weight_decay,epoch,validation_error,minutes\n" + "".join(
    f"{lr},1e-5,{epoch},{lr + 1 / epoch},{60 * lr}\n" for lr in (0.01, 0.1, 0.5) for epoch in range(1, 10)
)
SIMULATED = ("search_space=learning_curve", "executor=simulated", "searcher=random", "scheduler=asha", "max_resource=9")


def records(name: str) -> list[Record]:
    return [record for record, _ in read(Path("runs", name, "journal.jsonl"))]


def jobs(name: str) -> list[tuple[Any, ...]]:
    keys = ("trial", "resource", "rung", "bracket")
    return [tuple(r[key] for key in keys) for r in records(name) if r["event"] == "submitted"]


def values(name: str) -> list[tuple[Any, ...]]:
    """What was reported, in order."""
    return [(r["trial"], r["resource"], r["metrics"]) for r in records(name) if r["event"] == "report"]


def configs(name: str) -> list[dict[str, Any]]:
    return [r["config"] for r in records(name) if r["event"] == "suggested"]


def tune(*words: str) -> str:
    ended = run(*words)
    assert ended.code == 0, ended.err + ended.out
    return ended.out


def table() -> str:
    Path("t.csv").write_text(TABLE)
    return "objective.file=t.csv"


def simulated(name: str, *words: str) -> str:
    return tune("objective=tabular", table(), *SIMULATED, f"name={name}", "tracker=none", *words)


@pytest.mark.slow
def test_a_study_in_mlflow_that_is_replayed_under_its_scheduler_and_seed_has_the_same_jobs():
    tune(*FREE, "executor=serial", "name=first", "n_trials=12", "seed=3", "tracker.uri=sqlite:///store.db")
    first = jobs("first"), configs("first"), values("first")
    shutil.rmtree("runs/first")
    replay = ("objective=tabular", "objective.mlflow_study=first", "tracker.uri=sqlite:///store.db", "max_resource=9")
    same = (*replay, "searcher=random", "scheduler=asha", "n_trials=12", "seed=3")
    tune(*same, "name=again", "executor=simulated", "executor.n_workers=1")
    assert (jobs("again"), configs("again"), values("again")) == first
    assert len(first[0]) > 12
    # And what is in MLflow of a simulated study happened from now on, not in 1970.
    assert all(record["time"] > time.time() - 600 for record in records("again"))
    wrong = run(*replay[:1], "objective.mlflow_study=frist", *replay[2:], "executor=simulated", "name=x")
    assert wrong.code == 2
    assert "no study 'frist', the latest are again, first; did you mean 'first'?" in wrong.err
    Path("store.db").unlink()  # it has kept what it needs
    tune("name=again", "n_trials=14", "tracker=none", "resume=true")
    assert jobs("again")[: len(first[0])] == first[0]
    assert len(configs("again")) == 14


def test_a_study_is_replayed_from_its_folder_under_another_scheduler_and_a_trial_of_that_runs_again():
    tune(*FREE, "executor=serial", "tracker=none", "name=first", "n_trials=9", "scheduler=fifo")
    out = tune(
        *("objective=tabular", "objective.study=runs/first", "executor=simulated", "tracker=none", "name=again"),
        *("searcher=random", "scheduler=hyperband", "max_resource=9", "n_trials=5", "points_to_evaluate=[]"),
    )
    best = folded(records("again")).best
    assert best is not None
    command = out.partition("Train the best one again:\n  ")[2].splitlines()[0]
    again = run(*shlex.split(command)[2:], "name=t", "tracker=none", program="train")
    assert again.code == 0, again.err
    assert f"validation_error {best.best('validation_error'):.4f}" in again.out.splitlines()[-2]


def test_time_is_simulated_from_now_on_and_said_so_once():
    before = time.time()
    out = simulated("s", "n_trials=6", "objective.seconds=3600", "executor.n_workers=2")
    assert out.count("Time is simulated") == 1
    view, found = folded(records("s")), records("s")
    units = view.total_resource
    assert before <= found[0]["time"] <= found[1]["time"] <= time.time() + 1  # the study, and its session
    hours = (found[-1]["time"] - found[1]["time"]) / 3600
    assert units / 2 <= hours <= units  # of two workers
    assert hours == pytest.approx(round(hours))
    assert f"{round(hours)}:00:00 of simulated time" in out
    assert view.seconds == pytest.approx(3600 * round(hours), abs=0.01)


def test_a_column_tells_what_a_unit_costs():
    simulated("s", "n_trials=4", "objective.seconds=minutes", "executor.n_workers=1", "scheduler=fifo")
    found = [r for r in records("s") if r["event"] == "report"]
    assert {r["metrics"]["seconds"] for r in found} <= {0.6, 6.0, 30.0}
    spent = sum(r["metrics"]["seconds"] for r in found)
    assert found[-1]["elapsed"] == pytest.approx(spent, abs=0.01)


def test_max_seconds_are_simulated_seconds():
    out = simulated("s", "n_trials=null", "max_seconds=1000", "objective.seconds=10", "executor.n_workers=1")
    assert "max_seconds=1000 are over" in out
    assert len(values("s")) == 100


@pytest.mark.parametrize("lookup", ["unique", "surrogate"])
def test_a_study_goes_on_where_ctrl_c_has_ended_it_with_the_same_rows(lookup: str):
    words = (f"objective.lookup={lookup}", "n_trials=8", "executor.n_workers=1", "metric=validation_error")
    simulated("whole", *words)
    answers = itertools.count()
    original = SimulatedExecutor.wait

    def wait(self: SimulatedExecutor, timeout: float | None = None) -> list[Event]:
        if next(answers) == 7:
            raise KeyboardInterrupt
        return original(self, timeout)

    with mock.patch.object(SimulatedExecutor, "wait", wait):
        ended = run("objective=tabular", table(), *SIMULATED, "name=cut", "tracker=none", *words)
    assert ended.code == 130
    assert "resume=true" in ended.out
    tune("name=cut", "resume=true", "tracker=none")
    assert values("cut") == values("whole")
    assert configs("cut") == configs("whole")
    times = [record["time"] for record in records("cut")]
    assert times == sorted(times)


@pytest.mark.slow
def test_each_row_is_used_once_by_processes_as_well():
    words = ("objective=tabular", table(), *SIMULATED, "objective.lookup=unique", "tracker=none", "n_trials=3")
    tune(*words, "scheduler=fifo", "name=one")
    tune(*words, "scheduler=fifo", "executor=process", "executor.n_workers=2", "name=two")
    one, two = ({(t, r, m["validation_error"]) for t, r, m in values(name)} for name in ("one", "two"))
    assert one == two
    assert len({error for _, resource, error in one if resource == 1}) == 3


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["executor.n_workers=0", "max_resource=10", "objective.seconds=minute"],
            [
                "executor.n_workers: must be an integer of at least 1, got 0",
                "max_resource: is 10, and what is recorded ends at 9; set it to 9 at most",
                "objective.seconds: there is no column 'minute'; did you mean 'minutes'?",
            ],
        ),
        (
            ["executor.now=3", "search_space.params.momentum=1"],
            ["executor.now: there is no such key", "search_space.params.momentum: there is no such key"],
        ),
        (
            ["objective.mlflow_study=x", "+search_space.params.weight={type: float, low: 0, high: 1}"],
            ["objective: file and mlflow_study are given; give one"],
        ),
        (
            ["+search_space.params.weight={type: float, low: 0, high: 1}"],
            ["objective.columns: nothing is recorded for params.weight: there is no column 'weight', only lr"],
        ),
    ],
)
def test_what_is_wrong_is_said_before_anything_starts(words: list[str], said: list[str]):
    ended = run("objective=tabular", table(), *SIMULATED, "name=s", "tracker=none", "n_trials=2", *words)
    assert ended.code == 2
    for line in said:
        assert line in ended.err
    assert not Path("runs").exists()


def test_any_objective_that_is_fast_enough_has_a_simulated_clock_and_its_failures_have_a_log(monkeypatch):
    Path("own.py").write_text(
        "def f(config, resource, seed):\n"
        "    if resource == 2:\n        raise ValueError('boom')\n"
        "    return {'validation_error': config['params']['lr'], 'seconds': 100.0}\n"
    )
    monkeypatch.setenv("HPO_TRUST", "own.*")
    words = ("executor=simulated", "tracker=none", "name=s", "n_trials=3", "scheduler=fifo", "objective.function=own.f")
    ended = run(*FREE[:3], *words)
    assert ended.code == 1
    assert "ValueError: boom" in Path("runs/s/trials/0/log.txt").read_text()
    assert [r["metrics"]["seconds"] for r in records("s") if r["event"] == "report"] == [100.0] * 3


def test_a_saved_config_runs_again_and_has_no_use_for_the_study_that_it_comes_from():
    simulated("s", "n_trials=4", "objective.lookup=unique")
    again = run("--config-path", "runs/s", "--config-name", "config", "name=u")
    assert again.code == 0, again.err
    assert values("u") == values("s")
    assert configs("u") == configs("s")
    assert "folder: runs/u" in Path("runs/u/config.yaml").read_text()
