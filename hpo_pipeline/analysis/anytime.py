"""How good a study was at any time: its best value so far, over seconds and over total resource."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from hpo_pipeline.analysis.job_log import JobLog
from hpo_pipeline.evaluation import WORST, Metric, total_violation
from hpo_pipeline.trial import State
from hpo_pipeline.trial_view import TrialView
from hpo_pipeline.view import StudyView

Floats = npt.NDArray[np.float64]
Spent = Literal["seconds", "resource"]
"""What is spent: seconds that the study has run, or the resource of all its trials together."""


@dataclass(frozen=True, slots=True)
class Reported:
    """One report of a trial, when the study had run for `seconds` and spent `spent`."""

    seconds: float
    spent: int
    trial: TrialView
    resource: int
    metrics: dict[str, float]


def reports(view: StudyView, log: JobLog) -> Iterator[Reported]:
    """All reports of a study, in order. What is trained twice (by another session, or a copy) is spent once."""
    curves = {trial.id: {at: metrics for at, metrics, _ in trial.curve} for trial in view.trials.values()}
    reached: dict[int, int] = {}
    spent = 0
    for seconds, trial_id, resource in log.reports:
        spent += resource - reached.get(trial_id, 0)
        reached[trial_id] = resource
        yield Reported(seconds, spent, view.trials[trial_id], resource, curves[trial_id].get(resource, {}))


@dataclass(frozen=True)
class Anytime:
    """The best score so far, as steps. Scores are minimised.

    Attributes:
        seconds, resource: `(n,)` what was spent when it became better.
        scores: `(n,)`, falling.
        end: what was spent in all, of both.
        is_over: whether the study came to its end, so that more time would change nothing: beyond the end its best
            stays what it was. Of one that is at work, or was broken off, nobody knows.
    """

    seconds: Floats
    resource: Floats
    scores: Floats
    end: dict[Spent, float]
    is_over: bool

    def steps(self, by: Spent) -> Floats:
        return self.seconds if by == "seconds" else self.resource

    def at(self, amounts: npt.ArrayLike, by: Spent) -> Floats:
        """The score at each of these amounts: +inf before there was one, NaN where nobody knows."""
        at = np.asarray(amounts, dtype=float)
        found = np.append(math.inf, self.scores)[np.searchsorted(self.steps(by), at, side="right")]
        return found if self.is_over else np.where(at > self.end[by], math.nan, found)

    def reached(self, score: float, by: Spent) -> float:
        """What was spent when it was this good; +inf if it never was."""
        there = np.flatnonzero(self.scores <= score)
        return float(self.steps(by)[there[0]]) if len(there) else math.inf

    @property
    def final(self) -> float:
        """The score at the end, or until now; +inf without a usable one."""
        return float(self.scores[-1]) if len(self.scores) else math.inf


def anytime(view: StudyView, log: JobLog, metric: Metric, is_over: bool) -> Anytime:
    """By one metric, of what is within the study's constraints.

    What trials report that fail later doesn't count, nor do a finalist's further seeds, as for the study's own best:
    but what they spend does. A finalist's training counts as any other.
    """
    steps: list[tuple[float, float, float]] = []
    best = WORST
    for one in reports(view, log):
        score = metric.score(one.metrics.get(metric.name, math.nan))
        if score >= best or one.trial.state is State.FAILED or one.trial.repeats is not None:
            continue
        if view.constraints and total_violation(view.constraints, one.metrics) > 0:
            continue
        best = score
        steps.append((one.seconds, float(one.spent), score))
    seconds, resource, scores = np.array(steps, dtype=float).reshape(-1, 3).T
    end: dict[Spent, float] = {"seconds": log.seconds, "resource": float(view.total_resource)}
    return Anytime(seconds, np.maximum.accumulate(resource), scores, end, is_over)


def quantiles(scores: npt.ArrayLike, of: tuple[float, ...]) -> Floats:
    """`(quantiles, points)` of scores `(studies, points)`, between two of them linearly; NaN is nobody's.

    A score of +inf is a study that has none yet: a quantile that it takes part in is +inf as well.
    """
    table = np.sort(np.asarray(scores, dtype=float), axis=0)  # NaN last
    n = (~np.isnan(table)).sum(axis=0)
    found = np.full((len(of), table.shape[1]), math.nan)
    columns = np.arange(table.shape[1])
    for row, q in enumerate(of):
        place = np.maximum(n - 1, 0) * q
        below = np.floor(place).astype(int)
        share = place - below
        low, high = table[below, columns], table[np.minimum(below + 1, np.maximum(n - 1, 0)), columns]
        with np.errstate(invalid="ignore"):  # +inf less +inf
            found[row] = np.where(share == 0, low, np.where(np.isinf(high), high, low + share * (high - low)))
    return found
