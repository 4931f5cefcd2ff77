"""What was deleted, replaced, copied or tampered with: noticed, written again where that is possible, never misled."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from studies import Faulty, MemoryStore, Study, carry, execute, following

from hpo_pipeline.tracker import LostError, UnusableStoreError
from hpo_pipeline.tracker.follower import Follower
from hpo_pipeline.tracker.mlflow import MLflowTracker
from hpo_pipeline.tracker.mlflow.store import MLflowStore

slow = pytest.mark.slow


def fresh(tmp_path: Path, write: Callable[[Study], None]) -> str:
    """What a study looks like in a store that nothing happens to."""
    study, memory = Study(tmp_path / "undisturbed"), MemoryStore()
    write(study)
    carry(study, memory)
    study.journal.close()
    return memory.content()


def halfway(study: Study) -> None:
    """The first session of the eventful study."""
    study.begin()
    for trial in range(2):
        study.suggest(trial)
        study.job(trial, 0, 1, 0, value=0.5 - trial / 10)
        study.decide(trial, "PAUSED")


def second_half(study: Study) -> None:
    study.job(0, 1, 2, 1, value=0.3)
    study.decide(0, "COMPLETED")
    study.end()


class Vandal(Faulty):
    """Deletes something from the store just before call number `at`."""

    def __init__(self, store: MemoryStore, at: int, delete: Callable[[MemoryStore], Any]) -> None:
        super().__init__(store, at=-1, after=False)
        self.when, self.delete, self.memory = at, delete, store

    def __getattr__(self, name: str) -> Any:
        call = super().__getattr__(name)

        def preceded(*arguments: Any) -> Any:
            if self.count == self.when:
                self.delete(self.memory)
            return call(*arguments)

        return preceded


def delete_named(name: str) -> Callable[[MemoryStore], None]:
    def delete(memory: MemoryStore) -> None:
        memory.runs = {run_id: run for run_id, run in memory.runs.items() if run["name"] != name}

    return delete


def delete_all(memory: MemoryStore) -> None:
    memory.runs = {}


def delete_files(memory: MemoryStore) -> None:
    for run in memory.runs.values():
        run["files"] = {}


@pytest.mark.parametrize("delete", [delete_named("s"), delete_named("trial-0001"), delete_all])
def test_what_is_deleted_at_any_moment_is_written_again(study: Study, tmp_path: Path, delete):
    expected = fresh(tmp_path, Study.eventful)
    study.eventful()
    counting = Faulty(MemoryStore(), at=-1, after=False)
    carry(study, counting)
    best_effort = 5  # the last calls come after the last look: artifacts, the data, two views, statistics
    for at in range(1, counting.count - best_effort - 1):
        memory = MemoryStore()
        assert carry(study, Vandal(memory, at, delete)).closed().complete
        assert memory.content() == expected, f"deleted before call {at}"


def test_artifacts_that_are_deleted_in_the_middle_are_written_again(study: Study, tmp_path: Path):
    expected = fresh(tmp_path, Study.eventful)
    study.eventful()

    class Swept(MemoryStore):
        def tag_experiment(self, experiment_id, key, value):
            if not self.experiment_tags:
                delete_files(self)
            super().tag_experiment(experiment_id, key, value)

    memory = Swept()
    assert carry(study, memory).closed().complete
    assert memory.content() == expected


@pytest.mark.parametrize("delete", [delete_named("s"), delete_named("trial-0001"), delete_all])
def test_what_is_deleted_between_two_sessions_is_written_again(study: Study, tmp_path: Path, delete):
    expected = fresh(tmp_path, lambda study: (halfway(study), study.session(), second_half(study)))
    memory = MemoryStore()
    halfway(study)
    carry(study, memory)
    delete(memory)
    study.session()
    second_half(study)
    assert carry(study, memory).closed().complete
    assert memory.content() == expected
    assert len(memory.children()) == 2


def test_trials_of_a_deleted_study_run_go_under_the_new_one(study: Study):
    memory = MemoryStore()
    study.eventful()
    carry(study, memory)
    before = set(memory.runs) - {next(iter(memory.runs))}
    delete_named("s")(memory)
    carry(study, memory)
    assert set(memory.children().values()) == before


def test_a_store_from_an_older_backup_gets_what_it_lacks(study: Study, tmp_path: Path):
    expected = fresh(tmp_path, lambda study: (halfway(study), second_half(study)))
    memory, backup = MemoryStore(), MemoryStore()
    halfway(study)
    carry(study, backup)
    carry(study, memory)
    second_half(study)
    carry(study, memory)
    carry(study, backup)
    assert backup.content() == memory.content() == expected


def test_a_journal_from_an_older_backup_is_told_apart_from_what_the_store_has_seen(study: Study):
    memory = MemoryStore()
    halfway(study)
    carry(study, memory)
    journal = study.folder / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:-1]))
    study.journal.recover()
    study.now += 60  # it goes on otherwise, and is as long when it is looked at
    study.decide(1, "STOPPED")
    second_half(study)
    carry(study, memory)
    assert memory.named("trial-0001")["tags"]["hpo.state"] == "STOPPED"


def test_a_store_that_loses_everything_again_and_again_is_given_up(study: Study):
    class Leaking(MemoryStore):
        def check(self) -> None:
            raise LostError("it was deleted")

    study.eventful()
    closed = carry(study, Leaking()).closed()
    assert not closed.complete
    assert closed.text.startswith("MLflow lacks 3 of 3 trials (it was deleted); the journal has everything.")
    assert closed.text.endswith("python tune.py name=s resume=true")


# -- copies ----------------------------------------------------------------------------------------------------------


def copy_of(study: Study, folder: Path) -> Study:
    """The study's folder copied, and resumed under its new name."""
    shutil.copytree(study.folder, folder, ignore=shutil.ignore_patterns("*.lock"))
    copied = Study(folder, "study-2")
    copied.now = study.now
    copied.record(
        "study", version=1, id="study-2", name="copy", seed=7, unit="epoch", metrics=[{"name": "error", "mode": "min"}]
    )
    copied.session()
    copied.end()
    return copied


@pytest.mark.parametrize("noted", ["", '{"study": "run0", "offset": 0, "trials": {"0": "run1"}}'])
def test_a_copied_study_has_runs_of_its_own_and_leaves_the_originals_alone(study: Study, tmp_path: Path, noted: str):
    memory = MemoryStore()
    study.eventful()
    carry(study, memory)
    (study.folder / "mlflow.json").write_text(noted, encoding="utf-8")  # what older versions left
    before = memory.content()
    copied = copy_of(study, tmp_path / "copy")
    carry(copied, memory)
    theirs = MemoryStore()
    theirs.runs = {i: r for i, r in memory.runs.items() if r["tags"].get("hpo.uid", "study-1:").startswith("study-1:")}
    theirs.runs = {i: r for i, r in theirs.runs.items() if r["name"] != "copy"}
    assert theirs.content() == before
    assert memory.trials("1", "study-2").keys() == {0, 1, 2}
    (own,) = [run_id for run_id, run in memory.runs.items() if run["name"] == "copy"]
    assert memory.runs[own]["tags"]["hpo.study_id"] == "study-2"
    parents = {memory.runs[run]["tags"]["mlflow.parentRunId"] for run in memory.trials("1", "study-2").values()}
    assert parents == {own}
    copied.journal.close()


@pytest.mark.parametrize("identity", ["%", "study' OR 'a' = 'a", "", "../x"])
def test_an_id_that_could_mean_other_studies_is_refused(tmp_path: Path, identity: str):
    memory = MemoryStore()
    study = Study(tmp_path / "hostile", identity)
    study.eventful()
    closed = carry(study, memory).closed()
    assert not closed.complete
    assert "id in its journal" in closed.text
    assert memory.runs == {}
    study.journal.close()


def test_links_in_a_studys_folder_lead_nowhere(study: Study, tmp_path: Path):
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key").write_text("mine", encoding="utf-8")
    (study.folder / "best.yaml").symlink_to(secret / "key")
    (study.folder / "plots").symlink_to(secret)
    (study.folder / "mlflow-rejected.jsonl").symlink_to(secret / "key")

    class Choosy(MemoryStore):
        def log(self, run_id, update):
            return [*super().log(run_id, update), "no"]

    memory = Choosy()
    study.eventful()
    carry(study, memory)
    assert {name for run in memory.runs.values() for name in run["files"]} <= {"journal.jsonl", "traceback.txt"}
    assert (secret / "key").read_text() == "mine"


# -- MLflow itself ---------------------------------------------------------------------------------------------------


class Interfered(MLflowStore):
    """Something is done to the store before the first trial's run is made."""

    def __init__(self, uri: str, interfere: Callable[[], None]) -> None:
        super().__init__(uri)
        self.interfere: Callable[[], None] | None = interfere

    def create(self, experiment_id: str, name: str, tags: dict[str, str], time: int) -> str:
        if name == "trial-0001" and self.interfere:
            interfere, self.interfere = self.interfere, None
            interfere()
        return super().create(experiment_id, name, tags, time)


def written(study: Study, uri: str, interfere: Callable[[], None]) -> Follower:
    stores = iter([lambda: Interfered(uri, interfere)])
    follower = following(study, lambda: next(stores, lambda: MLflowStore(uri))(), uri=uri, experiment="e")
    follower.ended.set()
    follower.run()
    return follower


@slow
@pytest.mark.parametrize("leftovers", [True, False])
def test_a_database_that_is_deleted_in_the_middle_is_made_again_with_all_that_was_in_it(
    study: Study, tmp_path: Path, leftovers: bool
):
    path = tmp_path / "mlflow.db"

    def delete() -> None:
        for file in [path] if leftovers else tmp_path.glob("mlflow.db*"):
            file.unlink()

    study.eventful()
    assert written(study, f"sqlite:///{path}", delete).closed().complete
    assert execute(path, "SELECT name FROM runs ORDER BY name") == [
        ("s",),
        ("trial-0000",),
        ("trial-0001",),
        ("trial-0002",),
    ]
    assert execute(path, "PRAGMA integrity_check") == [("ok",)]


@slow
def test_a_deleted_experiment_is_told_with_what_restores_it(study: Study, tmp_path: Path):
    uri = f"sqlite:///{tmp_path}/mlflow.db"

    def delete() -> None:
        from mlflow import MlflowClient

        MlflowClient(uri).delete_experiment("1")

    study.eventful()
    closed = written(study, uri, delete).closed()
    assert not closed.complete
    assert "MLflow lacks 3 of 3 trials (the experiment 'e' has been deleted; restore it with" in closed.text
    assert f"`MLFLOW_TRACKING_URI={uri} mlflow experiments restore --experiment-id 1`" in closed.text
    (problem,) = MLflowTracker(uri, "e").problems()
    assert str(problem).startswith("experiment: the experiment 'e' has been deleted; restore it with")
    with pytest.raises(UnusableStoreError):
        MLflowStore(uri).experiment("e")


@slow
def test_runs_and_artifacts_that_were_deleted_in_mlflow_are_written_again(study: Study, tmp_path: Path):
    from mlflow import MlflowClient

    uri = f"sqlite:///{tmp_path}/mlflow.db"
    study.eventful()

    def interfere() -> None:
        client = MlflowClient(uri)
        for run in client.search_runs(["1"]):
            client.delete_run(run.info.run_id)
        shutil.rmtree(tmp_path / "mlartifacts", ignore_errors=True)

    assert written(study, uri, interfere).closed().complete
    client = MlflowClient(uri)
    assert sorted(run.info.run_name for run in client.search_runs(["1"])) == [
        *("s", "trial-0000", "trial-0001", "trial-0002")
    ]
    (failed,) = [run for run in client.search_runs(["1"]) if run.info.run_name == "trial-0002"]
    assert [file.path for file in client.list_artifacts(failed.info.run_id)] == ["traceback.txt"]
