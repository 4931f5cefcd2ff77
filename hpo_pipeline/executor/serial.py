"""Jobs in the tuner's own process: for debugging with breakpoints, and for objectives that are free."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator, Sequence

from hpo_pipeline.checks import integer_problems, is_positive, value_problems
from hpo_pipeline.errors import ConfigError, Problem
from hpo_pipeline.executor.isolation import isolated
from hpo_pipeline.executor.pack import Pack
from hpo_pipeline.executor.pool import Pool
from hpo_pipeline.executor.runner import JobTimeout, PackSettings, StudySetup
from hpo_pipeline.executor.transport import Answer, Message
from hpo_pipeline.executor.worker import advance, take
from hpo_pipeline.interrupt import TimeUp, requested, time_limit


class OwnProcess:
    """The tuner's process as the one worker, which trains while it is waited for. A `Transport`.

    A time limit ends Python code only, and in the main thread only (see `interrupt.time_limit`); what a trial starts
    or changes in this process beyond its streams and its working folder is left as it is.

    Args:
        job_timeout: seconds without a report after which what is at work fails; None for no limit.
    """

    capacity = 1
    works_in_wait = True

    def __init__(self, job_timeout: float | None) -> None:
        self._timeout = job_timeout or math.inf
        self._pack: Pack | None = None
        self._answer: Answer | None = None
        self._ends = math.inf

    def start(self, pack: PackSettings) -> str:
        self._pack = Pack(pack, self._around)
        return "tuner"

    def send(self, worker: str, message: Message) -> bool:
        assert self._pack is not None  # it was started
        take(self._pack, message)
        return True

    def wait(self, timeout: float | None) -> list[str]:
        assert self._pack is not None  # it was started
        self._ends = math.inf if timeout is None else time.monotonic() + timeout
        try:
            self._answer = advance(self._pack)
        except TimeUp:
            return []
        return ["tuner"]

    @contextlib.contextmanager
    def _around(self, _trial_ids: Sequence[int], *, breakable: bool = True) -> Iterator[None]:
        left = self._ends - time.monotonic() if breakable else math.inf
        seconds, error = (left, TimeUp()) if left < self._timeout else (self._timeout, JobTimeout(self._timeout))
        with isolated(), contextlib.nullcontext() if seconds == math.inf else time_limit(seconds, error):
            yield
        if requested():  # and the trial has swallowed the exception
            raise KeyboardInterrupt

    def receive(self, worker: str) -> Answer | None:
        answer, self._answer = self._answer, None
        return answer

    def wake(self) -> None:
        """Nothing can be interrupted."""

    def kill(self, worker: str, *, show_where: bool = False) -> None:
        """Nothing is to be ended: between two calls of `wait` nothing is at work."""

    def close(self) -> None:
        self._pack = None


class SerialExecutor(Pool):
    """One job at a time, here.

    Args:
        setup: the study's.
        threads: threads that one training may use.
        checkpoint_seconds: how much training a crash can cost at most, in seconds.
        job_timeout: seconds without a report after which a trial has failed; None for no limit. Python code alone can
            be ended.

    Raises:
        ConfigError: naming the keys.
    """

    def __init__(
        self,
        setup: StudySetup,
        threads: int = 1,
        checkpoint_seconds: float = 30.0,
        job_timeout: float | None = None,
    ) -> None:
        problems = check_numbers({"threads": threads}, checkpoint_seconds, job_timeout)
        if problems:
            raise ConfigError(problems)
        super().__init__(setup, setup.pack(threads, checkpoint_seconds), OwnProcess(job_timeout))


def check_numbers(
    counts: dict[str, int | None], checkpoint_seconds: float, job_timeout: float | None, max_retries: int = 0
) -> list[Problem]:
    """What is wrong with the arguments of an executor. Counts (of workers, of threads) may be None."""
    problems = integer_problems(**{key: count for key, count in counts.items() if count is not None})
    problems += value_problems("a positive number", is_positive, checkpoint_seconds=checkpoint_seconds)
    if job_timeout is not None:
        wanted = "a positive number of seconds, or null for no limit"
        problems += value_problems(wanted, is_positive, job_timeout=job_timeout)
    return problems + integer_problems(least=0, max_retries=max_retries)
