"""The folder in which a study is found is the study: one that was copied or renamed never acts on another."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path

import pytest
import yaml
from commands import FREE, FUNCTION, journal, run

STUDY = (*FREE, "n_trials=2", "name=a")


def snapshot(folder: str) -> dict[str, tuple[int, bytes]]:
    files = (path for path in Path(folder).rglob("*") if path.is_file())
    return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def headers(name: str) -> list[dict[str, object]]:
    return [record for record in journal(name) if record["event"] == "study"]


@pytest.mark.parametrize("then", ["name=b", "folder=runs/b"])
def test_a_copied_study_that_is_resumed_leaves_the_original_alone(then):
    assert run(*STUDY).code == 0
    shutil.copytree("runs/a", "runs/b")
    before = snapshot("runs/a")
    ended = run(then, "resume=true", "n_trials=4")
    assert ended.code == 0, ended.err
    assert "in runs/b" in ended.out
    assert snapshot("runs/a") == before
    first, second = headers("b")
    assert (first["name"], second["name"]) == ("a", "b")
    assert first["id"] != second["id"]
    assert len([record for record in journal("b") if record["event"] == "suggested"]) == 4
    assert "name=b" in run("name=b").err


def test_a_renamed_study_stays_the_same_one():
    assert run(*STUDY).code == 0
    os.rename("runs/a", "runs/b")
    assert run("name=b", "resume=true", "n_trials=3").code == 0
    first, second = headers("b")
    assert (first["id"], second["name"]) == (second["id"], "b")
    assert not Path("runs/a").exists()
    assert run("name=b", "resume=true", "n_trials=4").code == 0
    assert len(headers("b")) == 2


def test_a_copy_made_elsewhere_under_the_same_name_is_a_study_of_its_own():
    assert run(*STUDY).code == 0
    shutil.copytree("runs/a", "elsewhere/a")
    before = snapshot("runs/a")
    assert run("name=a", "folder=elsewhere/a", "resume=true", "n_trials=3").code == 0
    assert snapshot("runs/a") == before
    ids = {r["id"] for r in journal("a", "elsewhere") if r["event"] == "study"}
    assert len(ids) == 2


def test_a_study_that_goes_on_where_it_was_has_one_header():
    assert run(*STUDY).code == 0
    assert run("name=a", "resume=true", "n_trials=3").code == 0
    assert len(headers("a")) == 1


@pytest.mark.slow
def test_a_copy_has_runs_of_its_own_in_mlflow():
    from mlflow import MlflowClient

    study = (*FUNCTION, "executor=serial", "tracker.saved_view=false", "n_trials=2", "name=a")
    assert run(*study).code == 0
    client = MlflowClient(f"sqlite:///{Path('mlflow.db').absolute()}")
    (experiment,) = client.search_experiments(filter_string="name = 'hpo'")

    def runs() -> dict[str, object]:
        return {
            r.info.run_id: (r.info.end_time, r.data.metrics) for r in client.search_runs([experiment.experiment_id])
        }

    before = runs()
    shutil.copytree("runs/a", "runs/b")
    assert run("name=b", "resume=true", "n_trials=3").code == 0
    after = runs()
    assert {run_id: after[run_id] for run_id in before} == before
    assert len(after) == len(before) + 1 + 3


def seen_anew(folder: str) -> None:
    """Has the journal another inode, as file systems have it that number files by themselves on each machine."""
    shutil.copy(f"{folder}/journal.jsonl", "anew")
    os.replace("anew", f"{folder}/journal.jsonl")


def test_a_study_that_goes_on_where_its_file_has_another_inode_stays_the_same_one(monkeypatch):
    monkeypatch.setattr(socket, "gethostname", lambda: "first")
    assert run(*STUDY).code == 0
    for n_trials, host, n_headers in ((3, "second", 2), (4, "second", 2), (5, "first", 3)):
        if len(headers("a")) < n_headers:
            seen_anew("runs/a")
        monkeypatch.setattr(socket, "gethostname", lambda host=host: host)
        assert run("name=a", "resume=true", f"n_trials={n_trials}").code == 0
        assert len({header["id"] for header in headers("a")}) == 1
        assert (headers("a")[-1]["host"], len(headers("a"))) == (host, n_headers)
    shutil.copytree("runs/a", "elsewhere/a")
    assert run("name=a", "folder=elsewhere/a", "resume=true", "n_trials=6").code == 0
    *_, before, after = (r for r in journal("a", "elsewhere") if r["event"] == "study")
    assert before["id"] != after["id"]


def test_a_copy_that_is_resumed_on_another_machine_leaves_the_original_beside_it_alone(monkeypatch):
    assert run(*STUDY).code == 0
    shutil.copytree("runs/a", "runs/b")
    monkeypatch.setattr(socket, "gethostname", lambda: "second")
    assert run("name=b", "resume=true", "n_trials=3").code == 0
    first, second = headers("b")
    assert first["id"] != second["id"]


def place(name: str, key: str) -> object:
    return yaml.safe_load(Path(f"runs/{name}/config.yaml").read_text())["dataset"][key]


def test_where_a_machine_has_its_data_may_be_said_anew_unless_they_are_where_they_were():
    assert run(*STUDY, "dataset.root=/first/data").code == 0
    ended = run("name=a", "resume=true", "n_trials=3", "dataset.root=data", "dataset.search_path=[/second]")
    assert ended.code == 0, ended.err
    assert (place("a", "root"), place("a", "search_path")) == ("data", ["/second"])
    Path("data").mkdir()
    ended = run("name=a", "resume=true", "dataset.root=other", "dataset.search_path=[]")
    assert ended.code == 2
    assert "dataset.root: a resumed study keeps what it began with, 'data'; got 'other'" in ended.err
    assert run("name=a", "resume=true", "dataset.search_path=[]", "dataset.n_validation=3").code == 2
    assert place("a", "search_path") == ["/second"]


def test_a_table_that_another_machine_has_elsewhere():
    table = ("dataset=tabular", "dataset.path=/first/houses.csv", "dataset.target=price")
    assert run(*STUDY, *table).code == 0
    assert run("name=a", "resume=true", "n_trials=3", "+dataset.path=houses.csv").code == 0
    assert place("a", "path") == "houses.csv"
    whole = (*table, "dataset.path=/second/houses.csv")  # the command that began it, with what is new at its end
    ended = run(*STUDY, *whole, "resume=true", "n_trials=4")
    assert ended.code == 0, ended.err
    assert (place("a", "path"), len([r for r in journal("a") if r["event"] == "suggested"])) == (
        "/second/houses.csv",
        4,
    )
