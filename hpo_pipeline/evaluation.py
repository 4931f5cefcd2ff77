"""What a trial has reached: the one place where metrics become scores, which are minimised."""

from __future__ import annotations

import enum
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

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

    def value(self, score: float) -> float:
        """The value that has this score."""
        return score if self.mode == "min" else -score


@dataclass(frozen=True, slots=True)
class Constraint:
    """What a reported value has to be for its trial to be feasible: at least `min`, at most `max`."""

    name: str
    min: float | None = None
    max: float | None = None

    def __str__(self) -> str:
        low, high = "" if self.min is None else f"{self.min:g} <= ", "" if self.max is None else f" <= {self.max:g}"
        return f"{low}{self.name}{high}"

    def violation(self, value: float) -> float:
        """How far `value` lies beyond a bound, in units of that bound (of 1, if it is 0); 0 if it doesn't."""
        for bound, beyond in ((self.min, -1.0), (self.max, 1.0)):
            if bound is not None and (excess := beyond * (value - bound)) > 0:
                return excess / (abs(bound) or 1.0)
        return 0.0


def metrics_of(metric: str | Mapping[str, str], mode: str) -> tuple[Metric, ...]:
    """What `metric` and `mode` of a config name: the mapping of several has its own modes."""
    return (Metric(metric, mode),) if isinstance(metric, str) else tuple(Metric(*each) for each in metric.items())


def constraints_of(constraints: Mapping[str, Mapping[str, float]] | None) -> tuple[Constraint, ...]:
    """What `constraints` of a config name."""
    return tuple(Constraint(name, **bounds) for name, bounds in (constraints or {}).items())


def names_of(config: Mapping[str, Any]) -> frozenset[str]:
    """What trials with this config are compared by: the names of its metrics and of what its constraints bound."""
    metric = config.get("metric") or ()
    return frozenset((metric,) if isinstance(metric, str) else metric) | frozenset(config.get("constraints") or ())


def total_violation(constraints: Iterable[Constraint], reported: Mapping[str, float]) -> float:
    """The sum over all constraints: 0 of what is feasible, +inf where a value is missing, NaN or ±inf."""
    total = 0.0
    for constraint in constraints:
        value = reported.get(constraint.name, math.nan)
        total += constraint.violation(value) if math.isfinite(value) else WORST
    return total


class Status(enum.Enum):
    """What an evaluation is worth: all scores are finite; one isn't, though the trial can go on; the trial failed.

    What a constraint bounds has to be finite like a score.
    """

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
        violation: by how much the study's constraints are violated; 0 if it is feasible.
    """

    trial: Trial
    resource: int
    rung: int | None
    bracket: int
    metrics: Mapping[str, float]
    scores: tuple[float, ...]
    status: Status
    finished: bool = False
    violation: float = 0.0

    @property
    def is_feasible(self) -> bool:
        return self.violation == 0

    @property
    def score(self) -> float:
        """That of the study's first metric, which is the only one of most."""
        return self.scores[0]


def evaluation(
    job: Job,
    resource: int,
    reported: Mapping[str, float],
    metrics: Sequence[Metric],
    constraints: Sequence[Constraint] = (),
) -> Evaluation:
    """What a job's trial reported at `resource`; on the job's rung if that is where the job ends."""
    scores = tuple([metric.score(reported.get(metric.name, math.nan)) for metric in metrics])
    violation = total_violation(constraints, reported) if constraints else 0.0
    rung = job.rung if resource == job.resource else None
    status = Status.NOT_FINITE if WORST in scores or violation == WORST else Status.OK
    return Evaluation(job.trial, resource, rung, job.bracket, reported, scores, status, violation=violation)


def failure(job: Job, metrics: Sequence[Metric]) -> Evaluation:
    """The end of a job that failed: on its rung, behind all that came there."""
    scores = (WORST,) * len(metrics)
    return Evaluation(job.trial, job.resource, job.rung, job.bracket, {}, scores, Status.FAILED)
