"""A study's config.yaml as a config to begin from, and files that would take for ever to read."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

import pytest
import yaml
from commands import FREE, Ended, journal, run, rung_table

AGAIN = ("--config-path", "runs/first", "--config-name", "config")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the study `first`, made once."""
    folder = tmp_path_factory.mktemp("first")
    study = (*FREE, "searcher=random", "scheduler=asha", "scheduler.eta=2", "scheduler.brackets=2")
    with contextlib.chdir(folder):
        assert run(*study, "name=first", "n_trials=4", "seed=5").code == 0
    return folder / "runs"


@pytest.fixture(autouse=True)
def _first(runs: Path) -> None:
    shutil.copytree(runs, "runs")


def again(*words: str) -> Ended:
    return run(*AGAIN, "name=again", *words)


def test_it_runs_again():
    assert again().code == 0
    assert rung_table(journal("again")) == rung_table(journal("first"))


def test_it_runs_again_where_the_space_chooses_an_option_of_a_group():
    study = ("dataset=digits", "executor=serial", "tracker=none", "search_space=mlp_optimizers")
    assert run(*study, "name=chooses", "n_trials=4", "max_resource=1").code == 0
    ended = run("--config-path", "runs/chooses", "--config-name", "config", "name=again")
    assert ended.code == 0, ended.err
    assert rung_table(journal("again")) == rung_table(journal("chooses"))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("scheduler=hyperband",), "again: hyperband with random"),
        (("scheduler=fifo", "scheduler.max_resource=2"), "every trial to 2"),
        (("searcher=sobol", "tracker=none"), "asha with sobol"),
        (("executor=process", "executor.n_workers=1"), "1 job at a time"),
        (("model=softmax", "search_space=softmax"), "softmax on fashion_mnist"),
        (("experiment=grid_search", "search_space=softmax", "max_resource=1"), "fifo with grid"),
        (("optimizer=sgd", "optimizer.lr=0.25"), "optimizer=sgd"),
    ],
)
def test_it_takes_other_options(words, told):
    ended = again(*words)
    assert ended.code == 0, ended.err
    assert told in ended.out
    saved = yaml.safe_load(Path("runs/again/config.yaml").read_text())
    assert run("--config-path", "runs/again", "--config-name", "config", "name=third").code == 0
    assert rung_table(journal("third")) == rung_table(journal("again"))
    assert saved["seed"] == 5


def test_a_group_can_be_left_out():
    ended = again("~scheduler")
    assert ended.code == 2
    assert ended.err.splitlines()[1:] == ["  scheduler: must be a mapping with a _target_, got None"]


def test_a_search_space_whose_keys_were_sorted_is_not_resumed_with_other_draws():
    path = Path("runs/first/config.yaml")
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()), sort_keys=True))
    ended = run("name=first", "resume=true", "n_trials=8")
    assert ended.code == 2
    assert "has its keys in another order" in ended.err


def test_no_key_of_the_option_before_is_left():
    assert again("scheduler=hyperband").code == 0
    scheduler = yaml.safe_load(Path("runs/again/config.yaml").read_text())["scheduler"]
    assert set(scheduler) == {"_target_", "eta", "min_resource", "max_resource"}


def test_another_trackers_keys_are_no_matter():
    ended = run(*FREE, "tracker.uri=sqlite:///x.db", "tracker.experiment=mine", "name=s", "n_trials=1")
    assert ended.code == 0, ended.err
    assert not Path("x.db").exists()


def doubled(depth: int) -> str:
    """Aliases of aliases: 9 to the power of `depth` values in a few lines."""
    lines = ["a0: &a0 [1, 2, 3, 4, 5, 6, 7, 8, 9]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, depth)]
    return "\n".join(lines)


def test_a_file_whose_aliases_have_no_end_is_refused_at_once():
    Path("mine/experiment").mkdir(parents=True)
    Path("mine/experiment/e.yaml").write_text(f"# @package _global_\n{doubled(9)}\n")
    ended = run("--config-dir", "mine", "experiment=e", *FREE, "dry_run=true")
    assert ended.code == 2
    assert "its aliases stand for more than 100000 values" in ended.err


@pytest.mark.parametrize("text", ["a: &a [*a]\n", "a: &a {b: *a}\n"])
def test_an_alias_of_itself_is_refused(text):
    Path("mine/experiment").mkdir(parents=True)
    Path("mine/experiment/e.yaml").write_text(f"# @package _global_\n{text}")
    ended = run("--config-dir", "mine", "experiment=e", *FREE, "dry_run=true")
    assert ended.code == 2
    assert "Traceback" not in ended.err


BROKEN = {
    "empty": "",
    "a list": "[]\n",
    "cut": "a: [1,\n",
    "not text": b"\xff\xfe\x00",
    "no name": {"name": ...},
    "no choices": {"choices": ...},
    "no seed": {"seed": ...},
    "no metric": {"metric": ...},
    "no max_resource": {"max_resource": ...},
    "no points": {"points_to_evaluate": ...},
    "no search space": {"search_space": ...},
    "no scheduler": {"scheduler": ...},
    "a seed of letters": {"seed": "abc"},
    "threads of letters": {"threads": "2"},
    "trials of letters": {"n_trials": "x"},
    "choices of numbers": {"choices": 5},
    "a reference to nowhere": {"metric": "${nowhere}"},
    "a value that is missing": {"metric": "???"},
    "an unknown key": {"foo": 1},
    "a model of numbers": {"model": 5},
    "a search space of numbers": {"search_space": 5},
    "an executor of nothing": {"executor": None},
    "an objective of nothing": {"objective": None},
}


@pytest.mark.parametrize("change", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize(
    "words", [("name=first", "resume=true", "n_trials=5"), (*AGAIN, "name=x")], ids=["resume", "again"]
)
def test_a_config_that_was_tampered_with_is_told_without_a_traceback(change, words):
    path = Path("runs/first/config.yaml")
    if isinstance(change, dict):
        content = {**yaml.safe_load(path.read_text()), **change}
        path.write_text(yaml.safe_dump({key: value for key, value in content.items() if value is not ...}))
    elif isinstance(change, bytes):
        path.write_bytes(change)
    else:
        path.write_text(change)
    before = Path("runs/first/journal.jsonl").read_bytes(), path.read_bytes()
    ended = run(*words)
    assert "Traceback" not in ended.err
    assert ended.code in (0, 2), ended.err
    if ended.code == 2:
        assert (Path("runs/first/journal.jsonl").read_bytes(), path.read_bytes()) == before


@pytest.mark.parametrize(("key", "value"), [("seed", 7), ("metric", "other"), ("mode", "max")])
def test_a_study_does_not_go_on_as_another_one(key, value):
    path = Path("runs/first/config.yaml")
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), key: value}))
    before = Path("runs/first/journal.jsonl").read_bytes()
    ended = run("name=first", "resume=true", "n_trials=5")
    assert (ended.code, ended.out) == (2, "")
    assert {"mode": "metric"}.get(key, key) in ended.err
    assert Path("runs/first/journal.jsonl").read_bytes() == before


def test_a_file_in_place_of_the_trials_folder_is_told_before_any_trial_fails():
    trials = Path("runs/first/trials")
    shutil.rmtree(trials, ignore_errors=True)
    trials.touch()
    ended = run("name=first", "resume=true", "n_trials=5")
    assert (ended.code, ended.err) == (2, f"{trials}: must be a folder; remove it\n")


def test_an_objective_that_needs_no_model_leaves_it_out():
    ended = again("objective=function", "search_space=learning_curve", "dry_run=true")
    assert ended.code == 0, ended.err
    assert "dataset.batch_size" not in ended.out
