"""What comes from a file leads nowhere outside of the current folder; what is typed does."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import FREE, FUNCTION, compose, run


def experiment(text: str) -> tuple[str, ...]:
    Path("mine/experiment").mkdir(parents=True, exist_ok=True)
    Path("mine/experiment/e.yaml").write_text(f"# @package _global_\n{text}\n")
    return ("--config-dir", "mine", "experiment=e")


OUTSIDE = {
    "folder: /tmp/outside": "folder: '/tmp/outside' comes from a file and leads out of this folder",
    "folder: ../outside": "folder: '../outside' comes from a file",
    "folder: runs/../../outside": "folder: 'runs/../../outside' comes from a file",
    "folder: '~/outside'": "folder: '~/outside' comes from a file",
    "name: ../outside": "name: must be letters",
    "name: /tmp/outside": "name: must be letters",
    "tracker: {uri: 'sqlite:////tmp/outside.db'}": "tracker.uri: 'sqlite:////tmp/outside.db' comes from a file",
    "tracker: {uri: 'sqlite:///../outside.db'}": "tracker.uri: 'sqlite:///../outside.db' comes from a file",
    "tracker: {uri: 'sqlite:///file:/tmp/outside.db?uri=true'}": "comes from a file and leads out of this folder",
    "tracker: {uri: 'sqlite:///x.db?vfs=evil'}": "comes from a file and leads out of this folder",
    "tracker: {uri: 'http://127.0.0.1:9'}": "tracker.uri: 'http://127.0.0.1:9' comes from a file",
    "tracker: {uri: '${oc.env:HOME}'}": "tracker.uri: ",
    "tracker: {uri: 'postgresql://u:pw@127.0.0.1/db'}": "comes from a file and leads out of this folder",
}


@pytest.mark.parametrize("program", ["tune", "train"])
@pytest.mark.parametrize(("text", "told"), OUTSIDE.items(), ids=OUTSIDE)
def test_a_file_leads_nowhere_else(text, told, program):
    words = (*FUNCTION, "executor=serial", "dry_run=true") if program == "tune" else FUNCTION
    ended = run(*experiment(text), *words, program=program)
    assert ended.code == 2, ended.out
    assert told in ended.err
    assert "pw@" not in ended.err
    assert not Path("runs").exists()
    assert not Path("/tmp/outside").exists()
    assert not Path("../outside").exists()


def test_what_is_typed_leads_where_it_says(tmp_path):
    ended = run(*FREE, f"folder={tmp_path}/typed/x", "n_trials=1", "name=s")
    assert ended.code == 0, ended.err
    assert (tmp_path / "typed/x/journal.jsonl").is_file()


def test_the_environment_says_where_mlflow_is(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert not compose("tracker.uri=${oc.env:MLFLOW_TRACKING_URI}").problems


def test_a_saved_config_leads_nowhere_else_either(tmp_path):
    assert run(*FREE, f"folder={tmp_path}/typed/x", "n_trials=1", "name=s").code == 0
    again = ("--config-path", f"{tmp_path}/typed/x", "--config-name", "config", "name=again")
    assert run(*again).code == 0
    assert Path("runs/again/journal.jsonl").is_file()


def test_data_are_downloaded_elsewhere_only_if_that_was_typed():
    words = experiment("dataset: {root: /tmp/outside}")
    ended = run(*words, *FREE, "dry_run=true")
    assert ended.code == 0
    assert "dataset.root comes from a file and leads out of this folder: nothing is downloaded there" in ended.out
    composed = compose("hydra.searchpath=[file://mine]", "experiment=e")
    assert composed.config["dataset"]["download"] is False
    assert compose("dataset.root=/tmp/outside").config["dataset"]["download"] is True
