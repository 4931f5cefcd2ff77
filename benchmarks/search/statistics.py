"""Ranks over tasks with a critical difference, paired tests over seeds, intervals.

Demšar 2006, "Statistical Comparisons of Classifiers over Multiple Data Sets": Friedman's test says whether the methods
differ at all; by Nemenyi's, two of them do if their average ranks are a critical difference apart.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

LEVEL = 0.05


@dataclass(frozen=True)
class Ranks:
    """Average ranks, 1 the best; `p` is Friedman's, None for fewer than three methods."""

    average: npt.NDArray[np.float64]
    n_tasks: int
    critical_difference: float
    p: float | None


def average_ranks(scores: npt.ArrayLike) -> Ranks:
    """Of scores `(tasks, methods)`, minimised; equal ones share their ranks."""
    table = np.asarray(scores, dtype=float)
    n, k = table.shape
    p = float(stats.friedmanchisquare(*table.T).pvalue) if k > 2 and n > 1 else None
    return Ranks(stats.rankdata(table, axis=1).mean(0), n, critical_difference(k, n), p)


def critical_difference(k: int, n: int) -> float:
    """Nemenyi's, of k methods on n tasks."""
    q = stats.studentized_range.ppf(1 - LEVEL, k, np.inf) / math.sqrt(2)
    return float(q * math.sqrt(k * (k + 1) / (6 * n)))


def paired_p(differences: Sequence[float]) -> float:
    """Wilcoxon's signed-rank test, two-sided; 1 where nothing differs."""
    if not np.any(differences):
        return 1.0
    return float(stats.wilcoxon(differences).pvalue)


def holm(ps: Sequence[float]) -> list[float]:
    """The values adjusted for their number (Holm 1979)."""
    adjusted = [0.0] * len(ps)
    highest = 0.0
    for i, index in enumerate(np.argsort(ps)):
        highest = max(highest, min(1.0, (len(ps) - i) * ps[index]))
        adjusted[index] = highest
    return adjusted


def mean_and_error(values: Sequence[float]) -> tuple[float, float]:
    """With the standard error of the mean; NaN of a single value."""
    error = float(np.std(values, ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else math.nan
    return float(np.mean(values)), error


def band(values: npt.ArrayLike, center: str) -> tuple[npt.NDArray[np.float64], ...]:
    """(low, center, high) of `(runs, points)`: a 95 % confidence interval of the mean or the median, pointwise.

    Of the median, by the binomial distribution of the number of values below it.
    """
    table = np.asarray(values, dtype=float)
    n = len(table)
    if center == "median":
        below = int(stats.binom.ppf(0.025, n, 0.5))
        ordered = np.sort(table, axis=0)
        return ordered[max(below - 1, 0)], np.median(table, axis=0), ordered[min(n - below, n - 1)]
    mean = table.mean(0)
    error = table.std(0, ddof=1) / math.sqrt(n) if n > 1 else np.zeros_like(mean)
    width = float(stats.t.ppf(0.975, max(n - 1, 1))) * error
    return mean - width, mean, mean + width
