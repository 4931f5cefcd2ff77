"""Jobs in worker processes on this machine. Nothing polls: the tuner sleeps until a worker has something to say."""

from __future__ import annotations

import contextlib
import multiprocessing
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing import connection, context
from multiprocessing.process import BaseProcess
from typing import Any

from hpo_pipeline.executor.fusion import FIRST
from hpo_pipeline.executor.runner import PackSetup, Setup, discard_checkpoints
from hpo_pipeline.executor.worker import Answer, work
from hpo_pipeline.trial import Event, Job, Outcome, Result


@dataclass(slots=True)
class _Worker:
    """A process, its end of the pipe, and what it does.

    Attributes:
        jobs: trials that it has a job of.
        held: trials whose state it holds in memory without one.
        turn: answers that it has sent.
        waits: whether it waits for "go".
    """

    process: BaseProcess
    pipe: connection.Connection
    device: int
    jobs: set[int] = field(default_factory=set)
    held: list[int] = field(default_factory=list)
    turn: int = 0
    waits: bool = True


class Pool:
    """Worker processes, each with a pack of jobs, and its share of the cores or one of the GPUs.

    Args:
        setup: the study's.
        pack: of each worker. If its size is to be measured, the first worker does so alone; the others start then.
        n_workers: processes at once.
        devices: ids of the GPUs to spread the workers over; none for a study on the CPU.
    """

    def __init__(self, setup: Setup, pack: PackSetup, n_workers: int, devices: Sequence[str]) -> None:
        self._setup = setup
        self._pack = replace(pack, sharing=-(-n_workers // max(1, len(devices))))
        self._n_workers = n_workers
        self._devices = devices
        self._context = start_method()
        self._workers: list[_Worker] = []
        self._n_started = 0
        self._last_words: list[Event] = []

    @property
    def capacity(self) -> int:
        return FIRST if self._pack.size is None else self._n_workers * self._pack.size

    def submit(self, job: Job, recorded: int) -> None:
        trial_id = job.trial.id
        message = ("run", self._setup.task(job, recorded))
        for worker in self._with_room(trial_id):
            if _sent(worker, message):
                break
            self._last_words += self._rest(worker)
        else:
            worker = self._started()
            _sent(worker, message)  # one that could not even start: `wait` will find out
        worker.jobs.add(trial_id)
        for other in self._workers:
            if trial_id in other.held:
                other.held.remove(trial_id)
                if other is not worker:
                    _sent(other, ("forget", trial_id))

    def _with_room(self, trial_id: int) -> Iterator[_Worker]:
        """Workers with a place for the trial, the best first; none where a new one is better.

        That is the one with the fewest jobs, so that packs are of one size. A trial's state in memory counts as much
        as one job fewer: to load it takes less time than an epoch among several more.
        """
        size = self._pack.size or FIRST

        def load(worker: _Worker) -> tuple[int, bool]:
            holds = trial_id in worker.held
            return len(worker.jobs) - holds, not holds

        for worker in sorted(self._workers, key=load):
            if load(worker) > (0, True) and self._pack.size is not None and len(self._workers) < self._n_workers:
                return
            if len(worker.jobs) < size:
                yield worker

    def _started(self) -> _Worker:
        """A new worker, on the device that has the fewest."""
        here, there = self._context.Pipe()
        counts = [sum(worker.device == i for worker in self._workers) for i in range(len(self._devices))]
        device = counts.index(min(counts)) if counts else 0
        environment = {"CUDA_VISIBLE_DEVICES": self._devices[device]} if self._devices else {}
        arguments = (there, self._pack, self._n_started, environment)
        process = self._context.Process(target=work, args=arguments, daemon=True)
        process.start()
        there.close()
        self._n_started += 1
        self._workers.append(_Worker(process, here, device))
        return self._workers[-1]

    def wait(self, timeout: float | None = None) -> list[Event]:
        if self._last_words:
            events, self._last_words = self._last_words, []
            return events
        busy = {worker.pipe: worker for worker in self._workers if worker.jobs}
        for worker in busy.values():
            if worker.waits:
                worker.waits = not _sent(worker, ("go", worker.turn))
        events = []
        for pipe in connection.wait(list(busy), timeout):
            events += self._received(busy[pipe])  # type: ignore[index]
        return events

    def _received(self, worker: _Worker) -> list[Event]:
        try:
            answer: Answer = worker.pipe.recv()
        except (EOFError, OSError):
            return self._obituary(worker)
        worker.turn += 1
        worker.waits = answer.waits
        if self._pack.size is None and answer.size is not None:
            self._pack = replace(self._pack, size=answer.size)
        ended = [event for event in answer.events if isinstance(event, Result)]
        worker.jobs -= {event.trial_id for event in ended}
        worker.held += [event.trial_id for event in ended if event.outcome is Outcome.DONE]
        del worker.held[: -(self._pack.size or FIRST)]
        return answer.events

    def _rest(self, worker: _Worker) -> list[Event]:
        """All that a dead worker still had to say."""
        events: list[Event] = []
        while worker in self._workers:
            events += self._received(worker)
        return events

    def _obituary(self, worker: _Worker) -> list[Event]:
        """A worker died under its jobs (out of memory, a crash in C): they failed; another worker will start."""
        worker.process.join()
        self._workers.remove(worker)
        code = worker.process.exitcode
        how = f"by signal {-code}" if code is not None and code < 0 else f"with exit code {code}"
        error = f"the worker process ended {how}"
        return [Result(trial_id, Outcome.FAILED, time.time(), error) for trial_id in sorted(worker.jobs)]

    def decide(self, trial_id: int, *, stop: bool) -> None:
        for worker in self._workers:
            if stop and trial_id in worker.jobs:  # to go on needs no word of its own
                _sent(worker, ("stop", trial_id))

    def discard(self, trial_id: int) -> None:
        for worker in self._workers:
            if trial_id in worker.held:
                worker.held.remove(trial_id)
                _sent(worker, ("forget", trial_id))
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


def _sent(worker: _Worker, message: tuple[str, Any]) -> bool:
    """Whether the worker is there to get the message. If it isn't and has jobs, `wait` will find out."""
    with contextlib.suppress(OSError):
        worker.pipe.send(message)
        return True
    return False


def n_places(devices: Sequence[str]) -> int:
    """The GPUs, or the cores where there are none: those that affinity and container limits leave to this process."""
    import joblib

    return len(devices) or int(joblib.cpu_count())


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
