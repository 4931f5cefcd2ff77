"""`hpo compare`, and the table that a multirun ends with."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from commands import FREE, Ended, hpo, run
from rich.console import Console
from written_journal import Written, of_method

from hpo_pipeline.comparison import compare
from hpo_pipeline.config.multirun import Jobs
from hpo_pipeline.journal import Journal
from hpo_pipeline.report.comparison import table
from hpo_pipeline.tracker.mlflow import earlier
from hpo_pipeline.tracker.mlflow.store import RefusedError


def four_studies() -> None:
    """In runs/: fifo comes to 0.4 and 0.5, asha to 0.1 and 0.2."""
    for seed in range(2):
        for name, value in (("fifo", 0.4), ("asha", 0.1)):
            choices = {"scheduler": name, "searcher": "random"}
            of_method(f"runs/{name}-{seed}", [0.9, value + seed / 10], seed=seed, choices=choices)


def lines(ended: Ended) -> list[list[str]]:
    assert ended.code == 0, ended.err
    return [line.split() for line in ended.out.splitlines() if line.strip()]


def test_a_table_and_a_page():
    four_studies()
    told = lines(hpo("compare", "fifo-0", "fifo-1", "runs/asha-0", "asha-1"))
    assert " ".join(told[0]) == "2 methods by loss (min), 2 studies each"
    assert told[4] == ["asha", "2", "0.1500", "0.1250", "to", "0.1750", "5.0", "s", "2", "2", "of", "2"]
    assert told[5] == ["fifo", "2", "0.4500", "0.4250", "to", "0.4750", "–", "–", "1", "of", "2"]
    assert told[6][:2] == ["Target", "0.4500,"]
    assert told[-1] == ["The", "curves", "are", "in", "comparison.html"]
    assert Path("comparison.html").stat().st_size > 1_000_000


def test_json_is_one_line_with_null_for_what_is_not_there():
    four_studies()
    ended = hpo("compare", "runs", "--json", "--target", "0.15", "--to", "page.html")
    (line,) = ended.out.splitlines()
    told = json.loads(line)
    assert (told["metric"], told["mode"], told["target"], told["page"]) == ("loss", "min", 0.15, "page.html")
    assert [(row["method"], row["median"], row["resource_to_target"], row["rank"]) for row in told["methods"]] == [
        ("asha", pytest.approx(0.15), None, None),
        ("fifo", pytest.approx(0.45), None, None),
    ]
    assert [study["resource_to_target"] for study in told["studies"]] == [2, None, None, None]
    assert Path("page.html").is_file()


def test_trainings_that_lie_among_studies_are_passed_over_and_refused_by_name():
    four_studies()
    study = Written(name="t")
    study.records[0]["kind"] = "training"
    study.save("runs/t")
    ended = hpo("compare", "runs")
    assert (ended.code, ended.err) == (0, "hpo: left out, as they are single trainings: runs/t\n")
    assert hpo("compare", "asha-0", "t").err == "hpo: runs/t: is a single training, and no study\n"


def test_a_study_at_work_is_compared_as_far_as_it_is():
    four_studies()
    of_method("runs/new", [0.7], seed=2, choices={"scheduler": "asha", "searcher": "random"}, end=None)
    with Journal(Path("runs/new/journal.jsonl")):
        assert "runs/new is running: it counts up to where it came, 1 epoch.\n" in hpo("compare", "runs").out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "name studies, a folder that holds them, or --experiment NAME of MLflow"),
        (("asha-0",), "to compare takes two studies or more, and there is one"),
        (("asah-0", "fifo-0"), "runs/asah-0: there is no such folder; did you mean 'asha-0'?"),
        (("runs", "--by", "schduler"), "--by schduler: no study has such a key; did you mean 'scheduler'?"),
        (("runs", "--uri", "sqlite:///x.db"), "--uri says where an MLflow experiment is: name it, --experiment NAME"),
        (("runs", "--to", "gone/x.html"), "gone/x.html: can't be written (No such file or directory); "),
        (("--experiment", "none", "--uri", "sqlite:///x.db"), "there are no studies in an experiment 'none'"),
    ],
)
def test_what_can_be_mended_is_one_line(words, said):
    four_studies()
    ended = hpo("compare", *words)
    assert (ended.code, ended.out, len(ended.err.splitlines())) == (2, "", 1)
    assert said in ended.err
    assert not Path("x.db").exists()


class _Store:
    """Two runs of one study, the newer one first; one of another; one that has no journal; and one of a trial."""

    def __init__(self, uri: str) -> None:
        assert uri == "http://host"

    def runs(self, experiment: str) -> list[SimpleNamespace]:
        if experiment != "digits":
            raise RefusedError("no")
        named = [("asha-0", "a"), ("gone", "g"), ("older", "a"), ("fifo-0", "f")]
        runs = [(name, {"hpo.role": "study", "hpo.study_id": of}) for name, of in named]
        return [
            SimpleNamespace(info=SimpleNamespace(run_id=name, run_name=name), data=SimpleNamespace(tags=tags))
            for name, tags in [*runs, ("trial", {})]
        ]

    def has_file(self, run: str, name: str) -> bool:
        return Path("runs", run, name).is_file()

    def fetch(self, run: str, name: str, folder: Path) -> None:
        shutil.copy(Path("runs", run, name), folder)


def test_the_studies_of_an_mlflow_experiment_come_with_their_journals(monkeypatch):
    four_studies()
    monkeypatch.setattr(earlier, "MLflowStore", _Store)
    told = json.loads(hpo("compare", "--experiment", "digits", "--uri", "http://host", "--json").out)
    assert [(study["folder"], study["method"]) for study in told["studies"]] == [("asha-0", "asha"), ("fifo-0", "fifo")]
    both = json.loads(hpo("compare", "fifo-1", "--experiment", "digits", "--uri", "http://host", "--json").out)
    assert [row["studies"] for row in both["methods"]] == [1, 2]
    assert "can't be read (no)" in hpo("compare", "--experiment", "x", "--uri", "http://host").err


@pytest.mark.parametrize(
    ("width", "told"), [(50, (True, False, False)), (80, (False, False, False)), (120, (False, True, True))]
)
def test_a_table_is_no_wider_than_the_terminal_and_keeps_the_median(width, told, capsys, monkeypatch):
    """`told`: whether a name is cut short, and quartiles and ranks are there."""
    for name in ("asha", "fifo", "hyperband with a long name"):
        for seed in range(4):
            values = [0.9, len(name) / 100 + seed / 1000]
            of_method(f"{name}-{seed}", values, seed=seed, choices={"scheduler": name, "searcher": "random"})
    found = compare(*(path.parent for path in Path().glob("*/journal.jsonl"))).found
    monkeypatch.setattr(Console, "is_terminal", property(lambda _: True))
    monkeypatch.setenv("COLUMNS", str(width))
    table.print_table(found)
    out = re.sub(r"\x1b\[[\d;]*m", "", capsys.readouterr().out)
    assert max(map(len, out.splitlines())) <= width
    assert "0.04150" in out
    assert ("…" in out, "to 0.04225" in out, "rank at" in out) == told


# -- a multirun --------------------------------------------------------------------------------------------------------


def test_a_multirun_ends_with_its_methods_compared_though_a_job_was_refused():
    of_method("runs/m-1", [0.1])
    sweep = ("scheduler=fifo,asha,hyperband", "max_resource=2", "n_trials=2", "searcher=random")
    ended = run("-m", *FREE, *sweep, "name=m")
    assert (ended.code, ended.err.startswith("runs/m-1: this study exists;")) == (2, True)
    told = ended.out.splitlines()
    assert told[-1] == "The curves are in runs/m-comparison.html"
    at = told.index("Refused before they began: 1 of 3 jobs")
    assert told[at + 2].startswith("2 methods by validation_error (min), 1 study each")
    assert {line.split()[0] for line in told[at + 7 : at + 9]} == {"fifo", "hyperband"}
    assert Path("runs/m-comparison.html").is_file()


def test_what_is_wrong_with_the_first_job_ends_all():
    ended = run("-m", *FREE, "name=m", "seed=0,1", "n_trials=0")
    assert ended.code == 2
    assert ended.err.count("problem") == 1
    assert not Path("runs").exists()


def test_of_studies_that_can_not_be_compared_a_multirun_says_why(capsys):
    up, down = of_method("runs/m-0", [0.1], mode="max"), of_method("runs/m-1", [0.1])
    assert Jobs(codes=[0, 0], folders=[up, down]).close() == 0
    assert capsys.readouterr().out.startswith("Not compared: loss is to be max in runs/m-0, min in runs/m-1")
    assert Jobs(codes=[3, 1], folders=[down]).close() == 1
    assert "Not compared: to compare takes two studies or more, and there is one" in capsys.readouterr().out
    assert Jobs(codes=[0, 0], folders=[]).close() == 0  # dry runs
    assert capsys.readouterr().out == ""


def test_of_json_the_comparison_is_an_event(capsys):
    four_studies()
    folders = [Path(f"runs/{name}-{seed}") for name in ("asha", "fifo") for seed in range(2)]
    Jobs(codes=[0] * 4, folders=folders, output="json").close()
    (line,) = capsys.readouterr().out.splitlines()
    told = json.loads(line)
    assert (told["event"], told["page"]) == ("comparison", "runs/comparison.html")
    assert [row["method"] for row in told["methods"]] == ["asha", "fifo"]
