"""Jobs in worker processes on this machine. Nothing polls: the tuner sleeps until a worker has something to say."""

from __future__ import annotations

import contextlib
import multiprocessing
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import connection, context
from multiprocessing.process import BaseProcess

from hpo_pipeline.errors import ConfigError
from hpo_pipeline.executor.runner import Setup, discard_checkpoints
from hpo_pipeline.executor.serial import check_numbers
from hpo_pipeline.executor.worker import WorkerSetup, work
from hpo_pipeline.trial import Event, Job, Outcome, Result


@dataclass(slots=True)
class _Worker:
    """A process, its end of the pipe, and what it does. `last_trial` is the one whose state it holds in memory."""

    process: BaseProcess
    pipe: connection.Connection
    device: int
    job: Job | None = None
    last_trial: int | None = None


class ProcessExecutor:
    """A pool of worker processes, each with its share of the cores or one of the GPUs.

    Args:
        setup: the study's.
        devices: ids of the GPUs to spread the workers over; none for a study on the CPU.
        n_workers: None for one a GPU, or one a core where there are none.
        threads_per_worker: threads that one training may use. Numbers don't depend on n_workers, but on this one.
        checkpoint_seconds: how much training a crash can cost at most, in seconds.

    Raises:
        ConfigError: naming the keys.
    """

    def __init__(
        self,
        setup: Setup,
        devices: Sequence[str] = (),
        n_workers: int | None = None,
        threads_per_worker: int = 1,
        checkpoint_seconds: float = 30.0,
    ) -> None:
        problems = check_numbers(
            n_workers=n_workers, threads_per_worker=threads_per_worker, checkpoint_seconds=checkpoint_seconds
        )
        if problems:
            raise ConfigError(problems)
        self.capacity = n_workers or len(devices) or _cores()
        self._setup = setup
        self._devices = devices
        self._threads = threads_per_worker
        self._checkpoint_seconds = checkpoint_seconds
        self._context = start_method()
        self._workers: list[_Worker] = []

    def submit(self, job: Job, recorded: int) -> None:
        idle = [worker for worker in self._workers if worker.job is None]
        at_hand = [worker for worker in idle if worker.last_trial == job.trial.id]
        message = ("run", self._setup.task(job, recorded))
        for worker in (*at_hand, *idle):
            try:
                worker.pipe.send(message)
            except OSError:  # it died while it had nothing to do
                self._workers.remove(worker)
            else:
                break
        else:
            worker = self._started()
            worker.pipe.send(message)
        worker.job, worker.last_trial = job, job.trial.id

    def _started(self) -> _Worker:
        """A new worker, on the device that has the fewest."""
        here, there = self._context.Pipe()
        counts = [sum(worker.device == i for worker in self._workers) for i in range(len(self._devices))]
        device = counts.index(min(counts)) if counts else 0
        setup = WorkerSetup(
            objective=self._setup.objective,
            metric=self._setup.metric,
            folder=self._setup.folder,
            threads=self._threads,
            checkpoint_seconds=self._checkpoint_seconds,
            environment={"CUDA_VISIBLE_DEVICES": self._devices[device]} if self._devices else {},
        )
        process = self._context.Process(target=work, args=(there, setup), daemon=True)
        process.start()
        there.close()
        worker = _Worker(process, here, device)
        self._workers.append(worker)
        return worker

    def wait(self, timeout: float | None = None) -> list[Event]:
        busy = {worker.pipe: worker for worker in self._workers if worker.job is not None}
        events: list[Event] = []
        for pipe in connection.wait(list(busy), timeout):
            events += self._received(busy[pipe])  # type: ignore[index]
        return events

    def _received(self, worker: _Worker) -> list[Event]:
        try:
            events: list[Event] = worker.pipe.recv()
        except (EOFError, OSError):
            events = [self._obituary(worker)]
        if isinstance(events[-1], Result):
            worker.job = None
        return events

    def _obituary(self, worker: _Worker) -> Result:
        """A worker died under its job (out of memory, a crash in C): the trial failed; another worker will start."""
        assert worker.job is not None  # only busy workers are waited for
        worker.process.join()
        self._workers.remove(worker)
        code = worker.process.exitcode
        how = f"by signal {-code}" if code is not None and code < 0 else f"with exit code {code}"
        return Result(worker.job.trial.id, Outcome.FAILED, time.time(), f"the worker process ended {how}")

    def decide(self, trial_id: int, *, stop: bool) -> None:
        for worker in self._workers:
            if worker.job is not None and worker.job.trial.id == trial_id:
                with contextlib.suppress(OSError):  # it died meanwhile: `wait` will find out
                    worker.pipe.send(("decide", stop))

    def discard(self, trial_id: int) -> None:
        discard_checkpoints(self._setup.folder, trial_id)

    def close(self) -> None:
        for worker in self._workers:
            worker.process.terminate()
            worker.pipe.close()
        for worker in self._workers:
            worker.process.join(timeout=5)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
        self._workers.clear()


def _cores() -> int:
    """Cores that this process may use: affinity and container limits taken into account."""
    import joblib

    return int(joblib.cpu_count())


PRELOADED = "hpo_pipeline.objective.training"


def start_method() -> context.ForkServerContext | context.SpawnContext:
    """How workers start: from a server that has imported torch once, where the system has that; else afresh.

    Not by forking the tuner: it has threads (MLflow, the table) that a fork would break.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    chosen = multiprocessing.get_context("forkserver")
    chosen.set_forkserver_preload(["hpo_pipeline.executor.worker", PRELOADED])
    return chosen
