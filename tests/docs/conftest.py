"""What is not there when documentation is run: a browser, MLflow's server and store, and the time to paint."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

sys.path.append(str(Path(__file__).parents[1] / "tracker"))  # a store in memory

from studies import MemoryStore

from hpo_pipeline.commands import ui
from hpo_pipeline.tracker.mlflow import MLflowTracker


class Server:
    """What `mlflow ui` is started as."""

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def wait(self) -> int:
        return 0

    def poll(self) -> None:
        """It runs."""

    def terminate(self) -> None:
        pass


@pytest.fixture
def _store_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryStore()
    monkeypatch.setattr(MLflowTracker, "open", lambda _: store)
    monkeypatch.setattr(ui, "subprocess", SimpleNamespace(Popen=Server))
    monkeypatch.setattr(ui, "_answers", lambda _port: True)
    Path("mlflow.db").touch()
