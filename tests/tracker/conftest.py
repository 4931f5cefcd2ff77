from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from studies import MemoryStore, Study

from hpo_pipeline.tracker import follower

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"


@pytest.fixture
def study(tmp_path: Path) -> Iterator[Study]:
    made = Study(tmp_path / "runs" / "s")
    yield made
    made.journal.close()


@pytest.fixture
def memory() -> MemoryStore:
    return MemoryStore()


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follower, "_BACKOFF_SECONDS", (0.0, 0.0))
