"""Paired tests over seeds, and intervals; ranks over tasks are in hpo_pipeline/analysis/ranks.py."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import stats


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
