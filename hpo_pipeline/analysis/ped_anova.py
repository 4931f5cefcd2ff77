"""PED-ANOVA: how much the best trials differ from all trials in each hyperparameter.

Watanabe, Bansal & Hutter 2023, "PED-ANOVA: Efficiently Quantifying Hyperparameter Importance in Arbitrary Subspaces",
equation 16: the variance that hyperparameter d explains of being among the best is, up to a factor that all share,
the Pearson divergence of two densities of one variable,

    D(p_d || q_d) = ∫ q_d(x) · (p_d(x) / q_d(x) - 1)² dx

    p_d: of the best γ'·n trials    q_d: of all n trials    importance of d = D_d / Σ D

As q is the density of what was tried, and not of the search space, it doesn't matter that a searcher tries more where
it is good. Densities are Gaussian kernels within [0, 1], of a choice the frequencies. p and q have the same bandwidth:
where the best are like all others, D is 0. A conditional hyperparameter is looked at among the trials that have it, and
counts by the share of the best that have it.

Trials that are equally good are among the best to the same part.

How sure: the interval is that of a bootstrap over trials. Even a hyperparameter without any influence has D > 0 in a
finite sample; `chance` is what D stays below in 95 % of random draws of as many "best" trials.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hpo_pipeline.analysis.axes import Axis

Floats = npt.NDArray[np.float64]

BEST_SHARE = 0.1
"""γ'."""
LEAST_BEST = 5
LEAST_TRIALS = 2 * LEAST_BEST
GRID = 64
RESAMPLES = 200


@dataclass(frozen=True)
class PedAnova:
    """The importance of each axis; shares of the sum of all.

    Attributes:
        share: `(d,)`
        low, high: `(d,)`, between which it lies in 90 % of the bootstrap samples.
        chance: `(d,)`, what the share of a hyperparameter without influence exceeds once in 20 times.
        n_best: how many trials were the best.
    """

    share: Floats
    low: Floats
    high: Floats
    chance: Floats
    n_best: int


def ped_anova(
    axes: Sequence[Axis], points: Floats, places: Floats, rng: np.random.Generator, n_bad: int = 0
) -> PedAnova | None:
    """The importance of each axis; None of fewer than ten trials, or where nothing differs.

    Args:
        points: `(n, d)`; NaN where a trial doesn't have the hyperparameter.
        places: `(n,)`, how good each trial is, lower is better.
        n_bad: so many of the worst are never among the best.
    """
    n, by_place = len(points), np.argsort(places, kind="stable")
    points, places = points[by_place], places[by_place]
    n_best = min(max(math.ceil(BEST_SHARE * n), LEAST_BEST), n - n_bad)
    if n < LEAST_TRIALS or n_best < LEAST_BEST or n_best == n or not len(axes):
        return None
    first = np.flatnonzero(np.diff(places, prepend=-np.inf))  # of each group of equally good trials
    counts = np.ones((1, n))
    resampled = rng.multinomial(n, np.full(n, 1 / n), size=RESAMPLES).astype(float)
    drawn = np.zeros((RESAMPLES, n))
    drawn[np.arange(RESAMPLES)[:, None], rng.random((RESAMPLES, n)).argpartition(n_best, axis=1)[:, :n_best]] = 1.0
    found, spread, chance = [], [], []
    for axis, column in zip(axes, points.T, strict=True):
        kernels = _kernels(axis, column, n_best)
        found.append(_divergence(kernels, _best(counts, first, n_best), counts)[0])
        spread.append(_divergence(kernels, _best(resampled, first, n_best), resampled))
        chance.append(np.quantile(_divergence(kernels, drawn, np.ones_like(drawn)), 0.95))
    total = sum(found)
    if not total > 1e-9:
        return None
    each = np.array(spread) / np.maximum(np.sum(spread, axis=0), 1e-300)
    low, high = np.quantile(each, [0.05, 0.95], axis=1)
    return PedAnova(np.array(found) / total, low, high, np.array(chance) / total, n_best)


def pearson_divergence(p: Floats, q: Floats) -> Floats:
    """`(b,)`: D of densities `(b, g)` that each sum to 1 over g cells; cells without q count as empty."""
    ratio = np.divide(p, q, out=np.ones_like(p), where=q > 0)
    divergence: Floats = (q * (ratio - 1) ** 2).sum(axis=1)
    return divergence


def _best(counts: Floats, first: npt.NDArray[np.intp], n_best: int) -> Floats:
    """`(b, n)`: how often each trial is among the best `n_best`, where trials are there `counts` (b, n) times.

    Args:
        first: `(g,)`, where each group of equally good trials begins.
    """
    sizes = np.add.reduceat(counts, first, axis=1)
    taken = np.clip(n_best - (np.cumsum(sizes, axis=1) - sizes), 0.0, sizes)
    share = np.divide(taken, sizes, out=np.zeros_like(taken), where=sizes > 0)
    best: Floats = counts * np.repeat(share, np.diff(np.append(first, counts.shape[1])), axis=1)
    return best


def _divergence(kernels: Floats, best: Floats, everything: Floats) -> Floats:
    """`(b,)`: D, times the share of the best that have the hyperparameter; 0 where fewer than two have it."""
    active = kernels.any(axis=1)
    n_best, n_all = best @ active, everything @ active
    p = best @ kernels / np.maximum(n_best, 1)[:, None]
    q = everything @ kernels / np.maximum(n_all, 1)[:, None]
    share = n_best / best.sum(axis=1)
    divergence: Floats = np.where(n_best >= 2, share * pearson_divergence(p, q), 0.0)
    return divergence


def _kernels(axis: Axis, column: Floats, n_best: int) -> Floats:
    """`(n, g)`: each trial's own density over the cells of the axis; zeros where it doesn't have it."""
    active = np.isfinite(column)
    if axis.values and not axis.is_ordered:
        cells = np.floor(np.where(active, column, 0.0) * len(axis.values)).astype(int)
        kernels = np.eye(len(axis.values))[np.clip(cells, 0, len(axis.values) - 1)]
    else:
        grid = (np.arange(GRID) + 0.5) / GRID
        here = np.where(active, column, 0.5)
        width = _bandwidth(column[active], n_best)
        kernels = np.exp(-(((grid - here[:, None]) / width) ** 2) / 2)
        kernels /= kernels.sum(axis=1, keepdims=True)
    own: Floats = kernels * active[:, None]
    return own


def _bandwidth(values: Floats, n_best: int) -> float:
    """Scott's rule for so many values (1992): 1.06 · min(s, IQR / 1.34) · n^(-1/5), at least a cell of the grid."""
    if not len(values):
        return 1.0
    quarter, three_quarters = np.quantile(values, [0.25, 0.75])
    spread = min(values.std(), (three_quarters - quarter) / 1.34) or values.std()
    return float(max(1.06 * spread * n_best ** (-1 / 5), 1 / GRID))
