"""Trains jobs in this process: one, or several as one program. Every executor on this machine is made of packs.

Up to `size` jobs are in hand. Those with one key are advanced as a pack, one unit of resource at a time; at its end
each reports, and a job that is done, stopped or failed makes room for the scheduler's next one. What can't be in a pack
(another depth, optimizer or kind of network), or is faster alone, is trained one by one.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Hashable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from hpo_pipeline.build import build
from hpo_pipeline.errors import encodable
from hpo_pipeline.evaluation import WORST
from hpo_pipeline.executor.best_models import BestModel, BestModels
from hpo_pipeline.executor.pack_policy import PackPolicy
from hpo_pipeline.executor.runner import LiveTrial, PackSettings, Task, begin, failure, finished, log, report
from hpo_pipeline.executor.url_checkpoints import checkpoints_in
from hpo_pipeline.interrupt import TimeUp, pass_on
from hpo_pipeline.objective import Finished, SupportsClose, SupportsModel, SupportsNotices, SupportsTarget
from hpo_pipeline.trial import Event, Notice, Outcome, Report, Result

Around = Callable[..., AbstractContextManager[None]]
"""(trial ids, breakable=True) -> what surrounds the code of these trials: where it prints, how long it may take.

`breakable`: whether the study's time may end it in the middle.
"""

BEGIN_AGAIN = "trials that have to be loaded are trained again from the beginning: the objective keeps no checkpoints"
REPEATS = "trials that have to be loaded repeat what followed the last checkpoint that the objective has kept"
FEW = 3
"""Notices about trials that begin at one time; of more, there is one that counts them."""


@dataclass(slots=True)
class _Running:
    """A job in hand. `turn`: when it was last advanced; `saved`: when it last had a checkpoint (seconds)."""

    task: Task
    live: LiveTrial
    key: Hashable | None
    saved: float
    turn: int = 0


class Pack:
    """Jobs in hand, and how they are advanced.

        submit(task) ...; advance() -> [Report, ...]; stop(trial); advance() -> [Result]; ...

    A checkpoint is written at the end of a job and, in long ones, every `checkpoint_seconds`. States of paused trials
    stay in memory, as many as there are places. Whatever the code of a trial raises, that trial has failed; the study's
    end alone (Ctrl-C, its time is over) comes out of here.

    Args:
        setup: the study's.
        around: what surrounds the code of trials.

    Attributes:
        policy: how many jobs at once, and which of them together.
        asked: whether the last answer of `advance` holds reports that the scheduler decides about. Nothing may be
            advanced before it has.
    """

    def __init__(
        self, setup: PackSettings, around: Around = lambda _trial_ids, breakable=True: contextlib.nullcontext()
    ) -> None:
        self.policy = PackPolicy(setup.size, setup.sharing)
        self.asked = False
        self._setup = setup
        self._around = around
        self._checkpoints = checkpoints_in(setup.folder, setup.checkpoints_url)
        self._best_models = BestModels(setup.folder)
        self._objective: Any = None
        self._new: dict[int, Task] = {}
        self._running: dict[int, _Running] = {}
        self._due: list[Event] = []
        self._notices: list[Notice] = []
        self._paused: dict[int, LiveTrial] = {}
        self._turn = 0

    @property
    def n_jobs(self) -> int:
        """Jobs in hand; a stopped one is, until its result was given."""
        return len(self._new) + len(self._running) + len(self._due)

    def submit(self, task: Task) -> None:
        self._new[task.trial_id] = task

    def stop(self, trial_id: int) -> None:
        """Ends a job, if it is here."""
        if running := self._running.pop(trial_id, None):
            self._close(running.live)
        if running or self._new.pop(trial_id, None):
            self._due.append(Result(trial_id, Outcome.STOPPED, time.time()))

    def holds(self, task: Task) -> bool:
        """Whether the trial goes on here from memory."""
        held = self._paused.get(task.trial_id)
        return held is not None and held.fits(task)

    def forget(self, trial_id: int) -> None:
        """A paused trial won't go on here."""
        if held := self._paused.pop(trial_id, None):
            self._close(held)

    def clear(self) -> None:
        self._close(*(running.live for running in self._running.values()), *self._paused.values())
        self._new, self._running, self._due, self._paused = {}, {}, [], {}

    def advance(self) -> list[Event]:
        """Brings the jobs that have waited longest one unit further; oldest events first.

        What is known without training, stopped and failed jobs, comes at once, so that their places are filled again.

        Raises:
            TimeUp, KeyboardInterrupt: the study's end. What was at work goes on from its checkpoints.
        """
        if not self._due:
            self._begin_new()
        if not self._due and self._running:
            self._advance(self._next())
        events, self._due = self._due, []
        if isinstance(self._objective, SupportsNotices):
            self._notices += [Notice(text, once=True) for text in self._objective.notices()]
        notices, self._notices = self._notices, []
        self.asked = any(isinstance(event, Report) and self._decides(event) for event in events)
        return [*self.policy.notices(), *notices, *events]

    def _decides(self, event: Report) -> bool:
        running = self._running.get(event.trial_id)
        return running is not None and event.resource in running.task.milestones

    def _begin_new(self) -> None:
        said: list[Notice] = []
        for task in list(self._new.values()):
            try:
                with self._around([task.trial_id]):
                    running, notices = self._begun(task)
            except BaseException as error:
                pass_on(error)
                self._due.append(failure(task.trial_id, error, self._setup.folder))
            else:
                self._running[task.trial_id] = running
                for text in notices:
                    log(self._setup.folder, task.trial_id, f"{text}\n")
                    said.append(Notice(f"trial {task.trial_id} {text}"))
            del self._new[task.trial_id]
        more = len(said) - FEW
        self._notices += said if more <= 0 else [*said[:FEW], Notice(f"{more} more such lines are in the trials' logs")]

    def _begun(self, task: Task) -> tuple[_Running, list[str]]:
        """The job in hand, and what people should know of how it begins, a line each."""
        if self._objective is None:
            self._objective = build(self._setup.objective, "objective", threads=self._setup.threads, final=False)
        notices = [task.notice]
        live = self._paused.pop(task.trial_id, None)
        if live is None or not live.fits(task):
            self._close(*filter(None, [live]))
            live = None
            self._keep(self.policy.size - 1)  # one's memory for another's
            live, notice = begin(self._objective, task, self._checkpoints, self._setup.folder)
            live.best = self._best_models.known(task.trial_id, live.resource)
            notices.append(notice)
            if live.resource < task.recorded and not notice and not task.attempts:
                self._notices.append(Notice(REPEATS if live.resource else BEGIN_AGAIN, once=True))
        if live.resource >= task.resource:
            raise RuntimeError(f"trial {task.trial_id} is at {live.resource} already, past the job's {task.resource}")
        if isinstance(self._objective, SupportsTarget):
            self._objective.set_target(live.state, task.resource - live.resource)
        key = self.policy.key(self._objective, live.state)
        return _Running(task, live, key, time.monotonic()), list(filter(None, notices))

    def _keep(self, n: int) -> None:
        """Lets go of paused trials but `n`; the one that waited longest is loaded from disk when it goes on."""
        while len(self._paused) > n:
            self._close(self._paused.pop(next(iter(self._paused))))

    def _close(self, *dropped: LiveTrial) -> None:
        """Has what these states hold given back; what goes wrong at that ends no trial, it is in the log."""
        if isinstance(self._objective, SupportsClose):
            for live in dropped:
                try:
                    with self._around([live.trial_id], breakable=False):
                        self._objective.close(live.state)
                except BaseException as error:
                    if not isinstance(error, KeyboardInterrupt):
                        failure(live.trial_id, error, self._setup.folder)

    def _next(self) -> list[_Running]:
        """The jobs that have waited longest, and can be in one pack; of several such packs, the largest."""
        alike: dict[Hashable, list[_Running]] = {}
        for trial_id, running in self._running.items():
            alike.setdefault((running.key,) if running.key is not None else trial_id, []).append(running)
        if not self.policy.settled:
            with self._around(list(self._running)):
                self.policy.settle(self._objective, [(group[0].key, _states(group)) for group in alike.values()])
        group = min(alike.values(), key=lambda group: (min(running.turn for running in group), -len(group)))
        group.sort(key=lambda running: running.turn)
        if len(group) == 1:
            return group
        with self._around(_ids(group)):
            return group[: self.policy.n_packed(self._objective, group[0].key, _states(group))]

    def _advance(self, group: list[_Running]) -> None:
        self._turn += 1
        began = time.perf_counter()
        try:
            with self._around(_ids(group)):
                if len(group) == 1:
                    metrics = [self._objective.advance(group[0].live.state)]
                else:
                    metrics = self._objective.advance_pack(_states(group))
            pairs = list(zip(group, metrics, strict=True))
        except Finished as why:
            for running in group:
                self._end(running, encodable(str(why)) or "there is nothing left to train")
            return
        except BaseException as error:
            self._take_apart(group, error)
            return
        seconds = (time.perf_counter() - began) / len(group)
        for running, found in pairs:
            self._take_up(running, found, seconds)

    def _take_apart(self, group: list[_Running], error: BaseException) -> None:
        """A trial alone has failed; those of a pack go on from their checkpoints, in smaller packs or one by one."""
        for running in group:
            self._close(self._running.pop(running.task.trial_id).live)
        if len(group) == 1 and not isinstance(error, TimeUp):
            pass_on(error)
            self._due.append(failure(group[0].task.trial_id, error, self._setup.folder))
            return
        self._new |= {running.task.trial_id: running.task.again(running.live.resource) for running in group}
        pass_on(error)
        self.policy.failed(group[0].key, len(group), "training", error)

    def _take_up(self, running: _Running, metrics: object, seconds: float) -> None:
        """What one trial reports; a failure here is its own."""
        task, live = running.task, running.live
        running.turn = self._turn
        try:
            with self._around([task.trial_id], breakable=False):
                why = finished(self._objective, live.state)
            event = report(live, metrics, seconds, self._setup.metrics, why)
            self._note_best(live, event)
            done = live.resource == task.resource or bool(why)
            if done or time.monotonic() - running.saved >= self._setup.checkpoint_seconds:
                with self._around([task.trial_id], breakable=False):
                    self._keep_best(live)
                    self._checkpoints.save(
                        task.trial_id,
                        live.resource,
                        lambda path: self._objective.save(live.state, path),
                        midway=not done,
                    )
                running.saved = time.monotonic()
        except BaseException as error:
            self._take_apart([running], error)
            return
        self._due.append(event)
        if done:
            self._end(running)

    def _end(self, running: _Running, finished: str = "") -> None:
        """The job is done. `finished`: why its trial is through without another report."""
        trial_id = running.task.trial_id
        del self._running[trial_id]
        self._paused[trial_id] = running.live
        self._keep(self.policy.size)
        self._due.append(Result(trial_id, Outcome.DONE, time.time(), finished=finished))

    def _note_best(self, live: LiveTrial, event: Report) -> None:
        """Copies the model of a trial that was never better."""
        metric = self._setup.best_by
        if metric is None or not isinstance(self._objective, SupportsModel):
            return
        score = metric.score(event.metrics[metric.name])
        if score < (live.best.score if live.best else WORST):
            with self._around([live.trial_id], breakable=False):
                live.best = BestModel(event.resource, score, self._objective.snapshot(live.state))

    def _keep_best(self, live: LiveTrial) -> None:
        """Writes the copy, if that hasn't been done: before the checkpoint, so that what is lost is trained again."""
        if live.best is not None and (snapshot := live.best.snapshot) is not None:
            self._best_models.save(live.trial_id, live.best, lambda path: self._objective.save_model(snapshot, path))
            live.best.snapshot = None


def _states(group: Sequence[_Running]) -> list[Any]:
    return [running.live.state for running in group]


def _ids(group: Sequence[_Running]) -> list[int]:
    return [running.task.trial_id for running in group]
