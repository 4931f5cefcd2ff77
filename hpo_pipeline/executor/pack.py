"""Trains jobs in this process: one, or several as one program. Every executor on this machine is made of packs.

Up to `size` jobs are in hand. Those that can be stacked are advanced together, one unit of resource at a time; at its
end each reports, and whoever is done, stopped or failed makes room for the scheduler's next job. What can't be stacked
(another depth, optimizer or kind of network), or is faster alone, is trained one by one.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Hashable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpo_pipeline.build import build
from hpo_pipeline.executor.fusion import Fusion
from hpo_pipeline.executor.runner import Held, PackSetup, Task, begin, failure, report, save, trial_folder
from hpo_pipeline.trial import Event, Outcome, Report, Result


@dataclass(slots=True)
class _Running:
    """A job in hand. `turn`: when it was last advanced; `saved`: when it last had a checkpoint (seconds)."""

    task: Task
    held: Held
    key: Hashable | None
    saved: float
    turn: int = 0


class Pack:
    """Jobs in hand, and how they are advanced.

        submit(task) ...; advance() -> [Report, ...]; stop(trial); advance() -> [Result]; ...

    A checkpoint is written at the end of a job and, in long ones, every `checkpoint_seconds`, as
    `trials/<id>/<resource>.ckpt`. States of paused trials stay in memory, as many as there are places.

    Args:
        setup: the study's.
        output: trial ids -> where goes what is printed while these trials are at work.

    Attributes:
        asked: whether the last answer of `advance` holds reports that the scheduler decides about. Nothing may be
            advanced before it has.
    """

    def __init__(
        self,
        setup: PackSetup,
        output: Callable[[Sequence[int]], AbstractContextManager[None]] = lambda _: contextlib.nullcontext(),
    ) -> None:
        self.asked = False
        self._setup = setup
        self._output = output
        self._fusion = Fusion(setup.size, setup.sharing)
        self._objective: Any = None
        self._new: list[Task] = []
        self._running: dict[int, _Running] = {}
        self._stopped: list[Event] = []
        self._paused: dict[int, Held] = {}
        self._turn = 0

    @property
    def size(self) -> int:
        """Jobs at once."""
        return self._fusion.size

    @property
    def measured(self) -> bool:
        """Whether `size` is final."""
        return self._fusion.settled

    @property
    def n_jobs(self) -> int:
        """Jobs in hand; a stopped one is, until its result was given."""
        return len(self._new) + len(self._running) + len(self._stopped)

    def submit(self, task: Task) -> None:
        self._new.append(task)

    def stop(self, trial_id: int) -> None:
        """The scheduler's decision about a running job."""
        if self._running.pop(trial_id, None):
            self._stopped.append(Result(trial_id, Outcome.STOPPED, time.time()))

    def forget(self, trial_id: int) -> None:
        """A paused trial won't go on here."""
        self._paused.pop(trial_id, None)

    def clear(self) -> None:
        self._new, self._running, self._stopped, self._paused = [], {}, [], {}

    def advance(self) -> list[Event]:
        """Brings those who have waited longest one unit further; oldest events first.

        What is known without training, stopped and failed jobs, comes at once, so that their places are filled again.
        """
        events, self._stopped = self._stopped, []
        if not events:
            events = self._begin_new()
        if not events and self._running:
            events = self._advance(self._next())
        self.asked = any(isinstance(event, Report) and self._decides(event) for event in events)
        return [*self._fusion.notices(), *events]

    def _decides(self, event: Report) -> bool:
        running = self._running.get(event.trial_id)
        return running is not None and event.resource in running.task.decide_at

    def _begin_new(self) -> list[Event]:
        failures: list[Event] = []
        while self._new:
            task = self._new.pop(0)
            folder = trial_folder(self._setup.folder, task.trial_id)
            try:
                with self._output([task.trial_id]):
                    self._running[task.trial_id] = self._begun(task, folder)
            except Exception as error:
                failures.append(failure(task.trial_id, error, folder))
        return failures

    def _begun(self, task: Task, folder: Path) -> _Running:
        folder.mkdir(parents=True, exist_ok=True)
        if self._objective is None:
            self._objective = build(self._setup.objective, "objective", threads=self._setup.threads, final=False)
        held = self._paused.pop(task.trial_id, None)
        if held is None or not held.fits(task):
            held = None
            self._keep(self.size - 1)  # one's memory for another's
            held = begin(self._objective, task, folder)
        if held.resource >= task.resource:
            raise RuntimeError(f"trial {task.trial_id} is at {held.resource} already, past the job's {task.resource}")
        key = self._fusion.key(self._objective, held.state)
        return _Running(task, held, key, time.monotonic())

    def _keep(self, n: int) -> None:
        """Lets go of paused trials but `n`; who waited longest is loaded from disk when it goes on."""
        while len(self._paused) > n:
            del self._paused[next(iter(self._paused))]

    def _next(self) -> list[_Running]:
        """Those who have waited longest, and can be trained together; of several such, the most."""
        alike: dict[Hashable, list[_Running]] = {}
        for trial_id, running in self._running.items():
            alike.setdefault((running.key,) if running.key is not None else trial_id, []).append(running)
        if not self._fusion.settled:
            with self._output(list(self._running)):
                self._fusion.settle(self._objective, [(group[0].key, _states(group)) for group in alike.values()])
        group = min(alike.values(), key=lambda group: (min(running.turn for running in group), -len(group)))
        group.sort(key=lambda running: running.turn)
        if len(group) == 1:
            return group
        with self._output(_ids(group)):
            return group[: self._fusion.together(self._objective, group[0].key, _states(group))]

    def _advance(self, group: list[_Running]) -> list[Event]:
        self._turn += 1
        began = time.perf_counter()
        try:
            with self._output(_ids(group)):
                if len(group) == 1:
                    metrics = [self._objective.advance(group[0].held.state)]
                else:
                    metrics = self._objective.advance_together(_states(group))
        except Exception as error:
            return self._taken_apart(group, error)
        seconds = (time.perf_counter() - began) / len(group)
        return [event for running, m in zip(group, metrics, strict=True) for event in self._events(running, m, seconds)]

    def _taken_apart(self, group: list[_Running], error: Exception) -> list[Event]:
        """Trials that failed together go on from their checkpoints, fewer together or one by one."""
        for running in group:
            del self._running[running.task.trial_id]
        if len(group) == 1:
            trial_id = group[0].task.trial_id
            return [failure(trial_id, error, trial_folder(self._setup.folder, trial_id))]
        self._fusion.failed(group[0].key, len(group), error)
        self._new += [running.task for running in group]
        return self._begin_new()

    def _events(self, running: _Running, metrics: dict[str, float], seconds: float) -> list[Event]:
        """What one trial reports; a failure here is its own."""
        task, held = running.task, running.held
        folder = trial_folder(self._setup.folder, task.trial_id)
        running.turn = self._turn
        try:
            event = report(held, metrics, seconds, self._setup.metric)
            if held.resource == task.resource:
                save(self._objective, held, folder)
                del self._running[task.trial_id]
                self._paused[task.trial_id] = held
                self._keep(self.size)
                return [event, Result(task.trial_id, Outcome.DONE, time.time())]
            if time.monotonic() - running.saved >= self._setup.checkpoint_seconds:
                save(self._objective, held, folder)
                running.saved = time.monotonic()
            return [event]
        except Exception as error:
            self._running.pop(task.trial_id, None)
            return [failure(task.trial_id, error, folder)]


def _states(group: Sequence[_Running]) -> list[Any]:
    return [running.held.state for running in group]


def _ids(group: Sequence[_Running]) -> list[int]:
    return [running.task.trial_id for running in group]
