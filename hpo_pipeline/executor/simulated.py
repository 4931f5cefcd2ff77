"""Jobs on a simulated clock: an objective's numbers, the time that they would take, and no time passes."""

from __future__ import annotations

import contextlib
import functools
import heapq
import itertools
import math
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from hpo_pipeline.build import build
from hpo_pipeline.checks import integer_problems
from hpo_pipeline.errors import ConfigError, encodable
from hpo_pipeline.executor import Executor
from hpo_pipeline.executor.runner import LiveTrial, StudySetup, Task, failure, finished, report
from hpo_pipeline.objective import Finished, SupportsClose, SupportsFinish, SupportsTarget, TrialSpec
from hpo_pipeline.trial import Event, Job, Outcome, Report, Result


class Curves(Protocol):
    """What trials report: recorded or made-up curves, or any Objective that is fast enough."""

    def start(self, trial: TrialSpec, /) -> Any: ...

    def advance(self, state: Any, /) -> object: ...


@dataclass(slots=True)
class _Running:
    """A job at work. `live` is None before its first unit."""

    task: Task
    live: LiveTrial | None


class SimulatedWorkers(Executor):
    """Any number of simulated workers; `wait` moves the clock on to the next event.

    A unit of resource takes as many seconds as it reports as its metric `seconds`, or else one. Events at the same time
    come in the order in which their units began.

    There are no checkpoints: a trial whose state was lost with its session, or that goes on with another one's weights,
    is brought to where it was from its beginning.

    Args:
        setup: the study's.
        n_workers: jobs at once; `capacity` may be set anew at any time.
        curves: what trials report; None for the study's objective.
        now: simulated seconds at which the session begins.
    """

    works_in_wait = True
    is_simulated = True
    capacity = 1

    def __init__(self, setup: StudySetup, n_workers: int = 1, curves: Curves | None = None, now: float = 0.0) -> None:
        self._setup = setup
        self._logs: Path | None = setup.folder
        if curves is not None:
            self._curves, self._logs = curves, None
        self.capacity = n_workers
        self._now = now
        self._running: dict[int, _Running] = {}
        self._paused: dict[int, LiveTrial] = {}
        self._numbers = itertools.count()
        self._events: list[tuple[float, int, _Running, Report | Result]] = []
        """Those to come, by time and number. One whose job isn't at work any more is void."""
        self._at_rest: tuple[_Running, int] | None = None
        """The job that has reported at a milestone, and the number of its next event."""

    @functools.cached_property
    def _curves(self) -> Curves:
        curves: Curves = build(self._setup.objective, "objective", threads=1, final=False)
        return curves

    # What the curves are takes a while to find out, and is asked for every job.

    @functools.cached_property
    def _may_finish(self) -> bool:
        return isinstance(self._curves, SupportsFinish)

    @functools.cached_property
    def _aimed(self) -> SupportsTarget | None:
        return self._curves if isinstance(self._curves, SupportsTarget) else None

    @functools.cached_property
    def _closed(self) -> SupportsClose | None:
        return self._curves if isinstance(self._curves, SupportsClose) else None

    def begin_after(self, seconds: float) -> None:
        self._now = max(self._now, seconds)

    def clock(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self._now

    def submit(self, job: Job, recorded: int) -> None:
        task = self._setup.task(job if job.source is None else replace(job, source=None), recorded)
        live = self._paused.pop(task.trial_id, None)
        fits = live is not None and live.fits(task) and job.source is None
        if not fits:
            self._close(live)
        elif live is not None:
            self._aim(live.state, task.resource - live.resource)
        self._running[task.trial_id] = running = _Running(task, live if fits else None)
        self._advance(running, next(self._numbers))

    def _advance(self, running: _Running, number: int) -> None:
        """Adds what the trial's next unit comes to, at the time when that is over."""
        event: Report | Result
        seconds = 1.0
        try:
            running.live = running.live or self._begun(running.task)
            metrics = self._curves.advance(running.live.state)
            why = finished(self._curves, running.live.state) if self._may_finish else ""
            event = report(running.live, metrics, seconds, self._setup.metrics, why)
            if not 0 <= event.metrics["seconds"] < math.inf:
                raise ValueError(f"a unit of resource can't take {event.metrics['seconds']:g} seconds")
            seconds = event.metrics["seconds"]
        except Finished as why:
            through = encodable(str(why)) or "there is nothing left to train"
            event, seconds = Result(running.task.trial_id, Outcome.DONE, 0.0, finished=through), 0.0
        except Exception as error:
            event = failure(running.task.trial_id, error, self._logs)
        at = self._now + seconds
        heapq.heappush(self._events, (at, number, running, replace(event, time=at)))

    def _begun(self, task: Task) -> LiveTrial:
        state = self._curves.start(TrialSpec(task.config, task.seed, self._setup.folder / str(task.trial_id)))
        self._aim(state, task.resource)
        for _ in range(task.recorded):
            self._curves.advance(state)
        return LiveTrial(task.trial_id, task.recorded, state)

    def _aim(self, state: Any, units: int) -> None:
        """Tells a trial how far its job goes, if it wants to know."""
        if self._aimed is not None:
            self._aimed.set_target(state, units)

    def wait(self, timeout: float | None = None) -> list[Event]:
        if self._at_rest is not None and self._is_at_work(self._at_rest[0]):
            self._advance(*self._at_rest)
        self._at_rest = None
        while self._events and not self._is_at_work(self._events[0][2]):
            heapq.heappop(self._events)
        if timeout is not None and (not self._events or self._events[0][0] > self._now + timeout):
            # By the smallest step at least: it may be less than the clock can show.
            self._now = max(self._now + timeout, math.nextafter(self._now, math.inf))
            return []
        self._now, _, running, event = heapq.heappop(self._events)
        if isinstance(event, Result):
            self._close(self._running.pop(event.trial_id).live)
        elif event.resource == running.task.resource or event.finished:
            del self._running[event.trial_id]
            assert running.live is not None  # it has reported
            self._paused[event.trial_id] = running.live
            return [event, Result(event.trial_id, Outcome.DONE, self._now)]
        elif event.resource in running.task.milestones:
            self._at_rest = running, next(self._numbers)
        else:
            self._advance(running, next(self._numbers))
        return [event]

    def _is_at_work(self, running: _Running) -> bool:
        return self._running.get(running.task.trial_id) is running

    def wake(self) -> None:
        """No time passes in `wait`."""

    def cancel(self, trial_id: int) -> None:
        if trial_id in self._running:
            self._running[trial_id] = ending = replace(self._running[trial_id])
            stopped = Result(trial_id, Outcome.STOPPED, self._now)
            heapq.heappush(self._events, (self._now, next(self._numbers), ending, stopped))

    def discard(self, trial_id: int) -> None:
        self._close(self._paused.pop(trial_id, None))

    def _close(self, live: LiveTrial | None) -> None:
        """Gives back what a trial's state holds besides memory."""
        if live is not None and self._closed is not None:
            with contextlib.suppress(Exception):  # whatever somebody's own code may raise
                self._closed.close(live.state)

    def close(self) -> None:
        for live in [*(running.live for running in self._running.values()), *self._paused.values()]:
            self._close(live)
        self._running.clear()
        self._paused.clear()
        self._events.clear()


class SimulatedExecutor(SimulatedWorkers):
    """What a config names: the clock begins at the time that it is, a resumed study's where its records end, if later.

    Args:
        setup: the study's.
        n_workers: jobs at once.
    """

    def __init__(self, setup: StudySetup, n_workers: int = 4) -> None:
        if problems := integer_problems(n_workers=n_workers):
            raise ConfigError(problems)
        super().__init__(setup, n_workers, now=time.time())
