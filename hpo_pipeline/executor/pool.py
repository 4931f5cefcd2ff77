"""Jobs in several workers: who gets what, and what becomes of the jobs of a worker that dies or hangs.

A worker can die under its jobs (out of memory, a crash in C), or hang. A job then goes on from its checkpoint, at most
`max_retries` times; if it was not alone it always does, as nobody knows which job it was. From then on it has a worker
for itself, on another node if there is one. A job that hangs alone has failed. That a node is gone is no job's fault.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from hpo_pipeline.checks import integer_problems, is_integer, is_positive, value_problems
from hpo_pipeline.errors import ConfigError
from hpo_pipeline.executor import Executor, Load
from hpo_pipeline.executor.best_models import BestModels
from hpo_pipeline.executor.pack_policy import FIRST
from hpo_pipeline.executor.runner import JobTimeout, PackSettings, StudySetup, Task, log
from hpo_pipeline.executor.transport import Answer, Lost, Transport
from hpo_pipeline.trial import Event, Job, Notice, Outcome, Result


@dataclass(slots=True)
class _Work:
    """What a worker does.

    Attributes:
        jobs: trials that it has a job of -> how another worker would go on with it; None if the trial is to stop.
        alone: whether its job is one that has lost a worker, and it takes no other.
        paused: trials without a job whose state it has in memory.
        turn: answers that it has sent.
        waits: whether it waits for "go".
        since: when it began what it is at (seconds).
    """

    jobs: dict[int, Task | None] = field(default_factory=dict)
    alone: bool = False
    paused: list[int] = field(default_factory=list)
    turn: int = 0
    waits: bool = True
    since: float = math.inf


class Pool(Executor):
    """Workers, each with a pack of jobs.

    Args:
        setup: the study's.
        pack: of each worker. If its size is to be measured, the first worker does so alone; the others start then.
        transport: where the workers are.
        job_timeout: seconds that a worker may take to its next answer; None for no limit.
        max_retries: how often a job goes on after it was alone in a worker that died; more often until it has been on
            two nodes, where there are as many.
    """

    def __init__(
        self,
        setup: StudySetup,
        pack: PackSettings,
        transport: Transport,
        job_timeout: float | None = None,
        max_retries: int = 1,
    ) -> None:
        self._setup = setup
        self._pack = pack
        self._transport = transport
        self.works_in_wait = transport.works_in_wait
        self.grows = transport.grows
        self._timeout = job_timeout or math.inf
        self._max_retries = max_retries
        self._workers: dict[str, _Work] = {}
        self._unassigned: list[Task] = []  # jobs that have lost a worker, and have no other yet
        self._said: set[Notice] = set()
        self._cancelled: list[int] = []  # trials of such jobs

    @property
    def capacity(self) -> int:
        """All that have lost a worker, what is in those that are to go, and a pack in every other worker."""
        staying = self._staying()
        alone = sum(work.alone for work in staying.values())
        leaving = sum(len(work.jobs) for worker, work in self._workers.items() if worker not in staying)
        waiting = len(self._unassigned) + len(self._cancelled)
        return waiting + leaving + alone + max(0, self._most_workers - alone) * self._pack_size

    def _staying(self) -> dict[str, _Work]:
        """The workers that may get jobs."""
        return {worker: work for worker, work in self._workers.items() if not self._transport.is_leaving(worker)}

    @property
    def _most_workers(self) -> int:
        """The first one is alone while it measures the size of a pack."""
        return min(self._transport.capacity, 1 if self._pack.size is None else self._transport.capacity)

    @property
    def _pack_size(self) -> int:
        return self._pack.size or FIRST

    def open(self) -> None:
        self._transport.open()

    def nodes(self) -> Mapping[str, Load]:
        jobs = Counter[str]()
        for worker, work in list(self._workers.items()):  # another thread may ask
            jobs[self._transport.node(worker)] += len(work.jobs)
        ready = self._transport.nodes()
        return {node: Load(ready.get(node, 0), jobs[node]) for node in sorted({*ready, *jobs} - {""})}

    def submit(self, job: Job, recorded: int) -> None:
        trial_id = job.trial.id
        worker = self._hand_over(self._setup.task(job, recorded), self._with_room(trial_id))
        self._forget(trial_id, but=worker)

    def _with_room(self, trial_id: int) -> str | None:
        """The best worker with room for the trial; None where a new one is better.

        That is the one with the fewest jobs, so that packs are of one size. A trial's state in memory counts as much
        as one job fewer: to load it takes less time than an epoch among several more.
        """

        def load(worker: str) -> tuple[int, bool]:
            work = self._workers[worker]
            paused = trial_id in work.paused
            return len(work.jobs) - paused, not paused

        staying = self._staying()
        packs = [w for w, work in staying.items() if len(work.jobs) < self._pack_size and not work.alone]
        best = min(packs, key=load, default=None)
        if best and load(best) > (0, True) and len(staying) < self._most_workers:
            return None
        return best

    def _hand_over(self, task: Task, worker: str | None, avoided: Collection[str] = ()) -> str | None:
        """Sends the task to the worker; to a new one if there is none, or if it died with nothing to do.

        Returns:
            Who has it; None where there was no room for a new one: then it waits for that.
        """
        message = ("run", task)
        if worker and not self._transport.send(worker, message) and not self._workers[worker].jobs:
            self._remove(worker)
            worker = None
        if worker is None:
            worker = self._transport.start(self._pack, avoided)
            if worker is None:
                self._unassigned.append(task)
                return None
            self._workers[worker] = _Work()
            self._transport.send(worker, message)
        self._workers[worker].jobs[task.trial_id] = task  # even if it is lost: `wait` will find out
        return worker

    def wait(self, timeout: float | None = None) -> list[Event]:
        for worker, work in self._workers.items():
            if work.jobs and work.waits:
                work.waits = not self._transport.send(worker, ("go", work.turn))
                work.since = time.monotonic()
        events: list[Event] = [Result(trial_id, Outcome.STOPPED, time.time()) for trial_id in self._cancelled]
        self._cancelled.clear()
        for worker in self._transport.wait(0.0 if events else self._seconds(timeout)):
            if worker in self._workers:
                events += self._receive(worker)
        for worker in [worker for worker, work in self._workers.items() if self._seconds_left(work) <= 0]:
            events += self._receive(worker, overdue=True)
        for worker in [worker for worker, work in self._workers.items() if not work.jobs]:
            if self._transport.is_leaving(worker):
                self._remove(worker)
        self._reassign()
        return [*self._transport.notices(), *events]

    def _seconds(self, timeout: float | None) -> float | None:
        """How long to wait for the next answer, before the first worker is overdue."""
        limit = min(map(self._seconds_left, self._workers.values()), default=math.inf)
        limit = min(limit, math.inf if timeout is None else timeout)
        return None if limit == math.inf else max(0.0, limit)

    def _seconds_left(self, work: _Work) -> float:
        """Until its answer is overdue."""
        return work.since + self._timeout - time.monotonic() if work.jobs else math.inf

    def _receive(self, worker: str, *, overdue: bool = False) -> list[Event]:
        match self._transport.receive(worker):
            case Answer() as answer:
                return self._take_up(worker, answer)
            case Lost(how, blameless):
                return self._lose(worker, how, math.inf if blameless else self._max_retries)
        if not overdue:
            return []
        self._transport.kill(worker, show_where=True)
        return self._lose(worker, str(JobTimeout(self._timeout)), 0)

    def _take_up(self, worker: str, answer: Answer) -> list[Event]:
        """What to report of an answer: nothing of trials that it has no job of, or that were cancelled."""
        work, node = self._workers[worker], self._transport.node(worker)
        work.turn += 1
        work.waits = answer.waits
        work.since = time.monotonic()
        if self._pack.size is None and answer.size is not None:
            self._pack = replace(self._pack, size=answer.size)
        events: list[Event] = []
        for event in answer.events:
            if isinstance(event, Notice):
                events += [] if event in self._said else [event]
                self._said |= {event} if event.once else set()
            elif event.trial_id in work.jobs:
                task = work.jobs[event.trial_id]
                if isinstance(event, Result):
                    del work.jobs[event.trial_id]
                    work.paused += [event.trial_id] if event.outcome is Outcome.DONE else []
                    event = event if task else Result(event.trial_id, Outcome.STOPPED, event.time)
                elif task:
                    work.jobs[event.trial_id] = replace(task, recorded=max(task.recorded, event.resource))
                else:
                    continue
                events.append(replace(event, node=node) if node else event)
        del work.paused[: -self._pack_size]
        work.alone = work.alone and bool(work.jobs)
        return events

    def _lose(self, worker: str, error: str, max_retries: float) -> list[Event]:
        """A worker is gone, and its jobs with it; another one will start.

        Args:
            max_retries: how often they go on; infinity where that is none's fault.
        """
        node = self._transport.node(worker)
        jobs = self._remove(worker).jobs
        now = time.time()
        events: list[Event] = [Result(i, Outcome.STOPPED, now) for i, task in jobs.items() if task is None]
        if max_retries == math.inf:
            self._unassigned += filter(None, jobs.values())
            return [Notice(f"{error}; {_where_they_go(jobs)}"), *events] if jobs else []
        tasks = [task.again(node=node) for task in jobs.values() if task]
        if len(jobs) > 1:
            self._unassigned += tasks
            return [Notice(f"{error}, with {len(jobs)} trials: they go on one by one"), *events]
        for task in tasks:
            log(self._setup.folder, task.trial_id, f"{error}\n")
            if task.attempts > max_retries and (len(set(task.nodes)) > 1 or not self._avoided(task)):
                tried = f"; tried {task.attempts} times" if task.attempts > 1 else ""
                events.append(Result(task.trial_id, Outcome.FAILED, now, error + tried))
            else:
                self._unassigned.append(task)
                retry = f"retry {task.attempts} of {max(task.attempts, int(max_retries))}"
                events.append(Notice(f"trial {task.trial_id}: {error}; it goes on from its checkpoint ({retry})"))
        return events

    def _remove(self, worker: str) -> _Work:
        self._transport.kill(worker)
        return self._workers.pop(worker)

    def _avoided(self, task: Task) -> frozenset[str]:
        """The nodes that its next worker must not be on: those where it has lost one, while there are others."""
        been = frozenset(task.nodes)
        return been if self._transport.nodes().keys() - been else frozenset()

    def _reassign(self) -> None:
        """Gives each a worker, at once: the scheduler's next jobs would keep it busy."""
        waiting, self._unassigned = self._unassigned, []
        for task in waiting:
            avoided = self._avoided(task)
            staying = self._staying()
            idle = (w for w, work in staying.items() if not work.jobs and self._transport.node(w) not in avoided)
            worker = next(idle, None) if task.attempts else self._with_room(task.trial_id)
            if worker is None and len(staying) >= self._most_workers:
                self._unassigned.append(task)
            elif (given := self._hand_over(task, worker, avoided)) and task.attempts:
                self._workers[given].alone = True

    def wake(self) -> None:
        self._transport.wake()

    def cancel(self, trial_id: int) -> None:
        self._cancelled += [trial_id for task in self._unassigned if task.trial_id == trial_id]
        self._unassigned = [task for task in self._unassigned if task.trial_id != trial_id]
        for worker, work in self._workers.items():
            if work.jobs.get(trial_id):
                work.jobs[trial_id] = None
                self._transport.send(worker, ("stop", trial_id))

    def discard(self, trial_id: int) -> None:
        self._forget(trial_id)
        self._setup.checkpoints.discard(trial_id)
        BestModels(self._setup.folder).discard(trial_id)

    def _forget(self, trial_id: int, but: str | None = None) -> None:
        """Has the trial's state dropped from the memory of all workers but one."""
        for worker, work in self._workers.items():
            if trial_id in work.paused:
                work.paused.remove(trial_id)
                if worker is not but:
                    self._transport.send(worker, ("forget", trial_id))

    def close(self) -> None:
        self._transport.close()
        self._workers.clear()
        self._unassigned.clear()
        self._cancelled.clear()


def _where_they_go(jobs: Collection[int]) -> str:
    some = f"trial {next(iter(jobs))} goes" if len(jobs) == 1 else f"{len(jobs)} trials go"
    return f"{some} on from the last checkpoint elsewhere"


def check_arguments(
    checkpoint_seconds: float,
    job_timeout: float | None,
    max_retries: int = 0,
    pack_size: int | str = 1,
    **counts: int | None,
) -> None:
    """Looks at those of an executor's constructor. `counts`: of workers, of threads; None where it finds out itself.

    Raises:
        ConfigError: naming the keys.
    """
    problems = [
        *integer_problems(**{key: count for key, count in counts.items() if count is not None}),
        *value_problems("a positive number", is_positive, checkpoint_seconds=checkpoint_seconds),
        *value_problems(
            "a positive number of seconds, or null for no limit",
            lambda seconds: seconds is None or is_positive(seconds),
            job_timeout=job_timeout,
        ),
        *integer_problems(least=0, max_retries=max_retries),
        *value_problems(
            "'auto' or an integer of at least 1", lambda n: n == "auto" or is_integer(n, 1), pack_size=pack_size
        ),
    ]
    if problems:
        raise ConfigError(problems)
