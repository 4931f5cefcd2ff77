"""Runs one job in this process: load or start, advance a unit at a time, report, checkpoint.

Every executor on this machine uses it: in the tuner's own process (serial) or in its workers (process).
"""

from __future__ import annotations

import os
import shutil
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpo_pipeline.objective import Metrics, Objective
from hpo_pipeline.trial import Config, Event, Job, Outcome, Report, Result


@dataclass(frozen=True, slots=True)
class Setup:
    """What an executor needs to know of its study. `merge` stays in the tuner's process; the rest is plain data.

    Attributes:
        objective: the `_target_` node.
        metric: name of the metric that every report must hold.
        folder: the study's `trials` folder.
        merge: (trial id, sample) -> the composed training config with the sample in it: nested and plain.
        trial_seed: trial id -> the trial's seed.
    """

    objective: Mapping[str, Any]
    metric: str
    folder: Path
    merge: Callable[[int, Config], dict[str, Any]]
    trial_seed: Callable[[int], int]

    def task(self, job: Job, recorded: int) -> Task:
        """The job as a worker gets it. A checkpoint that it takes over from another trial is copied here, once."""
        if job.source is not None:
            _adopt_checkpoint(self.folder, job, recorded, job.source)
        config, seed = self.merge(job.trial.id, job.trial.config), self.trial_seed(job.trial.id)
        adopted = job.source is not None
        return Task(job.trial.id, config, seed, job.resource, recorded, job.decide_at, adopted)


@dataclass(frozen=True, slots=True)
class Task:
    """A job as it crosses the process border: plain data. `adopted`: it goes on with another trial's weights."""

    trial_id: int
    config: dict[str, Any]
    seed: int
    resource: int
    recorded: int
    decide_at: Sequence[int]
    adopted: bool = False


def trial_folder(folder: Path, trial_id: int) -> Path:
    return folder / str(trial_id)


def discard_checkpoints(folder: Path, trial_id: int) -> None:
    for path in _checkpoints(trial_folder(folder, trial_id)).values():
        path.unlink(missing_ok=True)


def _adopt_checkpoint(folder: Path, job: Job, at: int, source: tuple[int, int]) -> None:
    """Copies the checkpoint `source` (trial, resource) to be the job's trial's own at `at`.

    A mark says that it was done for this job: when it is handed out again after a crash, the source may have gone on
    and dropped that checkpoint.
    """
    own = trial_folder(folder, job.trial.id)
    mark = own / f"{job.resource}.adopted"
    if mark.exists():
        return
    own.mkdir(parents=True, exist_ok=True)
    aside = own / f".{at}.adopting"
    shutil.copyfile(trial_folder(folder, source[0]) / f"{source[1]}.ckpt", aside)
    os.replace(aside, own / f"{at}.ckpt")
    mark.touch()


def _checkpoints(folder: Path) -> dict[int, Path]:
    """Resource -> checkpoint file."""
    try:
        names = os.listdir(folder)  # a glob costs several times as much, and this is done for every job
    except FileNotFoundError:
        return {}
    stems = {name: name.removesuffix(".ckpt") for name in names if name.endswith(".ckpt")}
    return {int(stem): folder / name for name, stem in stems.items() if stem.isdecimal()}


@dataclass(slots=True)
class Held:
    """A trial's state in memory: if it goes on here, nothing is loaded."""

    trial_id: int
    resource: int
    state: Any

    def fits(self, task: Task) -> bool:
        """Whether this is where the task goes on."""
        return not task.adopted and (self.trial_id, self.resource) == (task.trial_id, task.recorded)


def begin(objective: Objective, task: Task, folder: Path) -> Held:
    """The trial where its records end: its newest checkpoint up to there, or from zero."""
    found = _checkpoints(folder) if task.recorded else {}
    usable = {at: path for at, path in found.items() if at <= task.recorded}
    start = max(usable, default=0)
    if usable:
        return Held(task.trial_id, start, objective.load(usable[start], task.config, task.seed))
    return Held(task.trial_id, start, objective.start(task.config, task.seed))


def save(objective: Objective, held: Held, folder: Path) -> None:
    """Writes a checkpoint; of the older ones the newest stays, until the report that belongs to this is recorded."""
    older = sorted(at for at in _checkpoints(folder) if at < held.resource)
    objective.save(held.state, folder / f"{held.resource}.ckpt")
    for at in older[:-1]:
        (folder / f"{at}.ckpt").unlink(missing_ok=True)


def report(held: Held, metrics: Metrics, seconds: float, metric: str) -> Report:
    """What a trial that was just advanced by one unit reports."""
    values = {name: float(value) for name, value in metrics.items()}
    values.setdefault("seconds", seconds)
    if metric not in values:
        raise KeyError(f"the objective reported no {metric!r}; it has {', '.join(sorted(values))}")
    held.resource += 1
    return Report(held.trial_id, held.resource, values, time.time())


def failure(trial_id: int, error: Exception, folder: Path) -> Result:
    """The result of a job that raised; its traceback goes to the trial's log, too."""
    text = "".join(traceback.format_exception(error))
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "log.txt", "a") as log:
        log.write(text)
    message = f"{type(error).__name__}: {error}".splitlines()[0]
    return Result(trial_id, Outcome.FAILED, time.time(), message, text)


class JobRunner:
    """Runs jobs one after the other.

    A checkpoint is written at the end of a job and, in long ones, every `checkpoint_seconds`, as
    `trials/<id>/<resource>.ckpt`.
    """

    def __init__(self, make: Callable[[], Objective], metric: str, folder: Path, checkpoint_seconds: float) -> None:
        self._make = make
        self._objective: Objective | None = None
        self._metric = metric
        self._folder = folder
        self._checkpoint_seconds = checkpoint_seconds
        self._held: Held | None = None

    def run(self, task: Task) -> Iterator[list[Event]]:
        """The job's events as they happen; the last report and the result come together. Close it to stop the job."""
        folder = trial_folder(self._folder, task.trial_id)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            yield from self._run(task, folder)
        except Exception as error:
            self._held = None
            yield [failure(task.trial_id, error, folder)]

    def _run(self, task: Task, folder: Path) -> Iterator[list[Event]]:
        if self._objective is None:
            self._objective = self._make()
        objective = self._objective
        if self._held is None or not self._held.fits(task):
            self._held = None  # let go of its memory before the next one is built
            self._held = begin(objective, task, folder)
        held = self._held
        saved = time.monotonic()
        while held.resource < task.resource:
            began = time.perf_counter()
            metrics = objective.advance(held.state)
            event = report(held, metrics, time.perf_counter() - began, self._metric)
            if held.resource == task.resource:
                save(objective, held, folder)
                yield [event, Result(task.trial_id, Outcome.DONE, time.time())]
                return
            if time.monotonic() - saved >= self._checkpoint_seconds:
                save(objective, held, folder)
                saved = time.monotonic()
            yield [event]
        raise RuntimeError(f"trial {task.trial_id} is at {held.resource} already, past the job's {task.resource}")
