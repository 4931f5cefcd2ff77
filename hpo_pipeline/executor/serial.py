"""Jobs in the tuner's own process: for debugging with breakpoints, and for objectives that are free."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from hpo_pipeline.executor.isolation import isolated
from hpo_pipeline.executor.pack import Pack
from hpo_pipeline.executor.pool import Pool, check_arguments
from hpo_pipeline.executor.runner import JobTimeout, PackSettings, StudySetup, output_path
from hpo_pipeline.executor.transport import Answer, Message, Transport
from hpo_pipeline.executor.trial_logging import TrialLogging
from hpo_pipeline.executor.worker import advance, take
from hpo_pipeline.interrupt import TimeUp, requested, time_limit


class OwnProcess(Transport):
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
        self._folder = Path()
        self._logging: TrialLogging | None = None
        self._ends = math.inf

    def start(self, pack: PackSettings, avoided: Collection[str] = ()) -> str:
        self._pack = Pack(pack, self._around)
        self._folder, self._logging = pack.folder, TrialLogging(pack.log_levels)
        self._logging.start()
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
    def _around(self, trial_ids: Sequence[int], *, breakable: bool = True) -> Iterator[None]:
        left = self._ends - time.monotonic() if breakable else math.inf
        seconds, error = (left, TimeUp()) if left < self._timeout else (self._timeout, JobTimeout(self._timeout))
        assert self._logging is not None  # it was started
        logged = self._logging.of(output_path(self._folder, "tuner", trial_ids))
        with isolated(), logged, contextlib.nullcontext() if seconds == math.inf else time_limit(seconds, error):
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
        if self._pack is not None:
            self._pack.clear()
        if self._logging is not None:
            self._logging.stop()


class SerialExecutor(Pool):
    """One job at a time, here.

    Args:
        setup: the study's. The other arguments are explained in `conf/executor/serial.yaml`.
    """

    def __init__(
        self,
        setup: StudySetup,
        threads: int = 1,
        checkpoint_seconds: float = 30.0,
        job_timeout: float | None = None,
    ) -> None:
        check_arguments(checkpoint_seconds, job_timeout, threads=threads)
        super().__init__(setup, setup.pack(threads, checkpoint_seconds), OwnProcess(job_timeout))
