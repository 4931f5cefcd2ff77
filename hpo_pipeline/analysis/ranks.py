"""Average ranks of methods over blocks (tasks, or seeds), and how far apart they must be to mean anything.

Demšar 2006, "Statistical Comparisons of Classifiers over Multiple Data Sets": Friedman's test says whether the methods
differ at all; by Nemenyi's, two of them do if their average ranks are a critical difference apart,
CD = q_α √(k (k + 1) / 6 N) of k methods on N blocks, q_α of the studentized range over √2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

LEVEL = 0.05
_SLACK = 1e-9


@dataclass(frozen=True)
class Ranks:
    """Average ranks, 1 the best; `p` is Friedman's, None for fewer than three methods, or where all are equal."""

    average: npt.NDArray[np.float64]
    n_tasks: int
    critical_difference: float
    p: float | None

    @property
    def can_tell(self) -> bool:
        """Whether ranks could be a critical difference apart at all: k methods are at most k - 1 apart."""
        return self.critical_difference <= len(self.average) - 1

    def cliques(self) -> list[tuple[int, ...]]:
        """The largest groups of methods of which no two are a critical difference apart, by their numbers.

        Best first; only groups of two and more: the bars of a critical-difference diagram.
        """
        order = np.argsort(self.average, kind="stable")
        ordered = self.average[order]
        found: list[tuple[int, ...]] = []
        last = 0
        for first, rank in enumerate(ordered):
            end = int(np.searchsorted(ordered, rank + self.critical_difference - _SLACK))
            if end - first > 1 and end > last:
                found.append(tuple(order[first:end].tolist()))
            last = max(last, end)
        return found


def average_ranks(scores: npt.ArrayLike) -> Ranks:
    """Of scores `(tasks, methods)`, minimised; equal ones share their ranks. +inf is as bad as any other +inf."""
    from scipy import stats

    table = np.asarray(scores, dtype=float)
    n, k = table.shape
    differs = bool((table != table[:, :1]).any())
    p = float(stats.friedmanchisquare(*table.T).pvalue) if k > 2 and n > 1 and differs else None
    return Ranks(stats.rankdata(table, axis=1).mean(0), n, critical_difference(k, n), p)


def critical_difference(k: int, n: int) -> float:
    """Nemenyi's, of k methods on n tasks."""
    from scipy import stats

    q = stats.studentized_range.ppf(1 - LEVEL, k, np.inf) / math.sqrt(2)
    return float(q * math.sqrt(k * (k + 1) / (6 * n)))
