"""Objectives of the tests of executors are the functions of trouble.py."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pools import packs, setup

from hpo_pipeline import trust
from hpo_pipeline.executor import Executor
from hpo_pipeline.executor.fused import FusedExecutor
from hpo_pipeline.executor.pool import Pool
from hpo_pipeline.executor.process import ProcessExecutor
from hpo_pipeline.executor.serial import SerialExecutor
from hpo_pipeline.executor.simulated import SimulatedWorkers

Open = Callable[..., Executor]


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


KINDS = ["serial", "process", "fused here", "fused in a process"]


@pytest.fixture(params=KINDS)
def opened(request: pytest.FixtureRequest) -> Iterator[Open]:
    """Opens an executor of each kind that trains, over a function of trouble.py."""
    yield from opening(request.param)


@pytest.fixture(params=[*KINDS, "simulated"])
def opened_any(request: pytest.FixtureRequest) -> Iterator[Open]:
    """Opens an executor of each kind over a function of trouble.py."""
    yield from opening(request.param)


def opening(kind: str) -> Iterator[Open]:
    executors: list[Executor] = []

    def make(function: str = "curve", job_timeout: float | None = None) -> Executor:
        made: Executor
        match kind:
            case "serial":
                made = SerialExecutor(setup(function), job_timeout=job_timeout)
            case "process":
                made = ProcessExecutor(setup(function), n_workers=1, job_timeout=job_timeout)
            case "fused here":
                made = FusedExecutor(setup(function), n_workers=1, pack_size=2, job_timeout=job_timeout)
            case "simulated":
                made = SimulatedWorkers(setup(function))
            case _:
                made = packs(function, n_workers=1, job_timeout=job_timeout)
        executors.append(made)
        return made

    yield make
    for executor in executors:
        executor.close()
        executor.close()
