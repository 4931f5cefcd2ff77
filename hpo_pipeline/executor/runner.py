"""What a job is to whoever trains it, and the steps that it takes: load or start, report, checkpoint."""

from __future__ import annotations

import os
import shutil
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpo_pipeline import trust
from hpo_pipeline.objective import Metrics, Objective
from hpo_pipeline.trial import Config, Job, Outcome, Report, Result


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

    def pack(self, threads: int, checkpoint_seconds: float, size: int | None = 1) -> PackSetup:
        """What those who train need to know."""
        return PackSetup(
            self.objective, self.metric, self.folder, threads, checkpoint_seconds, size, trusted=trust.trusted()
        )


@dataclass(frozen=True, slots=True)
class PackSetup:
    """What a pack needs to know of its study; plain data, as it may cross a process border.

    Attributes:
        objective: the `_target_` node.
        metric: name of the metric that every report must hold.
        folder: the study's `trials` folder.
        threads: threads that the training may use.
        checkpoint_seconds: how much training a crash can cost at most, in seconds.
        size: jobs at once; None to measure what is best.
        sharing: packs that share the memory of one device.
        trusted: whose code a config may name.
    """

    objective: Mapping[str, Any]
    metric: str
    folder: Path
    threads: int
    checkpoint_seconds: float
    size: int | None = 1
    sharing: int = 1
    trusted: tuple[str, ...] = ()


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
