"""A Gaussian process over a growing list of evaluations, refitted at fixed counts of them and extended in between.

What it answers follows from the list alone, not from how often or when it was asked: fits happen at 5, 7, 9, 12, 16, …
evaluations (× 1.3), each from the hyperparameters of the one before, and what came since is added to the factor one by
one. So a resumed study, which catches up on the fits at its first suggestion, has the same model to the last digit.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from hpo_pipeline.searcher.gaussian_process import Factor, Kernel, Posterior, fitted

Array = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]

FIRST_FIT = 5
"""Evaluations: below that there is no model."""
GROWTH = 1.3
_ITERATIONS = 15
"""Of L-BFGS at a refit, at most: it begins where the one before ended."""
MOST_FITTED = 300
"""Evaluations whose likelihood is looked at: hyperparameters change little with more."""


class Surrogate:
    """Refits itself where it is due.

    Args:
        most: a refit keeps the best half and the newest half of so many evaluations; so the model never holds
            more than 1.3 times as many.
    """

    def __init__(self, kernel: Kernel, most: int) -> None:
        self._kernel = kernel
        self._most = most
        self._due = FIRST_FIT
        self._theta = kernel.prior[0]
        self._rows: Rows = np.zeros(0, dtype=np.intp)
        self._factor: Factor | None = None
        self.n_fits = 0

    def given(self, inputs: Array, targets: Array, targets_of_first: Callable[[int], Array]) -> Posterior | None:
        """The posterior of all evaluations so far; None below 5.

        Args:
            inputs: `(n, p + 1)`; the first ones are those of the call before.
            targets: `(n,)`.
            targets_of_first: the targets `(k,)` of the first k, as they were when there were no others.
        """
        n = len(inputs)
        while self._due <= n:
            self._refit(self._due, inputs, targets_of_first(self._due))
        if self._factor is None:
            return None
        for row in range(self._rows[-1] + 1, n):
            self._factor = self._factor.extended(inputs[row : row + 1])
            self._rows = np.append(self._rows, row)
        return Posterior.of(self._factor, targets[self._rows])

    def _refit(self, count: int, inputs: Array, targets: Array) -> None:
        self._rows = rows = _kept(targets, self._most)
        some = rows[np.linspace(0, len(rows) - 1, min(len(rows), MOST_FITTED)).round().astype(int)]
        self._theta = fitted(self._kernel, self._theta, inputs[some], targets[some], _ITERATIONS)
        self._factor = Factor.of(self._kernel, self._theta, inputs[rows])
        self._due = count + max(2, round((GROWTH - 1) * min(count, self._most)))
        self.n_fits += 1


def _kept(targets: Array, most: int) -> Rows:
    """The places of the best and of the newest half of `most` evaluations, ascending."""
    n = len(targets)
    if n <= most:
        return np.arange(n)
    newest = np.arange(n - most // 2, n)
    best = np.argsort(targets[: n - most // 2], kind="stable")[: most - most // 2]
    return np.concatenate([np.sort(best), newest])
