"""Against MLflow itself, with a SQLite store that the tests of this file share."""

from __future__ import annotations

import math
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from studies import COMMANDS, CONFIG, Faulty, Killed, Study, carry, following

from hpo_pipeline.errors import ConfigError
from hpo_pipeline.evaluation import Metric
from hpo_pipeline.space import SearchSpace
from hpo_pipeline.tracker import StoreDownError
from hpo_pipeline.tracker import mlflow as tracker_module
from hpo_pipeline.tracker.follower import Closed
from hpo_pipeline.tracker.mlflow import MLflowTracker
from hpo_pipeline.tracker.mlflow.store import MLflowStore
from hpo_pipeline.tracker.mlflow.update import Update
from hpo_pipeline.tracker.none import NoTracker
from hpo_pipeline.tracker.tracking import Tracking

slow = pytest.mark.slow


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('store')}/mlflow.db"


@pytest.fixture
def experiment(request: pytest.FixtureRequest) -> str:
    return str(request.node.name)


class Runs:
    """What an experiment holds, by the names of its runs."""

    def __init__(self, uri: str, experiment: str) -> None:
        from mlflow import MlflowClient

        self.client = MlflowClient(uri)
        self.experiment = self.client.get_experiment_by_name(experiment)
        found = self.client.search_runs([self.experiment.experiment_id])
        self.by_name: dict[str, Any] = {run.info.run_name: run for run in found}
        assert len(self.by_name) == len(found)

    def history(self, name: str, metric: str) -> list[tuple[int, float]]:
        records = self.client.get_metric_history(self.by_name[name].info.run_id, metric)
        return sorted((record.step, record.value) for record in records)

    def rung_records(self) -> int:
        return sum(len(self.history(name, "rung/error")) for name in self.by_name)


def track(study: Study, tracker: MLflowTracker) -> str:
    """One session's worth; returns what people are told."""
    return Tracking([tracker], study.folder, CONFIG, COMMANDS).close(120, lambda text: None).text


@slow
def test_31_rung_evaluations_of_16_trials_are_31_records_in_16_runs_under_one(study: Study, uri: str, experiment: str):
    study.successive_halving()
    track(study, MLflowTracker(uri, experiment))
    runs = Runs(uri, experiment)
    parent = runs.by_name.pop("s").info
    assert len(runs.by_name) == 16
    assert runs.rung_records() == 31
    assert {run.data.tags["mlflow.parentRunId"] for run in runs.by_name.values()} == {parent.run_id}
    assert parent.status == "FINISHED"
    assert runs.history("trial-0000", "error") == [(epoch, 0.1) for epoch in range(1, 17)]
    assert {run.data.metrics["best.error"] for run in runs.by_name.values()} == {0.1 + n / 100 for n in range(16)}
    listed = {file.path for file in runs.client.list_artifacts(parent.run_id)}
    assert listed == {"journal.jsonl"}


@slow
def test_nan_states_and_params_come_back_as_they_were_written(study: Study, uri: str, experiment: str):
    study.eventful()
    told = track(study, MLflowTracker(uri, experiment))
    runs = Runs(uri, experiment)
    assert {name: run.info.status for name, run in runs.by_name.items()} == {
        "s": "FINISHED",
        "trial-0000": "FINISHED",
        "trial-0001": "FINISHED",
        "trial-0002": "FAILED",
    }
    ((step, value),) = runs.history("trial-0001", "rung/error")
    assert step == 1
    assert math.isnan(value)
    assert runs.history("trial-0000", "error") == [(1, 0.5), (2, 0.4), (3, 0.3)]
    assert runs.by_name["trial-0001"].data.params["optimizer.lr"] == "0.01"
    assert f"mlflow ui --workers 1 --backend-store-uri {uri}" in told
    assert f"#/experiments/{runs.experiment.experiment_id}/runs?workflowType=machine_learning" in told
    assert [tag for tag in runs.experiment.tags if tag.startswith("mlflow.sharedViewState.hpo")]


@slow
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_killed_in_between_and_resumed_each_record_is_there_once(study: Study, uri: str, experiment: str, after: bool):
    study.eventful()
    store = MLflowStore(uri)
    # Killed in the first session's calls: 4 is a trial's creation, 6 a status, 9 the study's metrics.
    for at in (4, 6, 9):
        doomed = Faulty(store, at, after)
        with pytest.raises(Killed):
            carry(study, doomed, uri=uri, experiment=experiment)
    track(study, MLflowTracker(uri, experiment))
    runs = Runs(uri, experiment)
    assert sorted(runs.by_name) == ["s", "trial-0000", "trial-0001", "trial-0002"]
    assert runs.rung_records() == 3
    assert runs.history("trial-0000", "error") == [(1, 0.5), (2, 0.4), (3, 0.3)]
    assert runs.history("trial-0000", "best.error") == [(1, 0.5), (2, 0.4), (3, 0.3)]
    assert runs.history("s", "best.error") == [(1, 0.5), (3, 0.4), (4, 0.3)]


@slow
def test_what_mlflow_refuses_does_not_hold_up_what_it_takes(study: Study, uri: str, experiment: str):
    store = MLflowStore(uri)
    run = store.create(store.experiment(experiment), "r", {}, 0)
    assert store.log(run, Update(params={"a": "1"})) == []
    (line,) = store.log(run, Update(params={"a": "2", "b": "1"}, tags={"t": "u"}))
    assert line.startswith("a=2: ")
    found = Runs(uri, experiment).by_name["r"].data
    assert found.params == {"a": "1", "b": "1"}
    assert found.tags["t"] == "u"


@slow
def test_the_database_is_in_wal_mode_and_has_statistics(study: Study, uri: str, experiment: str):
    study.eventful()
    track(study, MLflowTracker(uri, experiment))
    with sqlite3.connect(uri.removeprefix("sqlite:///")) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("SELECT count(*) FROM sqlite_stat1").fetchone()[0] > 0


@slow
def test_artifacts_lie_beside_the_database_whatever_the_current_directory_is(uri: str, experiment: str):
    store = MLflowStore(uri)
    store.experiment(experiment)
    beside = Path(uri.removeprefix("sqlite:///")).parent / "mlartifacts"
    assert Runs(uri, experiment).experiment.artifact_location == beside.as_uri()


@slow
def test_a_database_of_another_mlflow_turns_tracking_off_and_says_what_to_do(
    study: Study, uri: str, tmp_path: Path, experiment: str
):
    study.eventful()
    track(study, MLflowTracker(uri, experiment))  # it holds runs
    old = tmp_path / "old.db"
    with sqlite3.connect(uri.removeprefix("sqlite:///")) as source, sqlite3.connect(old) as copy:
        source.backup(copy)
        copy.execute("UPDATE alembic_version SET version_num = '90e64c465722'")
    told = track(study, MLflowTracker(f"sqlite:///{old}", experiment))
    assert f"mlflow db upgrade sqlite:///{old}" in told


def train(study: Study) -> None:
    """A training of two epochs in the study's folder, as train.py records it."""
    head = {"version": 2, "id": study.study_id, "name": "mlp", "seed": 7, "unit": "epoch", "kind": "training"}
    study.record("study", **head, metric="error", mode="min")
    study.record("suggested", trial=3, config={})
    study.submit(3, 2)
    study.report(3, 1, error=0.5, seconds=2.0)
    study.report(3, 2, error=math.nan, seconds=2.0)
    study.record("test", trial=3, resource=2, metrics={"test_error": 0.25, "test_loss": math.inf})
    study.result(3)
    study.decide(3, "COMPLETED")
    study.end(reason="")
    (study.folder / "config.yaml").write_text("seed: 7\n", encoding="utf-8")
    (study.folder / "model.ckpt").write_bytes(b"weights")


TRAIN = {"train": "python train.py model=mlp"}


@slow
def test_a_training_is_one_run_with_its_curve_its_config_and_its_model(study: Study, uri: str, experiment: str):
    train(study)
    told = Tracking([MLflowTracker(uri, experiment)], study.folder, CONFIG, TRAIN).close(120, lambda text: None).text
    runs = Runs(uri, experiment)
    run = runs.by_name["mlp"]
    assert f"/runs/{run.info.run_id}?" in told
    assert (run.info.status, run.info.start_time, run.info.end_time) == (
        *("FINISHED", 1_700_000_001_000, 1_700_000_009_000),
    )
    (first, (step, last)) = runs.history("mlp", "error")
    assert (first, step) == ((1, 0.5), 2)
    assert math.isnan(last)
    assert runs.history("mlp", "test_error") == [(2, 0.25)]
    assert run.data.params["scheduler.eta"] == "2"
    assert (run.data.tags["hpo.role"], run.data.tags["hpo.command"]) == ("training", TRAIN["train"])
    assert {file.path for file in runs.client.list_artifacts(run.info.run_id)} == {"config.yaml", "model.ckpt"}
    assert not [tag for tag in runs.experiment.tags if tag.startswith("mlflow.sharedViewState")]


def test_a_training_says_so_where_it_could_not_be_written(study: Study):
    train(study)

    def away() -> None:
        follower.give_up("nothing could be written for 60 s")
        raise StoreDownError("connection refused")

    follower = following(study, away, commands=TRAIN)
    follower.ended.set()
    follower.run()
    assert follower.closed() == Closed(
        complete=False,
        text="MLflow has not taken this training (nothing could be written for 60 s: connection refused); "
        f"it is in {study.folder}",
    )


def test_without_a_tracker_nothing_is_written_or_said(tmp_path: Path):
    assert NoTracker(uri="sqlite:///x.db").problems() == []
    assert Tracking([NoTracker()], tmp_path, {}, {}).close(1, pytest.fail) == Closed(complete=True)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def held_up(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A store that hangs until the test is over."""
    over = threading.Event()

    class Hanging:
        def __init__(self, uri: str) -> None:
            over.wait()
            raise StoreDownError("too late")

    monkeypatch.setattr(tracker_module, "MLflowStore", Hanging)
    yield
    over.set()


@pytest.mark.usefixtures("held_up")
def test_a_study_never_waits_for_a_store_that_hangs(study: Study):
    study.eventful()
    began = time.perf_counter()
    tracking = Tracking([MLflowTracker("http://localhost:1")], study.folder, CONFIG, COMMANDS)
    closed = tracking.close(0.01, lambda text: None)
    assert time.perf_counter() - began < 1
    assert not closed.complete
    assert closed.text.startswith("MLflow lacks 3 of 3 trials (nothing could be written for 0.01 s)")


def test_mlflow_is_not_imported_before_a_store_is_opened():
    code = "import sys, hpo_pipeline.tracker.mlflow as m; m.MLflowTracker('http://x'); print('mlflow' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "False"


def test_relative_databases_are_made_absolute_where_the_study_was_composed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert MLflowTracker().uri == f"sqlite:///{tmp_path}/mlflow.db"
    assert MLflowTracker("sqlite:///a/b.db").uri == f"sqlite:///{tmp_path}/a/b.db"
    assert MLflowTracker("http://host:5000").uri == "http://host:5000"
    assert MLflowTracker("postgresql+psycopg2://u:p@host/db").uri == "postgresql+psycopg2://u:p@host/db"


def test_the_environment_chooses_the_store_if_the_config_does_not(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://host:5000")
    assert MLflowTracker().uri == "http://host:5000"
    assert MLflowTracker("https://other").uri == "https://other"


@pytest.mark.parametrize("uri", ["file:./mlruns", "file:///mlruns", "mlruns"])
def test_a_plain_folder_is_refused_with_what_to_write_instead(uri: str):
    with pytest.raises(ConfigError, match=r"^uri: .*use sqlite:///.*mlruns/mlflow\.db"):
        MLflowTracker(uri)


def test_all_that_is_wrong_is_said_at_once():
    with pytest.raises(ConfigError) as error:
        MLflowTracker("sqlit:///x.db", experiment="", window=0)
    first, second, third = error.value.lines
    assert "did you mean 'sqlite'?" in first
    assert second.startswith("experiment: ")
    assert third.startswith("window: ")


@slow
def test_the_studies_of_an_experiment_are_read_again_and_the_runs_of_others(uri: str):
    from mlflow import MlflowClient

    tracker = MLflowTracker(uri, "earlier")
    first, second = Study(Path("first"), "study-1"), Study(Path("second"), "study-2")
    first.begin()
    for trial, values in enumerate([(0.5, 0.3, 0.4), (0.2, 0.6, 0.7)]):
        first.suggest(trial, lr=10.0**-trial, n_units=32)
        first.submit(trial, 3)
        for resource, value in enumerate(values, start=1):
            first.report(trial, resource, error=value)
        first.result(trial)
        first.decide(trial, "COMPLETED")
    first.suggest(2)
    first.submit(2, 3)
    first.result(2, "failed", "ValueError: no")
    first.decide(2, "FAILED")
    first.end()
    second.eventful()
    track(first, tracker)
    track(second, tracker)
    client = MlflowClient(tracker.uri)
    experiment = client.get_experiment_by_name("earlier").experiment_id
    for lr, error in ((0.01, 0.9), (0.02, 0.8)):
        run = client.create_run(experiment).info.run_id
        client.log_param(run, "optimizer.lr", lr)
        client.log_metric(run, "error", error)
        client.set_tag(run, "hpo.trial", "9" * 4999)  # more digits than Python reads
    client.create_run(experiment)  # tells nothing

    space = SearchSpace.parse(CONFIG["search_space"])
    found = tracker.studies("earlier", Metric("error"))
    assert sorted((study.name, len(study.trials)) for study in found) == [("earlier", 2), ("s", 3), ("s", 3)]
    one = next(study for study in found if any(trial.score == 0.2 for trial in study.trials))
    assert sorted((trial.id, trial.score) for trial in one.trials) == [(0, 0.3), (1, 0.2), (2, math.inf)]
    fitting, _ = one.within(space)
    assert [trial.config for trial in fitting.trials][:2] == [
        {"optimizer.lr": 0.1, "model.n_units": 32},
        {"optimizer.lr": 1.0, "model.n_units": 32},
    ]
    others, note = next(study for study in found if study.name == "earlier").within(space)
    assert [(trial.config["optimizer.lr"], trial.score) for trial in others.trials] == [(0.02, 0.8), (0.01, 0.9)]
    assert note == "learning from earlier: 2 of 2 trials; model.n_units of 2 completed with its mid-point"
    assert [study.trials[0].score for study in tracker.studies("earlier", Metric("error", "max"))] != []
    assert tracker.studies("gone", Metric("error")) == []


def test_a_store_that_is_not_there_is_not_made():
    assert MLflowTracker("sqlite:///gone/mlflow.db").studies("earlier", Metric("error")) == []
    assert not Path("gone").exists()


def test_a_store_that_can_not_be_read_is_named():
    Path("mlflow.db").write_bytes(b"no database, but more than nothing")
    with pytest.raises(ConfigError, match=r"mlflow.db: the experiment 'earlier' can't be read"):
        MLflowTracker("sqlite:///mlflow.db").studies("earlier", Metric("error"))
