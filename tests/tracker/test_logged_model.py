"""A study's best model as a LoggedModel of MLflow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from commands import DIGITS, journal, run
from heard import folded

pytest.importorskip("torch")

from hpo_pipeline.dataset.digits import Digits
from hpo_pipeline.tracker.mlflow import store

STUDY = (*DIGITS[:-2], "scheduler=fifo", "searcher=random", "n_trials=2", "max_resource=2", "name=s")
"""With MLflow, and its finalists complete when the search is over."""


def client() -> Any:
    from mlflow import MlflowClient

    return MlflowClient(f"sqlite:///{Path('mlflow.db').absolute()}")


def logged() -> list[Any]:
    experiment = client().get_experiment_by_name("hpo").experiment_id
    return list(client().search_logged_models([experiment]))


def test_it_predicts_what_the_study_measured_and_is_logged_once():
    ended = run(*STUDY)
    assert ended.code == 0, ended.err
    winner = folded(journal("s")).winner
    (model,) = logged()
    assert str(model.status) == "READY"
    assert {metric.key: metric.value for metric in model.metrics} == winner.at(winner.best_resource)
    trial, study = (client().get_run(run_id) for run_id in (model.source_run_id, _parent(model.source_run_id)))
    assert trial.data.tags["hpo.trial"] == study.data.tags["hpo.winner"] == str(winner.id)
    for made_by in (trial, study):
        assert [output.model_id for output in made_by.outputs.model_outputs] == [model.model_id]

    import mlflow

    mlflow.set_tracking_uri(f"sqlite:///{Path('mlflow.db').absolute()}")
    loaded = mlflow.pyfunc.load_model(f"models:/{model.model_id}")
    data = Digits().load()
    wrong = loaded.predict(data.x_validation.numpy()).argmax(1) != data.y_validation.numpy()
    assert wrong.mean() == pytest.approx(winner.best("validation_error"), abs=1e-12)
    assert "[-1, 1, 8, 8]" in str(loaded.metadata.signature.to_dict())
    assert run("name=s", "resume=true").code == 0
    assert len(logged()) == 1


def _parent(run_id: str) -> str:
    return str(client().get_run(run_id).data.tags["mlflow.parentRunId"])


def test_a_model_that_cannot_be_logged_harms_no_study(monkeypatch):
    def refuses(*_: object) -> None:
        raise ValueError("no such program can be exported")

    monkeypatch.setattr(store, "log_model", refuses)
    ended = run(*STUDY)
    assert ended.code == 0
    line = "MLflow does not take the best model (ValueError: no such program can be exported); it is in runs/s/best"
    assert line in ended.out.splitlines()
    assert Path("runs/s/best/model.pt").exists()
    assert logged() == []
