"""The training, searcher, scheduler and tracker keep to their interfaces, and make a study; no torch in here."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from my_lab.objective import Factorization
from my_lab.scheduler import Bandit
from my_lab.searcher import HillClimb

from hpo_pipeline import tune
from hpo_pipeline.space import SearchSpace
from hpo_pipeline.testing import check_objective, check_scheduler, check_searcher

PROJECT = {"config_dir": Path(__file__).parents[1] / "conf", "trust": ["my_lab"]}
SPACE = SearchSpace.parse(
    {
        "rank": {"type": "int", "low": 1, "high": 16},
        "regularization": {"type": "float", "low": 0.01, "high": 100.0, "log": True},
    }
)
FEW = SearchSpace.parse({"n": {"type": "int", "low": 1, "high": 3}, "kind": {"type": "choice", "choices": ["a", "b"]}})


@pytest.mark.parametrize("space", [SPACE, FEW])
def test_searcher(space):
    check_searcher(lambda space: HillClimb(space, seed=0, n_startup=2), space)


@pytest.mark.parametrize("n_workers", [1, 4])
def test_scheduler(n_workers):
    check_scheduler(lambda trials: Bandit(trials, max_resource=6, slack=2.0), n_workers=n_workers, seed=0)


def test_objective():
    check_objective(lambda: Factorization(20, 10, 200), {"params": {"rank": 2, "regularization": 1.0}})


def test_the_objective_says_what_is_wrong_with_a_config():
    found = Factorization(20, 10, 200).problems({"params": {"rank": 0, "regularization": 1.0, "ranks": 2}})
    assert [problem.path for problem in found] == ["params.rank", "params.ranks"]


def test_a_study_and_one_more_trial_later(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ("experiment=ratings", "executor=serial", "finalists.n=0", "max_resource=2", "name=a")
    study = tune(*words, "n_trials=7", **PROJECT)
    assert len(study.trials) == 7
    assert study.trials["origin"].iloc[-1].startswith("a step from trial ")
    assert study.best.value < 1.0
    study = tune(*words, "n_trials=8", "resume=true", **PROJECT)
    rows = csv.DictReader(Path("runs/a/reports.csv").read_text().splitlines())
    told = [(int(row["trial"]), float(row["value"])) for row in rows if row["metric"] == "validation_rmse"]
    assert told == list(zip(study.reports["trial"], study.reports["value"], strict=True))
    assert len(study.trials) == 8
