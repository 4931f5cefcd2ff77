"""How good trials are over two hyperparameters: a local mean, whose width is what predicts left-out trials best.

Nadaraya-Watson regression (1964) with a Gaussian kernel; the width of each axis is chosen by leave-one-out
cross-validation (Härdle & Marron 1985). What other hyperparameters do is noise here, which the mean takes out.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

CELLS = 50
WIDTHS = (2.0, 0.5, 0.25, 0.12, 0.06, 0.03)
"""Of equally good ones the widest is taken."""
LEAST_TRIALS = 15
MOST_TRIALS = 400
ENOUGH = 0.5
"""The weight of trials nearby below which a cell is left empty."""
_SAME_CHOICE = 1e-3


@dataclass(frozen=True)
class Surface:
    """A local mean.

    Attributes:
        x, y: the cells' centres, `(c,)` and `(r,)`.
        mean: `(r, c)`; NaN where no trials are near.
        explained: the share of the variance that it explains of trials that it hasn't seen (leave one out); at most 0
            where it knows no more than the mean of all.
    """

    x: Floats
    y: Floats
    mean: Floats
    explained: float


def surface(
    points: Floats, targets: Floats, x: Floats | None = None, y: Floats | None = None, most: int = MOST_TRIALS
) -> Surface | None:
    """The mean of `targets` (n,) over `points` (n, 2) in the unit square; None of fewer than 15 that have both.

    Args:
        x, y: the cells' centres of an axis that lists its values: between those there is nothing. None: of a number.
        most: trials; of more, so many are taken, evenly over the order that they have.
    """
    there = np.flatnonzero(np.isfinite(points).all(axis=1))
    if len(there) < LEAST_TRIALS or np.ptp(targets[there]) == 0:
        return None
    if len(there) > most:
        there = there[np.linspace(0, len(there) - 1, most).round().astype(int)]
    points, targets = points[there], targets[there]
    ways = [WIDTHS if cells is None else (2.0, _SAME_CHOICE) for cells in (x, y)]
    squares = [(points[:, d][:, None] - points[:, d]) ** 2 for d in (0, 1)]
    best, width = np.inf, (1.0, 1.0)
    for one in itertools.product(*ways):
        weights = np.exp(-squares[0] / (2 * one[0] ** 2) - squares[1] / (2 * one[1] ** 2))
        np.fill_diagonal(weights, 0.0)
        total = weights.sum(axis=1)
        predicted = np.where(total > 1e-9, weights @ targets / np.maximum(total, 1e-9), targets.mean())
        if (error := float(np.mean((predicted - targets) ** 2))) < best - 1e-6 * targets.var():
            best, width = error, (one[0], one[1])
    x = (np.arange(CELLS) + 0.5) / CELLS if x is None else x
    y = (np.arange(CELLS) + 0.5) / CELLS if y is None else y
    near = [np.exp(-((cells[:, None] - points[:, d]) ** 2) / (2 * width[d] ** 2)) for d, cells in enumerate((x, y))]
    total = near[1] @ near[0].T
    mean = (near[1] * targets) @ near[0].T / np.maximum(total, 1e-300)
    return Surface(x, y, np.where(total >= ENOUGH, mean, np.nan), 1 - best / float(targets.var()))
