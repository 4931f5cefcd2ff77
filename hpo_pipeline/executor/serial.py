"""Jobs in the tuner's own process, one at a time: for debugging with breakpoints, and for objectives that are free."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterator

from hpo_pipeline.build import build
from hpo_pipeline.errors import ConfigError
from hpo_pipeline.executor.runner import JobRunner, Setup, discard_checkpoints
from hpo_pipeline.trial import Event, Job, Outcome, Result


class SerialExecutor:
    """One job at a time, here; `wait` is where it trains.

    Args:
        setup: the study's.
        threads: threads that one training may use.
        checkpoint_seconds: how much training a crash can cost at most, in seconds.

    Raises:
        ConfigError: naming the keys.
    """

    capacity = 1

    def __init__(self, setup: Setup, threads: int = 1, checkpoint_seconds: float = 30.0) -> None:
        problems = check_numbers(threads=threads, checkpoint_seconds=checkpoint_seconds)
        if problems:
            raise ConfigError(problems)
        self._setup = setup
        self._threads = threads
        self._checkpoint_seconds = checkpoint_seconds
        self._runner: JobRunner | None = None
        self._job: Job | None = None
        self._events: Iterator[list[Event]] = iter(())

    def submit(self, job: Job, recorded: int) -> None:
        if self._runner is None:
            make = functools.partial(build, self._setup.objective, threads=self._threads)
            self._runner = JobRunner(make, self._setup.metric, self._setup.folder, self._checkpoint_seconds)
        self._job = job
        self._events = self._runner.run(self._setup.task(job, recorded))

    def wait(self, timeout: float | None = None) -> list[Event]:
        return next(self._events, [])

    def decide(self, trial_id: int, *, stop: bool) -> None:
        if stop:
            self._events = iter([[Result(trial_id, Outcome.STOPPED, time.time())]])

    def discard(self, trial_id: int) -> None:
        discard_checkpoints(self._setup.folder, trial_id)

    def close(self) -> None:
        self._events = iter(())


def check_numbers(*, checkpoint_seconds: float, **counts: int | None) -> list[str]:
    """What is wrong with the arguments of an executor. Counts (of workers, of threads) may be None."""
    problems = [
        f"{key}: must be an integer of at least 1, got {value!r}"
        for key, value in counts.items()
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1)
    ]
    wrong = isinstance(checkpoint_seconds, bool) or not isinstance(checkpoint_seconds, (int, float))
    if wrong or checkpoint_seconds <= 0:
        problems.append(f"checkpoint_seconds: must be a positive number, got {checkpoint_seconds!r}")
    return problems
