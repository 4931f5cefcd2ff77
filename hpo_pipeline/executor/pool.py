"""Jobs in worker processes on this machine. Nothing polls: the tuner sleeps until a worker has something to say.

A process can die under its jobs: out of memory, a crash in C. If it had one, that trial has failed. Of several nobody
knows which brought it down: these suspects go on from their checkpoints, each alone in a worker.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing import connection, context, forkserver
from multiprocessing.process import BaseProcess
from typing import Any

from hpo_pipeline.executor.fusion import FIRST
from hpo_pipeline.executor.runner import PackSetup, Setup, Task, discard_checkpoints
from hpo_pipeline.executor.worker import Answer, work
from hpo_pipeline.trial import Event, Job, Notice, Outcome, Report, Result


@dataclass(slots=True)
class _Worker:
    """A process, its end of the pipe, and what it does.

    Attributes:
        jobs: trials that it has a job of -> how another worker would go on with it; None if the trial is to stop.
        alone: whether its job is that of a suspect, and it takes no other.
        held: trials whose state it holds in memory without one.
        turn: answers that it has sent.
        waits: whether it waits for "go".
    """

    process: BaseProcess
    pipe: connection.Connection
    device: int
    jobs: dict[int, Task | None] = field(default_factory=dict)
    alone: bool = False
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
        self._suspects: list[Task] = []

    @property
    def capacity(self) -> int:
        """All suspects, and a pack in every other worker."""
        alone = sum(worker.alone for worker in self._workers)
        return len(self._suspects) + alone + (self._most - alone) * (self._pack.size or FIRST)

    @property
    def _most(self) -> int:
        """Workers at once: the first one is alone while it measures the size of a pack."""
        return 1 if self._pack.size is None else self._n_workers

    def submit(self, job: Job, recorded: int) -> None:
        trial_id = job.trial.id
        worker = self._hand_over(self._setup.task(job, recorded), self._with_room(trial_id))
        for other in self._workers:
            if trial_id in other.held:
                other.held.remove(trial_id)
                if other is not worker:
                    _sent(other, ("forget", trial_id))

    def _with_room(self, trial_id: int) -> _Worker | None:
        """The best worker with a place for the trial; None where a new one is better.

        That is the one with the fewest jobs, so that packs are of one size. A trial's state in memory counts as much
        as one job fewer: to load it takes less time than an epoch among several more.
        """
        size = self._pack.size or FIRST

        def load(worker: _Worker) -> tuple[int, bool]:
            holds = trial_id in worker.held
            return len(worker.jobs) - holds, not holds

        packs = [worker for worker in self._workers if len(worker.jobs) < size and not worker.alone]
        best = min(packs, key=load, default=None)
        if best and load(best) > (0, True) and len(self._workers) < self._most:
            return None
        return best

    def _hand_over(self, task: Task, worker: _Worker | None) -> _Worker:
        """Sends the task to the worker; to a new one if there is none, or if it died with nothing to do."""
        message = ("run", task)
        if worker and not _sent(worker, message) and not worker.jobs:
            self._workers.remove(worker)
            worker = None
        if worker is None:
            worker = self._started()
            _sent(worker, message)
        worker.jobs[task.trial_id] = task  # even if it died: `wait` will find out
        return worker

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
        busy = {worker.pipe: worker for worker in self._workers if worker.jobs}
        for worker in busy.values():
            if worker.waits:
                worker.waits = not _sent(worker, ("go", worker.turn))
        events = []
        for pipe in connection.wait(list(busy), timeout):
            events += self._received(busy[pipe])  # type: ignore[index]
        self._take_up_suspects()
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
        for event in answer.events:
            if isinstance(event, Report) and (task := worker.jobs[event.trial_id]):
                worker.jobs[event.trial_id] = replace(task, recorded=max(task.recorded, event.resource))
            elif isinstance(event, Result):
                del worker.jobs[event.trial_id]
                if event.outcome is Outcome.DONE:
                    worker.held.append(event.trial_id)
        del worker.held[: -(self._pack.size or FIRST)]
        worker.alone = worker.alone and bool(worker.jobs)
        return answer.events

    def _obituary(self, worker: _Worker) -> list[Event]:
        """A worker died under its jobs; another one will start."""
        worker.process.join()
        self._workers.remove(worker)
        code = worker.process.exitcode
        how = f"by signal {-code}" if code is not None and code < 0 else f"with exit code {code}"
        now = time.time()
        events: list[Event] = [Result(i, Outcome.STOPPED, now) for i, task in worker.jobs.items() if task is None]
        tasks = [task for task in worker.jobs.values() if task]
        if len(worker.jobs) == 1:
            error = f"the worker process ended {how}"
            return events + [Result(task.trial_id, Outcome.FAILED, now, error) for task in tasks]
        self._suspects += tasks
        return [Notice(f"a worker process with {len(worker.jobs)} trials ended {how}; they go on one by one"), *events]

    def _take_up_suspects(self) -> None:
        """Gives each a worker that has no job, at once: the scheduler's next jobs would keep it busy."""
        while self._suspects:
            worker = next((worker for worker in self._workers if not worker.jobs), None)
            if worker is None and len(self._workers) >= self._most:
                return
            self._hand_over(self._suspects.pop(0), worker).alone = True

    def decide(self, trial_id: int, *, stop: bool) -> None:
        for worker in self._workers:
            if stop and trial_id in worker.jobs:  # to go on needs no word of its own
                worker.jobs[trial_id] = None
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
        self._suspects.clear()


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


def start_early(node: Mapping[str, Any]) -> None:
    """Has the server that workers are forked from begin its imports, which take seconds, while the config is checked.

    Args:
        node: the executor's config, which may be wrong.
    """
    kind = str(node.get("_target_")).rpartition(".")[2]
    has_workers = kind == "ProcessExecutor" or (kind == "FusedExecutor" and node.get("n_workers") != 1)
    if has_workers and "forkserver" in multiprocessing.get_all_start_methods():
        start_method()
        forkserver.ensure_running()


PRELOADED = (
    "hpo_pipeline.executor.worker",
    "hpo_pipeline.objective.training",
    "torch._dynamo",  # which torch imports for the first optimizer that is made
)


def start_method() -> context.ForkServerContext | context.SpawnContext:
    """How workers start: from a server that has imported torch once, where the system has that; else afresh.

    Not by forking the tuner: it has threads (MLflow, the table) that a fork would break.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    chosen = multiprocessing.get_context("forkserver")
    chosen.set_forkserver_preload(list(PRELOADED))
    return chosen
