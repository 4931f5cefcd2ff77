"""Objectives of the tests of executors are the functions of trouble.py."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pools import packs

from hpo_pipeline import trust
from hpo_pipeline.executor.pool import Pool


@pytest.fixture(autouse=True)
def _trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HPO_TRUST", "trouble")  # for programs that a test starts
    trust.read_environment()
    monkeypatch.syspath_prepend(Path(__file__).parent)


@pytest.fixture(params=[1, 2])
def pool(request: pytest.FixtureRequest) -> Iterator[Pool]:
    """Two workers, with a place for one job or for two."""
    executor = packs(size=request.param)
    yield executor
    executor.close()
