"""Whether the order of trials at one resource is that at another: Spearman's rank correlation, with its interval.

A study that stops trials early believes so. Only trials that have come to both resources can be compared; where the
worse ones were stopped before, those that are left are alike, which lowers the correlation.

The interval is Fisher's, z = artanh(ρ) ± 1.96 · √((1 + ρ²/2) / (n - 3)) (Bonett & Wright 2000).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hpo_pipeline.analysis.standing import rung_resources, scores_at
from hpo_pipeline.trial import State
from hpo_pipeline.view import StudyView

Floats = npt.NDArray[np.float64]

LEAST_TRIALS = 4
"""Of fewer there is no interval."""
MOST_LEVELS = 8


@dataclass(frozen=True)
class Correlation:
    """Of the trials that have come to both resources.

    Attributes:
        low, high: the 95 % interval of `rho`.
        best_was: the rank, from 1, that the best trial at `after` had at `before` among them.
    """

    before: int
    after: int
    n: int
    rho: float
    low: float
    high: float
    best_was: int


def rank_correlations(view: StudyView) -> list[Correlation]:
    """Of each two resources with at least four trials in common; nothing where all values at one of them are equal.

    The resources are those of the rungs; where trials have one rung alone, some on the way to it, each twice the one
    before. Population-based training has no order that could last: its trials change on the way.
    """
    trials = [
        trial
        for trial in view.trials.values()
        if trial.repeats is None and trial.state is not State.FAILED and not trial.changes
    ]
    levels = compared_resources(view)
    scores = scores_at(trials, levels, view.metrics[0])
    found = []
    for i in range(len(levels)):
        for k in range(i + 1, len(levels)):
            both = np.isfinite(scores[:, i]) & np.isfinite(scores[:, k])
            if both.sum() >= LEAST_TRIALS:
                one = correlation(scores[both, i], scores[both, k])
                if one is not None:
                    found.append(Correlation(levels[i], levels[k], *one))
    return found


def compared_resources(view: StudyView) -> list[int]:
    """At most eight resources, ascending."""
    levels = rung_resources(view)
    if len(levels) == 1:
        halves = [levels[0]]
        while halves[-1] > 1:
            halves.append(halves[-1] // 2)
        levels = halves[::-1]
    if len(levels) > MOST_LEVELS:
        picked = np.unique(np.linspace(0, len(levels) - 1, MOST_LEVELS).round().astype(int))
        levels = [levels[i] for i in picked]
    return levels


def correlation(before: Floats, after: Floats) -> tuple[int, float, float, float, int] | None:
    """(n, ρ, low, high, rank before of the best after) of scores `(n,)`; None where one side has only equal scores."""
    n = len(before)
    x, y = average_ranks(before), average_ranks(after)
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return None
    rho = float(np.clip(np.corrcoef(x, y)[0, 1], -1, 1))
    z = math.atanh(min(max(rho, -1 + 1e-12), 1 - 1e-12))
    reach = 1.959964 * math.sqrt((1 + rho**2 / 2) / (n - 3))
    best = int(np.argmin(after))
    return n, rho, math.tanh(z - reach), math.tanh(z + reach), 1 + int(np.sum(before < before[best]))


def average_ranks(values: Floats) -> Floats:
    """Ranks from 1; equal values share the mean of theirs."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: Floats = (last - (counts - 1) / 2)[place]
    return ranks
