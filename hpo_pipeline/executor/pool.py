"""Jobs in worker processes on this machine. Nothing polls: the tuner sleeps until a worker has something to say.

A process can die under its jobs (out of memory, a crash in C), or hang. A job then goes on from its checkpoint, at most
`max_retries` times; if it was not alone it always does, as nobody knows which job it was. From then on it has a worker
for itself. A job that hangs alone has failed.
"""

from __future__ import annotations

import atexit
import contextlib
import math
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from multiprocessing import connection
from multiprocessing.process import BaseProcess
from typing import Any

from hpo_pipeline.executor import Executor
from hpo_pipeline.executor.checkpoints import Checkpoints
from hpo_pipeline.executor.fusion import FIRST
from hpo_pipeline.executor.processes import Processes
from hpo_pipeline.executor.runner import JobTimeout, PackSettings, StudySetup, Task, log
from hpo_pipeline.executor.worker import Answer
from hpo_pipeline.trial import Event, Job, Notice, Outcome, Report, Result

ENDING_SECONDS = 1.0
"""From the end of a worker's pipe to its own, at most."""


@dataclass(slots=True)
class _Worker:
    """A process, its end of the pipe, and what it does.

    Attributes:
        jobs: trials that it has a job of -> how another worker would go on with it; None if the trial is to stop.
        alone: whether its job is one that has lost a worker, and it takes no other.
        held: trials whose state it holds in memory without one.
        turn: answers that it has sent.
        waits: whether it waits for "go".
        since: when it began what it is at (seconds).
    """

    process: BaseProcess
    pipe: connection.Connection
    device: int
    jobs: dict[int, Task | None] = field(default_factory=dict)
    alone: bool = False
    held: list[int] = field(default_factory=list)
    turn: int = 0
    waits: bool = True
    since: float = math.inf


class Pool(Executor):
    """Worker processes, each with a pack of jobs, and its share of the cores or one of the GPUs.

    Args:
        setup: the study's.
        pack: of each worker. If its size is to be measured, the first worker does so alone; the others start then.
        n_workers: processes at once.
        devices: ids of the GPUs to spread the workers over; none for a study on the CPU.
    """

    def __init__(self, setup: StudySetup, pack: PackSettings, n_workers: int, devices: Sequence[str]) -> None:
        self._setup = setup
        self._pack = replace(pack, sharing=-(-n_workers // max(1, len(devices))))
        self._n_workers = n_workers
        self._devices = devices
        self._timeout = pack.job_timeout or math.inf
        self._processes = Processes(setup.objective)
        self._workers: list[_Worker] = []
        self._again: list[Task] = []  # jobs that have lost a worker
        self._stopped: list[int] = []  # trials of such jobs that were cancelled meanwhile
        self._wakes, self._waker = connection.Pipe(duplex=False)

    @property
    def capacity(self) -> int:
        """All that have lost a worker, and a pack in every other worker."""
        alone = sum(worker.alone for worker in self._workers)
        return len(self._again) + len(self._stopped) + alone + (self._most - alone) * (self._pack.size or FIRST)

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
        if worker and not (worker.process.is_alive() and _sent(worker, message)) and not worker.jobs:
            self._bury(worker)
            worker = None
        if worker is None:
            worker = self._started()
            _sent(worker, message)
        worker.jobs[task.trial_id] = task  # even if it died: `wait` will find out
        return worker

    def _started(self) -> _Worker:
        """A new worker, on the device that has the fewest."""
        counts = [sum(worker.device == i for worker in self._workers) for i in range(len(self._devices))]
        device = counts.index(min(counts)) if counts else 0
        environment = {"CUDA_VISIBLE_DEVICES": self._devices[device]} if self._devices else {}
        if not self._workers:
            atexit.register(self.close)  # before Python waits for processes that aren't daemonic
        process, pipe = self._processes.start(self._pack, environment)
        self._workers.append(_Worker(process, pipe, device))
        return self._workers[-1]

    def wait(self, timeout: float | None = None) -> list[Event]:
        busy = [worker for worker in self._workers if worker.jobs]
        for worker in busy:
            if worker.waits:
                worker.waits = not _sent(worker, ("go", worker.turn))
                worker.since = time.monotonic()
        # A pipe alone doesn't tell that its worker died: what a trial has started may hold it open.
        sources = [worker.pipe for worker in busy], [worker.process.sentinel for worker in self._workers]
        ready = connection.wait([*sources[0], *sources[1], self._wakes], self._seconds(busy, timeout))
        if self._wakes in ready:
            self._wakes.recv_bytes()
        events: list[Event] = [Result(trial_id, Outcome.STOPPED, time.time()) for trial_id in self._stopped]
        self._stopped.clear()
        for worker in list(self._workers):
            if ended := worker.process.sentinel in ready:
                self._processes.end(worker.process)  # what trials have started, too
            if not worker.jobs:
                if ended:
                    self._bury(worker)
            elif ended or worker.pipe in ready:
                events += self._received(worker)
            elif time.monotonic() - worker.since >= self._timeout and not worker.pipe.poll():
                events += self._overdue(worker)
        self._give_again()
        return events

    def _seconds(self, busy: Sequence[_Worker], timeout: float | None) -> float | None:
        """How long to wait for the next answer, before the first worker is overdue."""
        if self._stopped:
            return 0.0
        limit = min((worker.since + self._timeout - time.monotonic() for worker in busy), default=math.inf)
        limit = min(limit, math.inf if timeout is None else timeout)
        return None if limit == math.inf else max(0.0, limit)

    def _received(self, worker: _Worker) -> list[Event]:
        try:
            if not worker.pipe.poll():
                raise EOFError
            answer: Answer = worker.pipe.recv()
        except (EOFError, OSError):
            return self._died(worker)
        worker.turn += 1
        worker.waits = answer.waits
        worker.since = time.monotonic()
        if self._pack.size is None and answer.size is not None:
            self._pack = replace(self._pack, size=answer.size)
        events: list[Event] = []
        for event in answer.events:
            if isinstance(event, Report):
                if not (task := worker.jobs[event.trial_id]):
                    continue
                worker.jobs[event.trial_id] = replace(task, recorded=max(task.recorded, event.resource))
            elif isinstance(event, Result):
                if event.outcome is Outcome.DONE:
                    worker.held.append(event.trial_id)
                if not worker.jobs.pop(event.trial_id):
                    event = Result(event.trial_id, Outcome.STOPPED, event.time)
            events.append(event)
        del worker.held[: -(self._pack.size or FIRST)]
        worker.alone = worker.alone and bool(worker.jobs)
        return events

    def _died(self, worker: _Worker) -> list[Event]:
        worker.process.join(ENDING_SECONDS)
        self._processes.end(worker.process)  # if it has closed its pipe alone
        code = worker.process.exitcode
        how = f"by signal {-code}" if code is not None and code < 0 else f"with exit code {code}"
        return self._lost(worker, f"the worker process ended {how}", self._pack.max_retries)

    def _overdue(self, worker: _Worker) -> list[Event]:
        # A worker shows in the trial's log where it was, when it gets this signal.
        self._processes.end(worker.process, number=getattr(signal, "SIGUSR1", signal.SIGTERM))
        return self._lost(worker, str(JobTimeout(self._timeout)), 0)

    def _lost(self, worker: _Worker, error: str, max_retries: int) -> list[Event]:
        """A worker is gone, and its jobs with it; another one will start."""
        self._bury(worker)
        now = time.time()
        events: list[Event] = [Result(i, Outcome.STOPPED, now) for i, task in worker.jobs.items() if task is None]
        tasks = [replace(task, attempts=task.attempts + 1, notices=[]) for task in worker.jobs.values() if task]
        if len(worker.jobs) > 1:
            self._again += tasks
            return [Notice(f"{error}, with {len(worker.jobs)} trials: they go on one by one"), *events]
        for task in tasks:
            log(self._setup.folder, task.trial_id, f"{error}\n")
            if task.attempts > max_retries:
                tried = f"; tried {task.attempts} times" if task.attempts > 1 else ""
                events.append(Result(task.trial_id, Outcome.FAILED, now, error + tried))
            else:
                self._again.append(task)
                retry = f"retry {task.attempts} of {max_retries}"
                events.append(Notice(f"trial {task.trial_id}: {error}; it goes on from its checkpoint ({retry})"))
        return events

    def _bury(self, worker: _Worker) -> None:
        """Forgets a worker that has ended."""
        self._processes.end(worker.process)
        worker.pipe.close()
        self._workers.remove(worker)

    def _give_again(self) -> None:
        """Gives each a worker that has no job, at once: the scheduler's next jobs would keep it busy."""
        while self._again:
            worker = next((worker for worker in self._workers if not worker.jobs), None)
            if worker is None and len(self._workers) >= self._most:
                return
            self._hand_over(self._again.pop(0), worker).alone = True

    def wake(self) -> None:
        with contextlib.suppress(OSError):  # it is closed
            if not self._wakes.poll():
                self._waker.send_bytes(b"")

    def cancel(self, trial_id: int) -> None:
        self._stopped += [trial_id for task in self._again if task.trial_id == trial_id]
        self._again = [task for task in self._again if task.trial_id != trial_id]
        for worker in self._workers:
            if worker.jobs.get(trial_id):
                worker.jobs[trial_id] = None
                _sent(worker, ("stop", trial_id))

    def discard(self, trial_id: int) -> None:
        for worker in self._workers:
            if trial_id in worker.held:
                worker.held.remove(trial_id)
                _sent(worker, ("forget", trial_id))
        Checkpoints(self._setup.folder).discard(trial_id)

    def close(self) -> None:
        self._processes.end(*(worker.process for worker in self._workers))
        for worker in self._workers:
            worker.pipe.close()
        self._workers.clear()
        self._again.clear()
        self._stopped.clear()
        self._wakes.close()
        self._waker.close()
        self._processes.close()
        atexit.unregister(self.close)


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
