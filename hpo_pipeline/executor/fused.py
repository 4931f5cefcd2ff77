"""Jobs trained together as one program in the tuner's own process: many small networks at the price of a few.

Up to `pack_size` jobs are in hand. Those that can be stacked are advanced together, one unit of resource at a time;
at its end each reports, and whoever is done, stopped or failed makes room for the scheduler's next job. Checkpoints are
those of the other executors, so a trial can go on under any of them. What can't be stacked (another depth, optimizer or
kind of network), or is faster alone, is trained one by one.
"""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from hpo_pipeline.build import build
from hpo_pipeline.errors import ConfigError
from hpo_pipeline.executor.runner import Held, Setup, Task, begin, discard_checkpoints, failure, report, save
from hpo_pipeline.executor.runner import trial_folder as folder_of
from hpo_pipeline.executor.serial import check_numbers
from hpo_pipeline.trial import Event, Job, Outcome, Result

_log = logging.getLogger(__name__)

WORTHWHILE = 1.05
"""Times as fast as one by one that a pack must have been measured to be."""


@dataclass(slots=True)
class _Running:
    """A job in hand. `turn`: when it was last advanced; `saved`: when it last had a checkpoint (seconds)."""

    task: Task
    held: Held
    key: Hashable | None
    saved: float
    turn: int = 0


class FusedExecutor:
    """A pack of jobs, advanced together; `wait` is where they train.

    Args:
        setup: the study's.
        pack_size: jobs at once.
        threads: threads that the training may use.
        checkpoint_seconds: how much training a crash can cost at most, in seconds.

    Raises:
        ConfigError: naming the keys.
    """

    def __init__(self, setup: Setup, pack_size: int = 32, threads: int = 1, checkpoint_seconds: float = 30.0) -> None:
        problems = check_numbers(pack_size=pack_size, threads=threads, checkpoint_seconds=checkpoint_seconds)
        if problems:
            raise ConfigError(problems)
        self.capacity = pack_size
        self._setup = setup
        self._checkpoint_seconds = checkpoint_seconds
        self._make = functools.partial(build, setup.objective, threads=threads)
        self._objective: Any = None
        self._new: list[Task] = []
        self._running: dict[int, _Running] = {}
        self._paused: dict[int, Held] = {}
        self._stopped: list[Event] = []
        self._gains: dict[tuple[Hashable, int], float] = {}
        self._alone: set[int] = set()
        self._most = pack_size
        self._turn = 0

    def submit(self, job: Job, recorded: int) -> None:
        self._new.append(self._setup.task(job, recorded))

    def wait(self, timeout: float | None = None) -> list[Event]:
        if self._stopped:
            events, self._stopped = self._stopped, []
            return events
        failures = self._begin_new()
        if failures or not self._running:
            return failures
        return self._advance(self._next_pack())

    def _begin_new(self) -> list[Event]:
        failures: list[Event] = []
        while self._new:
            task = self._new.pop(0)
            folder = folder_of(self._setup.folder, task.trial_id)
            folder.mkdir(parents=True, exist_ok=True)
            held = self._paused.pop(task.trial_id, None)
            try:
                self._objective = self._objective or self._make()
                held = held if held and held.fits(task) else begin(self._objective, task, folder)
                key = None
                if task.trial_id not in self._alone and hasattr(self._objective, "fusion_key"):
                    key = self._objective.fusion_key(held.state)
            except Exception as error:
                failures.append(failure(task.trial_id, error, folder))
            else:
                self._running[task.trial_id] = _Running(task, held, key, time.monotonic())
        return failures

    def _next_pack(self) -> list[_Running]:
        """The pack that has waited longest; of several, the largest."""
        packs: dict[Hashable, list[_Running]] = {}
        for trial_id, running in self._running.items():
            packs.setdefault((running.key,) if running.key is not None else trial_id, []).append(running)
        pack = min(packs.values(), key=lambda pack: (min(running.turn for running in pack), -len(pack)))
        pack = sorted(pack, key=lambda running: running.turn)[: self._most]
        if len(pack) > 1 and self._gain(pack) < WORTHWHILE:
            return pack[:1]
        return pack

    def _gain(self, pack: Sequence[_Running]) -> float:
        """How many times as fast the pack is as its trials one by one; measured once for each kind and size of pack."""
        kind = pack[0].key, len(pack).bit_length()
        if kind not in self._gains:
            self._gains[kind] = self._objective.fusion_gain([running.held.state for running in pack])
            if self._gains[kind] < WORTHWHILE:
                _log.warning("%d trials like trial %d are faster one by one", len(pack), pack[0].task.trial_id)
        return self._gains[kind]

    def _advance(self, pack: list[_Running]) -> list[Event]:
        self._turn += 1
        began = time.perf_counter()
        try:
            if len(pack) == 1:
                metrics = [self._objective.advance(pack[0].held.state)]
            else:
                metrics = self._objective.advance_together([running.held.state for running in pack])
        except Exception as error:
            return self._taken_apart(pack, error)
        seconds = (time.perf_counter() - began) / len(pack)
        return [event for running, m in zip(pack, metrics, strict=True) for event in self._events(running, m, seconds)]

    def _taken_apart(self, pack: list[_Running], error: Exception) -> list[Event]:
        """A pack that failed goes on from its checkpoints: in halves if memory ran out, else one by one."""
        for running in pack:
            del self._running[running.task.trial_id]
        if len(pack) == 1:
            trial_id = pack[0].task.trial_id
            return [failure(trial_id, error, folder_of(self._setup.folder, trial_id))]
        if "out of memory" in str(error).lower():
            self._most = len(pack) // 2
            _log.warning("not enough memory for %d trials together: %d from now on", len(pack), self._most)
        else:
            _log.warning("%d trials could not be trained together (%s); they go on one by one", len(pack), error)
            self._alone |= {running.task.trial_id for running in pack}
        self._new += [running.task for running in pack]
        return self._begin_new()

    def _events(self, running: _Running, metrics: dict[str, float], seconds: float) -> list[Event]:
        """What one trial of a pack reports; a failure here is its own."""
        task, held = running.task, running.held
        folder = folder_of(self._setup.folder, task.trial_id)
        running.turn = self._turn
        try:
            event = report(held, metrics, seconds, self._setup.metric)
            if held.resource == task.resource:
                save(self._objective, held, folder)
                del self._running[task.trial_id]
                self._keep(held)
                return [event, Result(task.trial_id, Outcome.DONE, time.time())]
            if time.monotonic() - running.saved >= self._checkpoint_seconds:
                save(self._objective, held, folder)
                running.saved = time.monotonic()
            return [event]
        except Exception as error:
            self._running.pop(task.trial_id, None)
            return [failure(task.trial_id, error, folder)]

    def _keep(self, held: Held) -> None:
        """As many paused trials stay in memory as a pack has; who waited longer is loaded from disk."""
        self._paused[held.trial_id] = held
        while len(self._paused) > self.capacity:
            del self._paused[next(iter(self._paused))]

    def decide(self, trial_id: int, *, stop: bool) -> None:
        if stop:
            self._running.pop(trial_id, None)
            self._stopped.append(Result(trial_id, Outcome.STOPPED, time.time()))

    def discard(self, trial_id: int) -> None:
        self._paused.pop(trial_id, None)
        discard_checkpoints(self._setup.folder, trial_id)

    def close(self) -> None:
        self._new, self._running, self._paused, self._stopped = [], {}, {}, []
