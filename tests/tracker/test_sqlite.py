"""The database file: made whole or not at all, and looked at before a study starts."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from studies import execute

from hpo_pipeline.tracker import UnusableStoreError
from hpo_pipeline.tracker.mlflow import sqlite
from hpo_pipeline.tracker.mlflow.store import MLflowStore


def tables(path: Path) -> None:
    execute(path, "CREATE TABLE runs (a)")


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_database_is_never_seen_half_made(tmp_path: Path):
    path = tmp_path / "store" / "mlflow.db"

    def cut_short(aside: Path) -> None:
        tables(aside)
        assert not path.exists()
        raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space"):
        sqlite.make(path, cut_short)
    assert names(path.parent) <= {"mlflow.db.lock"}
    sqlite.make(path, tables)
    assert execute(path, "SELECT count(*) FROM runs") == [(0,)]
    assert execute(path, "PRAGMA journal_mode") == [("wal",)]
    assert names(path.parent) <= {"mlflow.db", "mlflow.db.lock"}


def test_a_database_that_is_there_is_left_as_it_is(tmp_path: Path):
    path = tmp_path / "mlflow.db"
    tables(path)
    sqlite.make(path, lambda aside: pytest.fail("made again"))


@pytest.mark.parametrize("content", ["no byte", "no table"])
def test_an_empty_file_becomes_a_database(tmp_path: Path, content: str):
    path = tmp_path / "mlflow.db"
    path.touch()
    if content == "no table":
        execute(path, "PRAGMA journal_mode=WAL")
    sqlite.make(path, tables)
    assert execute(path, "SELECT count(*) FROM runs") == [(0,)]


def test_what_a_deleted_database_left_behind_is_not_taken_for_the_new_ones(tmp_path: Path):
    path = tmp_path / "mlflow.db"
    with closing(sqlite3.connect(path)) as old:
        old.execute("PRAGMA journal_mode=WAL")
        old.execute("CREATE TABLE old (a)")
        old.commit()
        path.unlink()
        assert (tmp_path / "mlflow.db-wal").exists()
        sqlite.make(path, tables)
    assert execute(path, "SELECT name FROM sqlite_master") == [("runs",)]


def test_a_database_that_another_program_has_just_made_is_kept(tmp_path: Path):
    path = tmp_path / "mlflow.db"

    def slowly(aside: Path) -> None:
        execute(path, "CREATE TABLE theirs (a)")
        path.rename(tmp_path / "theirs")
        tables(aside)

    linked = os.link

    def link(aside: Path, to: Path) -> None:
        (tmp_path / "theirs").rename(to)
        linked(aside, to)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "link", link)
        sqlite.make(path, slowly)
    assert execute(path, "SELECT name FROM sqlite_master") == [("theirs",)]


def test_only_the_database_that_is_being_made_is_written_without_a_guard(tmp_path: Path):
    made, other = tmp_path / "made.db", tmp_path / "other.db"
    found = {}
    for path in (made, other):
        with closing(sqlite3.connect(path)) as connection:
            sqlite.hurry(connection, made)
            settings = ("journal_mode", "synchronous")
            found[path.name] = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in settings]
    assert found == {"made.db": ["memory", 0], "other.db": ["delete", 2]}  # 0: OFF, 2: FULL, what SQLite begins with


_FULL_DISK = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from hpo_pipeline.tracker.mlflow.store import MLflowStore
import mlflow
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
MLflowStore(sys.argv[1])
"""


@pytest.mark.slow
def test_a_disk_that_fills_while_tables_are_made_does_not_spoil_the_store(tmp_path: Path):
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    ended = subprocess.run([sys.executable, "-c", _FULL_DISK, uri], capture_output=True, text=True)
    assert "StoreDownError" in ended.stderr or "UnusableStoreError" in ended.stderr
    assert "mlflow.db" not in names(tmp_path)
    assert not [name for name in names(tmp_path) if name.startswith(".mlflow.db")]
    store = MLflowStore(uri)
    assert store.create(store.experiment("e"), "r", {}, 0)


# -- before a study starts -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database as MLflow makes it, with a run."""
    path = tmp_path_factory.mktemp("real") / "mlflow.db"
    store = MLflowStore(f"sqlite:///{path}")
    store.create(store.experiment("e"), "r", {}, 0)
    return path


@pytest.fixture
def database(real: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    path = tmp_path / "mlflow.db"
    with closing(sqlite3.connect(real)) as source, closing(sqlite3.connect(path)) as copy:
        source.backup(copy)
    return path


def test_nothing_is_created_where_there_is_no_database_yet(tmp_path: Path):
    assert sqlite.problem(tmp_path / "a" / "mlflow.db") == ""
    assert names(tmp_path) == set()


def test_a_good_database_is_found_good_and_left_as_it_is(database: Path):
    before = database.read_bytes()
    assert sqlite.problem(database) == ""
    assert database.read_bytes() == before
    assert names(database.parent) == {"mlflow.db"}


def test_what_is_no_database_is_refused(tmp_path: Path):
    (tmp_path / "text").write_text("this is no database at all", encoding="utf-8")
    assert sqlite.problem(tmp_path / "text") == "is no SQLite database"
    assert sqlite.problem(tmp_path) == "is no file"
    assert sqlite.problem(tmp_path / "text" / "mlflow.db") == f"can't be made, as {tmp_path / 'text'} is no folder"


def test_a_torn_database_is_refused(database: Path):
    database.write_bytes(database.read_bytes()[:5000])
    assert sqlite.problem(database).startswith("can't be read (")


def test_a_place_that_cant_be_written_to_is_refused(database: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "access", lambda path, mode: not mode & os.W_OK)
    assert sqlite.problem(database) == "can't be written to, or its folder can't"
    where = database.parent / "a" / "mlflow.db"
    assert sqlite.problem(where) == f"can't be made, as {database.parent} can't be written to"


def test_a_locked_database_is_refused(database: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sqlite, "_CHECK_SECONDS", 0.0)
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert sqlite.problem(database).startswith("is locked by another program")
    assert sqlite.problem(database) == ""


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (["UPDATE alembic_version SET version_num = 'ffffffffffff'"], "was made by a newer version of MLflow"),
        (["UPDATE alembic_version SET version_num = '90e64c465722'"], "was made by an older version of MLflow; back"),
        (["DELETE FROM alembic_version", "DELETE FROM runs"], "is unfinished: making its tables was cut short"),
        (["DROP TABLE alembic_version", "DROP TABLE runs"], "is unfinished: making its tables was cut short"),
    ],
)
@pytest.mark.slow
def test_a_database_of_another_schema_is_refused_with_what_to_do(database: Path, change: list[str], found: str):
    for statement in change:
        execute(database, statement)
    assert sqlite.problem(database).startswith(found)
    with pytest.raises(UnusableStoreError, match=found):
        MLflowStore(f"sqlite:///{database}")


_CREATE = """
import sys
from hpo_pipeline.tracker.mlflow.store import MLflowStore
store = MLflowStore(sys.argv[1])
store.create(store.experiment("e"), "r", {}, 0)
"""


@pytest.mark.slow
def test_several_studies_may_make_one_database_at_once(tmp_path: Path):
    words = [sys.executable, "-c", _CREATE, f"sqlite:///{tmp_path}/mlflow.db"]
    started = [subprocess.Popen(words, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    ended = [(process.communicate()[1], process.returncode) for process in started]
    assert [code for _, code in ended] == [0, 0], ended
    assert execute(tmp_path / "mlflow.db", "SELECT count(*) FROM runs") == [(2,)]
