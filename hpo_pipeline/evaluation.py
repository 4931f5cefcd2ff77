"""What a trial has reached: the one place where metrics become scores, which are minimised."""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hpo_pipeline.trial import Job, Trial

WORST = math.inf
MODES = ("min", "max")


@dataclass(frozen=True, slots=True)
class Metric:
    """What a study looks for the best value of; `mode` is "min" or "max"."""

    name: str
    mode: str = "min"

    def __str__(self) -> str:
        return f"{self.name} ({self.mode})"

    def score(self, value: float) -> float:
        """`value` for mode min, `-value` for mode max, +inf for NaN and ±inf (diverged is never good)."""
        if not math.isfinite(value):
            return WORST
        return value if self.mode == "min" else -value


class Status(enum.Enum):
    """What an evaluation is worth: all scores are finite; one isn't, though the trial can go on; the trial failed."""

    OK = "ok"
    NOT_FINITE = "not finite"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A point of a trial's learning curve, or its failure on the way to one.

    Attributes:
        trial: with the configuration that it had then.
        resource: cumulative; of a failed trial, what its job was to reach.
        rung: the rung that it counts on, or None for a point on the way.
        bracket: which bracket the rung belongs to.
        metrics: all that was reported, as it was reported; empty of a failed trial.
        scores: of the study's metrics, in their order; minimised, and +inf for what isn't finite or failed.
        finished: the trial was through before `resource`, and counts there with its last report.
    """

    trial: Trial
    resource: int
    rung: int | None
    bracket: int
    metrics: Mapping[str, float]
    scores: tuple[float, ...]
    status: Status
    finished: bool = False

    @property
    def score(self) -> float:
        """That of the study's first metric, which is the only one of most."""
        return self.scores[0]


def evaluation(job: Job, resource: int, reported: Mapping[str, float], metrics: Sequence[Metric]) -> Evaluation:
    """What a job's trial reported at `resource`; on the job's rung if that is where the job ends."""
    scores = tuple([metric.score(reported.get(metric.name, math.nan)) for metric in metrics])
    rung = job.rung if resource == job.resource else None
    status = Status.NOT_FINITE if WORST in scores else Status.OK
    return Evaluation(job.trial, resource, rung, job.bracket, reported, scores, status)


def failure(job: Job, metrics: Sequence[Metric]) -> Evaluation:
    """The end of a job that failed: on its rung, behind all that came there."""
    scores = (WORST,) * len(metrics)
    return Evaluation(job.trial, job.resource, job.rung, job.bracket, {}, scores, Status.FAILED)
