"""A study's best model as a LoggedModel of MLflow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from commands import DIGITS, journal, run
from heard import folded

pytest.importorskip("torch")

from hpo_pipeline.dataset.digits import Digits
from hpo_pipeline.dataset.fingerprint import data_splits
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


def test_the_winner_is_registered_once_and_found_by_its_alias():
    ended = run(*STUDY, "register=shapes of digits")
    assert ended.code == 0, ended.err
    uri = "models:/shapes of digits@champion"
    line = f"The best model is version 1 of 'shapes of digits': mlflow.pyfunc.load_model({uri!r})"
    assert line in ended.out.splitlines()
    (model,) = logged()
    (version,) = client().search_model_versions()
    assert version.tags["hpo.model_id"] == model.model_id
    assert version.run_id == model.source_run_id

    import mlflow

    mlflow.set_tracking_uri(f"sqlite:///{Path('mlflow.db').absolute()}")
    data = Digits().load()
    wrong = mlflow.pyfunc.load_model(uri).predict(data.x_validation.numpy()).argmax(1) != data.y_validation.numpy()
    best = folded(journal("s")).winner.best("validation_error")
    assert wrong.mean() == pytest.approx(best, abs=1e-12)

    client().create_model_version("shapes of digits", model.artifact_location)
    client().set_registered_model_alias("shapes of digits", "champion", "2")
    ended = run("name=s", "resume=true")
    assert len(client().search_model_versions()) == 2  # none was added
    found = client().get_model_version_by_alias("shapes of digits", "champion")
    assert str(found.version) == "2"  # where somebody has moved it
    assert "load_model('models:/shapes of digits/1')" in ended.out


def test_the_data_that_a_study_was_made_with_are_its_inputs():
    assert run(*STUDY, "tracker.log_model=false").code == 0
    experiment = client().get_experiment_by_name("hpo").experiment_id
    (study,) = client().search_runs([experiment], "tags.`hpo.role` = 'study'")
    found = {(made.dataset.name, made.tags[0].value): made.dataset.digest for made in study.inputs.dataset_inputs}
    assert found == {
        ("digits", split.context): split.digest
        for split in data_splits(Digits(), {"n_validation": 300, "split_seed": 0}, final=False)
    }


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (("register=a/b",), "register: must be a name of letters"),
        (("register=models", "tracker=none"), "register: needs a tracker that has a registry of models"),
        (("register=models", "tracker.log_model=false"), "tracker.log_model: must be true"),
        (("tracker.alias=v1",), "tracker.alias: must be letters, digits, - and _"),
    ],
)
def test_what_can_not_be_registered_is_refused_at_once(overrides: tuple[str, ...], told: str):
    ended = run(*STUDY, *overrides)
    assert ended.code == 2
    assert told in ended.err
    assert not Path("runs").exists()
