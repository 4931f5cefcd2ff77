"""Studies of functions that train: under any scheduler, in processes that are killed, with and without checkpoints."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from pathlib import Path

import pytest
from commands import RungTable, journal, run, rung_table, start
from test_end_to_end import read_until

from hpo_pipeline import load_model, load_study

STUDY = (
    "objective=train_function",
    "metric=loss",
    "+search_space.params.lr={type: float, low: 0, high: 1}",
    "searcher=random",
    "tracker=none",
    "n_trials=8",
    "points_to_evaluate=[]",
    "max_resource=4",
    "name=s",
)
HALVING = ("scheduler=successive_halving", "scheduler.eta=2", "scheduler.min_resource=1")
ASHA = ("scheduler=asha", "scheduler.eta=2", "scheduler.min_resource=1")


@pytest.fixture(autouse=True)
def _functions(monkeypatch):
    folder = Path(__file__).parent / "objective"
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.setenv("HPO_TRUST", "train_functions")


def of(name: str) -> str:
    return f"objective.function=train_functions.{name}"


def sizes(table: RungTable) -> dict[int, int]:
    """Resource -> evaluations on its rungs."""
    return Counter(resource for (*_, resource), trials in table.items() for _ in trials)


def epochs() -> list[list[int]]:
    """Of each trial, the epochs that its function has trained, in their order."""
    folders = sorted(Path("runs/s/trials").iterdir(), key=lambda path: int(path.name))
    return [list(map(int, (folder / "files/epochs").read_text().split())) for folder in folders]


def test_functions_come_to_the_same_rungs_whatever_they_keep():
    again = "trials that have to be loaded are trained again from the beginning: the objective keeps no checkpoints"
    tables = []
    for name in ("loop", "generator", "by_file", "forgetful"):
        ended = run(*STUDY, *HALVING, of(name), "executor=serial")
        assert ended.code == 0, ended.err
        tables.append(rung_table(journal("s")))
        trained = epochs()
        Path("runs/s").rename(f"runs/{name}")
        if name in ("loop", "generator"):
            assert sorted(trained) == 4 * [[1]] + 2 * [[1, 2]] + 2 * [[1, 2, 3, 4]]
            assert again not in ended.out
        else:  # at the first rung, neither has kept anything
            assert any(epochs[:3] == [1, 1, 2] for epochs in trained)
            assert ended.out.count(again) == 1
    assert sizes(tables[0]) == {1: 8, 2: 4, 4: 2}
    assert tables[1:] == tables[:1] * 3


@pytest.mark.parametrize("executor", ["serial", "simulated"])
def test_a_trial_whose_function_returns_is_completed_and_counts_as_it_was(executor):
    ended = run(*STUDY, *HALVING, of("three_epochs"), f"executor={executor}", "max_resource=8")
    assert ended.code == 0, ended.err
    records = journal("s")
    assert max(record["resource"] for record in records if record["event"] == "report") == 3
    done = [record for record in records if record.get("finished")]
    assert [record["finished"] for record in done] == ["train_functions.three_epochs has returned after epoch 3"] * 2
    states = [record["state"] for record in records if record["event"] == "decision" and "returned" in record["reason"]]
    assert states == ["COMPLETED"] * 2
    table = rung_table(records)
    assert sizes(table) == {1: 8, 2: 4, 4: 2, 8: 1}
    resumed = run("name=s", "resume=true", "n_trials=9")
    assert resumed.code == 0, resumed.err


def test_one_returned_value_is_a_study_of_one_unit():
    ended = run(*STUDY, of("one_value"), "scheduler=fifo", "executor=serial")
    assert ended.code == 0, ended.err
    assert [record["resource"] for record in journal("s") if record["event"] == "report"] == [1] * 8


def test_train_py_trains_a_function_until_it_returns():
    ended = run(
        "objective=train_function", of("three_epochs"), "tracker=none", "max_resource=9", "name=t", "params.lr=1",
        program="train",
    )  # fmt: skip
    assert ended.code == 0, ended.err
    assert "It ends here: train_functions.three_epochs has returned after epoch 3" in ended.out
    assert [record["resource"] for record in journal("t") if record["event"] == "report"] == [1, 2, 3]


def test_a_function_without_a_name_and_one_of_another_kind_are_refused():
    ended = run(*STUDY, "executor=serial")
    assert (ended.code, "objective.function: name your function" in ended.err) == (2, True)
    assert not Path("runs").exists()


@pytest.mark.slow
def test_killed_and_resumed_under_asha_no_finished_rung_is_trained_again():
    process = start(*STUDY, *ASHA, of("by_gate"), "executor.n_workers=2", GATE="closed")
    read_until(process, 5)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    before = rung_table(journal("s"))
    assert sum(map(len, before.values())) >= 5
    ended = run("name=s", "resume=true", "executor=serial")
    assert ended.code == 0, ended.err
    after = rung_table(journal("s"))
    for place, trials in before.items():
        assert trials.items() <= after[place].items()
    trained = epochs()
    for (*_, resource), trials in before.items():
        for trial in trials:  # an epoch on the way to a rung that was not recorded may be trained twice
            assert [trained[trial].count(epoch) for epoch in range(1, resource + 1)] == [1] * resource


@pytest.mark.slow
def test_a_lightning_module_under_asha_is_killed_and_resumed_and_no_finished_rung_is_trained_again(monkeypatch):
    pytest.importorskip("lightning", reason="the extra `lightning` is not installed")
    monkeypatch.setenv("HPO_TRUST", "lightning_modules")
    Path("mine/model").mkdir(parents=True)
    Path("mine/model/net.yaml").write_text("_target_: lightning_modules.ByGate\nlr: 0.1\n")
    study = ("--config-dir", "mine", *STUDY[1:2], "objective=lightning", "model=net", *STUDY[3:])
    process = start(*study, "search_space={model: {lr: {type: float, low: 0, high: 1}}}", *ASHA, "executor.n_workers=2",
                    GATE="closed")  # fmt: skip
    read_until(process, 5)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    before = rung_table(journal("s"))
    ended = run("--config-dir", "mine", "name=s", "resume=true", "executor=serial")
    assert ended.code == 0, ended.err
    assert not any(word in ended.out + ended.err for word in ("Traceback", "GPU", "Tip", "Warning")), ended.out
    after, trained = rung_table(journal("s")), epochs()
    assert sizes(after)[4] >= 1
    for (*place, resource), trials in before.items():
        assert trials.items() <= after[*place, resource].items()
        for trial in trials:
            assert [trained[trial].count(epoch) for epoch in range(1, resource + 1)] == [1] * resource
    best, kept = (load_study("runs/s").best, json.loads(Path("runs/s/best/metrics.json").read_text()))
    assert (kept["trial"], kept["metrics"]["loss"]) == (best.trial, best.value)
    assert type(load_model("runs/s")).__name__ == "ByGate"
    logs = [path.read_text() for path in Path("runs/s/trials").glob("*/log.txt")]
    assert set(logs) <= {""}, "what Lightning says of devices and tips is nobody's to read"
