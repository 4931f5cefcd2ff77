"""Executors over the functions of trouble.py, and what they answer."""

from __future__ import annotations

from collections.abc import Iterable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from hpo_pipeline.executor import Executor
from hpo_pipeline.executor.pool import Pool
from hpo_pipeline.executor.process import Processes
from hpo_pipeline.executor.runner import StudySetup
from hpo_pipeline.trial import Event, Job, Outcome, Report, Result, Trial


def setup(function: str = "curve", **config: Any) -> StudySetup:
    """Of a function of trouble.py, or of an objective there."""
    objective = {"_target_": "hpo_pipeline.objective.function.Function", "function": f"trouble.{function}"}
    return StudySetup(
        objective={"_target_": f"trouble.{function}"} if function[0].isupper() else objective,
        metrics=("loss",),
        folder=Path("trials"),
        merge=lambda trial_id, sample: {"trial": trial_id, "threads": 1, **config, **sample},
        trial_seed=lambda trial_id: trial_id,
    )


def packs(
    function: str = "curve",
    n_workers: int = 2,
    size: int | None = 2,
    checkpoint_seconds: float = 30.0,
    job_timeout: float | None = None,
    max_retries: int = 1,
) -> Pool:
    """Worker processes, each with a pack of so many jobs."""
    made = setup(function)
    processes = Processes(made.objective, n_workers)
    return Pool(made, made.pack(1, checkpoint_seconds, size), processes, job_timeout, max_retries)


def processes_of(executor: Executor) -> list[BaseProcess]:
    """The processes of its workers, in the order in which they were started."""
    assert isinstance(executor, Pool)
    assert isinstance(executor._transport, Processes)
    return [worker.process for worker in executor._transport._workers.values()]


def job(trial_id: int, resource: int, x: float | str = 0.5, milestones: Iterable[int] = ()) -> Job:
    return Job(Trial(trial_id, {"x": x}), resource, milestones=tuple(milestones))


def until_results(executor: Executor, n: int = 1) -> list[Event]:
    """All events up to the `n`-th result."""
    events: list[Event] = []
    while sum(isinstance(event, Result) for event in events) < n:
        events += executor.wait(60)
    return events


def results(events: Iterable[Event]) -> list[Result]:
    """Without reports, and without what people are told."""
    return [event for event in events if isinstance(event, Result)]


def curve_of(events: Iterable[Event]) -> list[tuple[int, float]]:
    return [(event.resource, event.metrics["loss"]) for event in events if isinstance(event, Report)]


def outcomes(events: Iterable[Event]) -> dict[int, tuple[Outcome, str]]:
    """Trial -> how its job ended; fails if one ended twice."""
    ended = results(events)
    assert len({result.trial_id for result in ended}) == len(ended)
    return {result.trial_id: (result.outcome, result.error) for result in ended}
