"""Any searcher that learns from scores, for studies of several metrics or with constraints: one score in their place.

With m metrics each suggestion is for one of 10 (m - 1) weightings of them, drawn from (seed, trial id); the searcher
that is asked has heard every trial by that one score, so its model, however it is made, is of one objective (ParEGO:
Knowles 2006, "ParEGO: A Hybrid Algorithm with On-Line Landscape Approximation for Expensive Multiobjective
Optimization Problems"). Every weighting has a searcher of its own, which hears everything.

    s = max_j w_j z_j + 0.05 Σ_j w_j z_j    the augmented Tchebycheff function, to be minimised
    w                                       on the simplex, evenly spread (a sequence of low discrepancy)
    z_j                                     the j-th score on its scale at that resource (`Scale`)

What violates the constraints is worse than all that doesn't: s goes on as 2 - 1/s beyond 1, so it stays below 2, and
the others are at 2 + v / (1 + v), v by how much they violate them.

Scales are fitted to what was heard at 1, 2, ... 10, 11, 13, 15, ... evaluations (× 1.15); then the searchers hear
everything again. As that happens only where one is asked, a resumed study does it once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from hpo_pipeline.evaluation import WORST, Evaluation, Status
from hpo_pipeline.searcher import NoTrial, Searcher, Suggestion
from hpo_pipeline.searcher.earlier import EarlierStudy, SupportsWarmStart
from hpo_pipeline.seeding import generator
from hpo_pipeline.trial import Config, Job, StateChange

Array = npt.NDArray[np.float64]

AUGMENTED = 0.05
WEIGHTINGS = 10
"""For each metric but the first."""
GROWTH = 1.15


@dataclass(frozen=True, slots=True)
class Scale:
    """From the scores of m metrics to z: the share of the scores at a resource that are lower, linear in between.

    Ranks, so that a metric whose values are decades apart (parameters of a network) counts like any other. A score
    that is lower than all is at -½ if it lies as far below the lowest as the median lies above; one that is higher at
    2 if it lies as far above the highest as the median lies below.

    Attributes:
        values, places: of each metric, its distinct scores, ascending, and their z.
        medians: of each metric.
    """

    values: Sequence[Array]
    places: Sequence[Array]
    medians: Sequence[float]

    @staticmethod
    def of(scores: Array) -> Scale:
        """That of scores `(n, m)`, n at least 1."""
        values, places = [], []
        for column in scores.T:
            distinct, counts = np.unique(column, return_counts=True)
            values.append(distinct)
            places.append((np.cumsum(counts) - counts) / max(len(column) - 1, 1))
        return Scale(values, places, np.median(scores, axis=0).tolist())

    def __call__(self, scores: Sequence[float]) -> Array:
        return np.array([self._place(j, score) for j, score in enumerate(scores)])

    def _place(self, j: int, score: float) -> float:
        values, median = self.values[j], self.medians[j]
        low, high = float(values[0]), float(values[-1])
        if score < low:
            return -0.5 * _ratio(low - score, median - low)
        if score > high:
            return 1.0 + _ratio(score - high, high - median)
        return float(np.interp(score, values, self.places[j]))


def _ratio(distance: float, unit: float) -> float:
    """In units that are sound, however large or small."""
    return (
        min(distance, 1e300) / unit if 1e-300 < unit < math.inf and distance / unit < math.inf else min(distance, 1e300)
    )


@dataclass(slots=True)
class _Asked:
    """The searcher of one weighting, and how much it has heard."""

    searcher: Searcher
    fitted: int
    told: int = 0


class Scalarised(Searcher):
    """Passes suggestions on from searchers that hear one score of each evaluation.

    Args:
        make: a new searcher, the same one each time.
        n_metrics: of the study.
        seed: of the study.
    """

    def __init__(self, make: Callable[[], Searcher], n_metrics: int, seed: int) -> None:
        self._make = make
        self._seed = seed
        self._weights = weightings(n_metrics)
        self._plain = make()
        self.finite = self._plain.finite
        self._asked: dict[int, _Asked] = {}
        self._earlier: Sequence[EarlierStudy] = ()
        self._events: list[Job | Evaluation | StateChange] = []
        self._n_evaluations = 0
        self._due = 1
        self._n_fitted = 0
        """Of the events, those that the scales are of."""
        self._scales: dict[int, Scale] = {}
        self._scales_of = 0

    def begin_with(self, studies: Sequence[EarlierStudy]) -> None:
        """Every weighting's searcher learns from them as far as its own scores go with theirs."""
        self._earlier = studies

    def describe(self) -> str:
        own = self._plain.describe()
        n = len(self._weights)
        return own if n == 1 else f"{own}{'; ' if own else ''}each proposal is for one of {n} weightings of the metrics"

    def suggest(self, trial_id: int, first_rung: int = 0) -> Suggestion | Config | NoTrial:
        which = int(generator(self._seed, "weighting", trial_id).integers(len(self._weights)))
        answer = self._up_to_date(which).suggest(trial_id, first_rung)
        if not isinstance(answer, Suggestion) or not answer.origin or len(self._weights) == 1:
            return answer
        weights = " : ".join(f"{weight:.2f}" for weight in self._weights[which])
        return replace(answer, origin=f"{answer.origin}, metrics weighted {weights}")

    def on_submitted(self, job: Job) -> None:
        self._events.append(job)

    def on_evaluation(self, evaluation: Evaluation) -> None:
        self._events.append(evaluation)
        self._n_evaluations += 1
        if self._n_evaluations == self._due:
            self._due = max(self._due + 1, int(self._due * GROWTH))
            self._n_fitted = len(self._events)

    def on_state(self, change: StateChange) -> None:
        self._events.append(change)

    def _up_to_date(self, which: int) -> Searcher:
        """The searcher of a weighting, once it has heard everything by the scales as they are now."""
        if self._scales_of != self._n_fitted:
            self._scales, self._scales_of = fitted(self._events[: self._n_fitted]), self._n_fitted
        asked = self._asked.get(which)
        if asked is None or asked.fitted != self._n_fitted:
            asked = self._asked[which] = _Asked(self._make(), self._n_fitted)
            if self._earlier and isinstance(asked.searcher, SupportsWarmStart):
                asked.searcher.begin_with(self._earlier)
        for event in self._events[asked.told :]:
            if isinstance(event, Job):
                asked.searcher.on_submitted(event)
            elif isinstance(event, Evaluation):
                asked.searcher.on_evaluation(self._with_one_score(event, self._weights[which]))
            else:
                asked.searcher.on_state(event)
        asked.told = len(self._events)
        return asked.searcher

    def _with_one_score(self, evaluation: Evaluation, weights: Array) -> Evaluation:
        if evaluation.status is not Status.OK:
            return replace(evaluation, scores=(WORST,), violation=0.0)
        if not evaluation.is_feasible:
            score = 2 + evaluation.violation / (1 + evaluation.violation)
        else:
            score = tchebycheff(self._scale(evaluation.resource)(evaluation.scores), weights)
        return replace(evaluation, scores=(score,), violation=0.0)

    def _scale(self, resource: int) -> Scale:
        """That of the resource, or of the nearest one below, else above, that has one; else any will do."""
        below = [known for known in self._scales if known <= resource]
        known = max(below) if below else min(self._scales, default=None)
        return Scale.of(np.zeros((1, self._weights.shape[1]))) if known is None else self._scales[known]


def weightings(n_metrics: int) -> Array:
    """`(k, m)` weights that add up to 1: the gaps between the sorted points of Roberts' sequence (2018), R_d."""
    d = n_metrics - 1
    if d == 0:
        return np.ones((1, 1))
    k = WEIGHTINGS * d
    root = 2.0
    for _ in range(50):  # the positive solution of x^(d + 1) = x + 1
        root = (1 + root) ** (1 / (d + 1))
    steps = root ** -np.arange(1, d + 1)
    points = np.sort((0.5 + np.arange(k)[:, None] * steps) % 1.0, axis=1)
    weights: Array = np.diff(points, axis=1, prepend=0.0, append=1.0)
    return weights


def tchebycheff(z: Array, weights: Array) -> float:
    """s, as above: below 2 whatever z is."""
    weighted = weights * z
    s = float(weighted.max() + AUGMENTED * weighted.sum())
    return s if s <= 1 else 2 - 1 / s


def fitted(events: Sequence[Job | Evaluation | StateChange]) -> dict[int, Scale]:
    """The scale at each resource that has a feasible evaluation."""
    scores: dict[int, list[tuple[float, ...]]] = {}
    for event in events:
        if isinstance(event, Evaluation) and event.status is Status.OK and event.is_feasible:
            scores.setdefault(event.resource, []).append(event.scores)
    return {resource: Scale.of(np.array(of_it, dtype=float)) for resource, of_it in scores.items()}
