"""Every test runs in an empty folder of its own, with no setting of the person's who runs it."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # tests run side by side: threads of one would wait for those of another

import shutil
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hydra.core.global_hydra import GlobalHydra

from hpo_pipeline import build, trust
from hpo_pipeline.tracker.mlflow.store import MLflowStore

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["MPLBACKEND"] = "agg"
_SETTINGS = ("HPO_TRUST", "MLFLOW_TRACKING_URI", "HYDRA_FULL_ERROR", "CI")
for _name in _SETTINGS:  # once for fixtures of a module too, which are made before any of a test
    os.environ.pop(_name, None)
os.fsync = lambda _file: None  # programs are killed here, not machines: what was written is there without waiting


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    trust.trust(())
    there = set(sys.modules)
    yield
    trust.trust(())
    for name in _SETTINGS:  # mlflow.set_tracking_uri sets its own, for programs that are started
        os.environ.pop(name, None)
    GlobalHydra.instance().clear()
    written_here = [name for name in sys.modules.keys() - there if _lies_in(tmp_path, sys.modules[name])]
    for name in written_here:  # the next test may write a module of the same name
        del sys.modules[name]
    if written_here:
        build._looked_up.cache_clear()


@pytest.fixture(scope="session", autouse=True)
def _tables_made_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """MLflow takes most of a second to make a database's tables: here it does so once, and the others are copies."""
    made = tmp_path_factory.getbasetemp() / "tables" / "mlflow.db"
    make_tables = MLflowStore._make_tables

    def copy_tables(store: MLflowStore, path: Path) -> None:
        if not made.exists():
            made.parent.mkdir()
            make_tables(store, made)
        shutil.copyfile(made, path)
        with closing(sqlite3.connect(path)) as copy, copy:  # the only thing in it that is about the store
            copy.execute("UPDATE experiments SET artifact_location = ? || '/0'", (store._artifacts(),))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MLflowStore, "_make_tables", copy_tables)
        yield


def _lies_in(folder: Path, module: object) -> bool:
    file = getattr(module, "__file__", None)
    return isinstance(file, str) and (file.startswith(f"{folder}/") or not os.path.isabs(file))
