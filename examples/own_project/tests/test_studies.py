"""Small studies of both experiments, in an empty folder."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from hpo_pipeline import train, tune

PROJECT = {"config_dir": Path(__file__).parents[1] / "conf", "trust": ["my_lab"]}
SMALL = ("executor=serial", "max_resource=2", "finalists.n=0", "output=lines")


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_ratings_and_one_more_trial_later():
    study = tune("experiment=ratings", *SMALL, "n_trials=7", "name=a", **PROJECT)
    assert len(study.trials) == 7
    assert study.trials["origin"].iloc[-1].startswith("a step from trial ")
    assert study.best.value < 1.0
    rows = csv.DictReader(Path("runs/a/reports.csv").read_text().splitlines())
    told = [row["value"] for row in rows if row["metric"] == "validation_rmse"]
    assert len(told) == len(study.reports)
    study = tune("experiment=ratings", "name=a", "resume=true", "n_trials=8", **PROJECT)
    assert len(study.trials) == 8


def test_forecast_and_its_winner_again():
    study = tune("experiment=forecast", *SMALL, "n_trials=2", "tracker=none", "dataset.n=400", "name=b", **PROJECT)
    winner = Path("conf/experiment/winner.yaml")
    winner.parent.mkdir(parents=True)
    winner.write_text(Path("runs/b/best.yaml").read_text())
    again = train("experiment=winner", "tracker=none", "name=c", "hydra.searchpath=[conf]", **PROJECT)
    assert again.best.value == study.best.value
