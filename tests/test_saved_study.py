"""Studies read back from their folders: `load_study`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from commands import FREE, run

from hpo_pipeline.errors import StudyError
from hpo_pipeline.evaluation import Metric
from hpo_pipeline.journal import Journal, Record
from hpo_pipeline.saved_study import load_study, studies_in
from hpo_pipeline.trial import State

HEADER: Record = {
    "event": "study",
    "version": 3,
    "name": "s",
    "metrics": [{"name": "loss", "mode": "min"}],
    "time": 0.0,
}


def folder(name: str = "runs/s", *records: Record, **files: str) -> Path:
    """A study's folder with two trials, and the files that are named."""
    place = Path(name)
    place.mkdir(parents=True)
    for file, text in files.items():
        (place / f"{file}.yaml").write_text(text)
    with Journal(place / "journal.jsonl") as journal:
        journal.append(HEADER)
        for trial, (loss, accuracy) in enumerate([(0.3, 0.2), (0.1, 0.1)]):
            of: Any = {"trial": trial, "time": 1.0}
            journal.append({"event": "suggested", "config": {"lr": trial / 10}, **of})
            journal.append({"event": "submitted", "resource": 1, "rung": 0, "bracket": 0, **of})
            metrics = {"loss": loss, "accuracy": accuracy}
            journal.append({"event": "report", "resource": 1, "metrics": metrics, **of})
        for record in records:
            journal.append(record)
    return place


def test_a_study_that_was_run_is_read_back_with_its_config_and_what_was_typed():
    assert run(*FREE, "name=a", "n_trials=3", "scheduler=fifo").code == 0
    study = load_study("runs/a")
    assert (study.name, study.unit, study.is_training, len(study.view.trials)) == ("a", "step", False, 3)
    assert study.config["scheduler"]["_target_"] == "hpo_pipeline.scheduler.fifo.FIFO"
    assert not study.config.keys() & {"defaults", "hydra"}
    assert study.choices["scheduler"] == "fifo"
    assert study.overrides == sorted([*FREE, "name=a", "n_trials=3", "scheduler=fifo"])


def test_a_study_at_work_is_read_up_to_its_last_whole_record():
    place = folder()
    with Journal(place / "journal.jsonl"), open(place / "journal.jsonl", "ab") as file:
        file.write(b'{"event":"rep')
        file.flush()
        study = load_study(place)
    assert [trial.state for trial in study.view.trials.values()] == [State.RUNNING, State.RUNNING]
    assert study.view.best is not None
    assert (study.view.best.id, study.view.end) == (1, None)


def test_trials_are_ranked_by_another_metric_where_one_is_named():
    best = load_study(folder(), Metric("accuracy", "max")).view.best
    assert best is not None
    assert (best.id, best.best("accuracy")) == (0, 0.2)


def test_a_folder_needs_no_more_than_a_journal():
    study = load_study(folder())
    assert (study.config, study.overrides, dict(study.choices), study.unit) == ({}, [], {}, "resource")


def test_what_is_no_study_is_said_with_the_studies_that_there_are():
    folder("runs/first")
    folder("runs/second")
    Path("runs/other").mkdir()
    assert studies_in("runs") == [Path("runs/first"), Path("runs/second")]
    for name, said in (
        ("runs/frist", "runs/frist: there is no such folder; did you mean 'first'?"),
        ("runs/zzz", "runs/zzz: there is no such folder; studies there: first, second"),
        ("away/zzz", "away/zzz: there is no such folder"),
        (
            "runs",
            "runs: is no study's folder, as there is no journal.jsonl in it; studies there: first, second",
        ),
        ("runs/other", "runs/other: is no study's folder, as there is no journal.jsonl in it"),
        ("x" * 300, f"{'x' * 300}: can't be read (File name too long)"),
    ):
        with pytest.raises(StudyError) as caught:
            load_study(name)
        assert str(caught.value) == said


def test_a_journal_that_says_nothing_or_what_does_not_follow_is_named():
    Path("empty").mkdir()
    Path("empty/journal.jsonl").touch()
    with pytest.raises(StudyError, match=r"^empty: nothing is recorded of this study yet$"):
        load_study("empty")
    folder("odd", {"event": "decision", "trial": 9, "state": "STOPPED", "reason": "", "time": 2.0})
    with pytest.raises(StudyError, match=r"^odd/journal.jsonl: trial 9 was never suggested$"):
        load_study("odd")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: &x [1]\nb: *x\n", "can't be read (it refers to parts of itself; a study writes no aliases)"),
        ("a: !!python/object/apply:os.system ['touch hacked']\n", "can't be read (could not determine a constructor"),
        ("[1, 2]\n", "must be a mapping, as a study saves it"),
    ],
)
def test_a_config_of_a_stranger_is_plain_data_or_refused(text, said):
    study = load_study(folder(config=text))
    with pytest.raises(StudyError) as caught:
        _ = study.config
    assert str(caught.value).startswith(f"runs/s/config.yaml: {said}")
    assert not Path("hacked").exists()


def test_a_config_that_is_a_link_is_not_followed():
    place = folder()
    Path("secret.yaml").write_text("password: x\n")
    os.symlink(Path("secret.yaml").absolute(), place / "config.yaml")
    with pytest.raises(StudyError, match=r"^runs/s/config.yaml: is a link, which isn't followed$"):
        _ = load_study(place).config
