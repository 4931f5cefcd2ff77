"""What a job is to whoever trains it, and the steps that it takes: load or start, report, checkpoint."""

from __future__ import annotations

import contextlib
import os
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, SupportsFloat

from hpo_pipeline import trust
from hpo_pipeline.errors import StudyError, describe, encodable
from hpo_pipeline.evaluation import Metric
from hpo_pipeline.executor.best_models import BestModel
from hpo_pipeline.executor.checkpoints import Checkpoints
from hpo_pipeline.executor.url_checkpoints import checkpoints_in
from hpo_pipeline.objective import Objective, SupportsFinish, SupportsRepeats, TrialSpec, real_folder
from hpo_pipeline.trial import Config, Job, Outcome, Report, Result


@dataclass(frozen=True, slots=True)
class StudySetup:
    """What an executor needs to know of its study. `merge` stays in the tuner's process; the rest is plain data.

    Attributes:
        objective: the `_target_` node.
        metrics: names of the metrics that every report must hold.
        folder: the study's `trials` folder; absolute, wherever the working folder is later.
        merge: (trial id, sample) -> the composed training config with the sample in it: nested and plain.
        trial_seed: trial id -> the trial's seed.
        best_by: what a trial's best report is found by, whose model is kept; None: none is.
        checkpoints_url: where checkpoints are, if not in the folder.
        log_levels: logger -> level, of what trials log (trial_logging.py).
    """

    objective: Mapping[str, Any]
    metrics: tuple[str, ...]
    folder: Path
    merge: Callable[[int, Config], dict[str, Any]]
    trial_seed: Callable[[int], int]
    best_by: Metric | None = None
    checkpoints_url: str = ""
    log_levels: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", self.folder.absolute())

    @property
    def checkpoints(self) -> Checkpoints:
        """The store of the study's."""
        return checkpoints_in(self.folder, self.checkpoints_url)

    def task(self, job: Job, recorded: int) -> Task:
        """The job as a worker gets it. A checkpoint that it takes over from another trial is copied here, once."""
        trial_id, notice = job.trial.id, ""
        if job.source is not None:
            try:
                notice = self.checkpoints.adopt(trial_id, recorded, job.source, job.resource)
            except (OSError, StudyError) as error:
                notice = f"goes on with its own weights: another trial's can't be copied ({describe(error)})"
        return Task(
            trial_id,
            self.merge(trial_id, job.trial.config),
            self.trial_seed(trial_id),
            job.resource,
            recorded,
            job.milestones,
            adopted=job.source is not None,
            notice=notice,
        )

    def pack(self, threads: int, checkpoint_seconds: float, size: int | None = 1) -> PackSettings:
        """What those who train need to know."""
        return PackSettings(
            *(self.objective, self.metrics, self.folder, trust.trusted(), threads, checkpoint_seconds, size),
            best_by=self.best_by,
            checkpoints_url=self.checkpoints_url,
            log_levels=self.log_levels,
        )


@dataclass(frozen=True, slots=True)
class PackSettings:
    """What a pack needs to know of its study; plain data, as it may cross a process border.

    Attributes:
        objective, metric, folder: as in `StudySetup`.
        trusted: whose code a config may name.
        threads: threads that the training may use.
        checkpoint_seconds: how much training a crash can cost at most, in seconds.
        size: jobs at once; None to measure what is best.
        sharing: packs that share the memory of one device.
        best_by, checkpoints_url, log_levels: as in `StudySetup`.
    """

    objective: Mapping[str, Any]
    metrics: tuple[str, ...]
    folder: Path
    trusted: tuple[str, ...]
    threads: int
    checkpoint_seconds: float
    size: int | None
    sharing: int = 1
    best_by: Metric | None = None
    checkpoints_url: str = ""
    log_levels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Task:
    """A job as it crosses the process border: plain data.

    Attributes:
        adopted: it goes on with another trial's weights.
        attempts: how often it was begun before, and broken off: a worker process died, trials failed together.
        nodes: where it has lost a worker.
        notice: what people should know of it when it begins, in one line; empty if there is nothing.
    """

    trial_id: int
    config: dict[str, Any]
    seed: int
    resource: int
    recorded: int
    milestones: Sequence[int]
    adopted: bool = False
    attempts: int = 0
    nodes: tuple[str, ...] = ()
    notice: str = ""

    def again(self, reached: int = 0, node: str = "") -> Task:
        """The task for another attempt, after it was broken off at the resource `reached`, on `node`."""
        return replace(
            self,
            recorded=max(self.recorded, reached),
            attempts=self.attempts + 1,
            nodes=(*self.nodes, node),
            notice="",
        )


class JobTimeout(BaseException):
    """A trial has taken longer than `job_timeout` to its next report."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"no report for {seconds:g} s (executor.job_timeout)")


@dataclass(slots=True)
class LiveTrial:
    """A trial's state in memory: if it goes on here, nothing is loaded."""

    trial_id: int
    resource: int
    state: Any
    best: BestModel | None = None

    def fits(self, task: Task) -> bool:
        """Whether this is where the task goes on."""
        return not task.adopted and (self.trial_id, self.resource) == (task.trial_id, task.recorded)


def begin(objective: Objective, task: Task, checkpoints: Checkpoints, folder: Path) -> tuple[LiveTrial, str]:
    """The trial where its records end: its newest whole checkpoint up to there, or from zero.

    Returns:
        And what people should know of that, checkpoints that are damaged or missing, in one line; or an empty text.
    """
    trial = TrialSpec(task.config, task.seed, real_folder(folder / str(task.trial_id)))
    if not task.recorded:
        return LiveTrial(task.trial_id, 0, objective.start(trial)), ""
    found = checkpoints.load(task.trial_id, task.recorded, lambda path: objective.load(trial, path))
    state = found.state if found.resource else objective.start(trial)
    behind = objective.behind(state) if found.resource and isinstance(objective, SupportsRepeats) else 0
    notice = ""
    if found.problems or (found.resource < task.recorded and not task.attempts):  # of a second attempt, people know
        where = f"from {found.resource}" if found.resource else "from the beginning"
        why = "; ".join(found.problems) or "there is no later checkpoint"
        notice = f"has records to {task.recorded} and goes on {where}: {why}"
    return LiveTrial(task.trial_id, max(0, found.resource - behind), state), notice


def report(live: LiveTrial, metrics: object, seconds: float, needed: Iterable[str], finished: str = "") -> Report:
    """What a trial that was just advanced by one unit reports.

    Args:
        finished: why it is through; empty if it isn't.

    Raises:
        TypeError: it isn't a mapping of names to numbers.
        KeyError: one of those `needed` is not among them.
    """
    if not isinstance(metrics, Mapping):
        raise TypeError(f"the objective's advance must return a mapping of names to numbers, not {_kind(metrics)}")
    values: dict[str, float] = {}
    for name, value in metrics.items():
        if not isinstance(name, str):
            raise TypeError(f"the name of a metric must be text, not {_kind(name)}")
        # A float needs no look at the protocol, which takes ten times as long as all the rest.
        if type(value) is not float and (isinstance(value, (str, bytes)) or not isinstance(value, SupportsFloat)):
            raise TypeError(f"metric {encodable(name)!r} must be a number, not {_kind(value)}")
        values[encodable(name)] = float(value)
    values.setdefault("seconds", seconds)
    for name in needed:
        if name not in values:
            raise KeyError(f"the objective reported no {name!r}; it has {', '.join(sorted(values))}")
    live.resource += 1
    return Report(live.trial_id, live.resource, values, time.time(), finished)


def finished(objective: object, state: Any) -> str:
    """Why the trial, which was just advanced, is through; empty while it goes on."""
    return encodable(str(objective.finished(state))) if isinstance(objective, SupportsFinish) else ""


def _kind(value: object) -> str:
    return "None" if value is None else f"a {type(value).__name__}"


def failure(trial_id: int, error: BaseException, folder: Path | None = None) -> Result:
    """The result of a job that raised; its traceback goes to the trial's log, too, if there is a folder of trials."""
    try:
        text = encodable("".join(traceback.format_exception(error)))
    except Exception:  # an error can be as broken as the code that raised it
        text = f"{describe(error)}\n"
    if folder is not None:
        log(folder, trial_id, text)
    return Result(trial_id, Outcome.FAILED, time.time(), describe(error), text)


def log(folder: Path, trial_id: int, text: str) -> None:
    """Adds to the trial's log."""
    write_log(log_path(folder, trial_id), text)


def write_log(path: Path, text: str) -> None:
    """Adds to a log. That it can't be written (a full disk) ends no trial."""
    with contextlib.suppress(OSError, StudyError):
        _append(path, text.encode())


def append_log(folder: Path, trial_id: int, text: bytes) -> None:
    """Adds to the trial's log.

    Raises:
        OSError, StudyError: as `open_log`.
    """
    _append(log_path(folder, trial_id), text)


def _append(path: Path, text: bytes) -> None:
    with open(open_log(path), "ab") as stream:
        stream.write(text)


def log_path(folder: Path, trial_id: int) -> Path:
    return folder / str(trial_id) / "log.txt"


def output_path(folder: Path, worker: str, trial_ids: Sequence[int]) -> Path:
    """Where what a worker's code prints and logs goes: to the trial's log.

    Of several at once nobody can tell whose it is: the worker has a log for that, beside the trials.
    """
    return log_path(folder, trial_ids[0]) if len(trial_ids) == 1 else folder.parent / "packs" / f"{worker}.txt"


def open_log(path: Path) -> int:
    """A file descriptor to append to a log.

    Raises:
        OSError: it can't be written, or is a link, which isn't followed.
        StudyError: its folder is a link, or none.
    """
    real_folder(path.parent)
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0)
    return os.open(path, flags, 0o644)
