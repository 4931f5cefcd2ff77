"""Recorded curves between the recorded points: a smooth function of configuration and resource.

A ridge regression on the features of a radial kernel (Nyström's approximation, Williams & Seeger 2001): for the point x
of the unit cube and the resource r, f(x, r) = w · φ(x, log(r) / log(R)). The kernel's width and the penalty are those
that predict every fifth row best from the others. What isn't finite is left out, and nothing is predicted outside of
what was recorded of a metric. Equal recordings give equal functions.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from hpo_pipeline.objective.recording import Floats

_GAMMAS = (0.1, 0.5, 2.0)
_PENALTIES = (1e-3, 1e-1)
_MOST_POINTS = 20_000
"""To learn from, evenly over all: the time grows with them."""
_N_FEATURES = 200
_HELD_OUT = 5


class CurveSurrogate:
    """One metric's.

    Args:
        points: the rows, `(n, d)`.
        curves: `(n, R)`; NaN where nothing was recorded.
    """

    def __init__(self, points: Floats, curves: Floats) -> None:
        self._scale = max(1.0, float(np.log(curves.shape[1])))
        finite = np.isfinite(curves)
        rows, columns = np.nonzero(finite)
        kept = np.unique(np.linspace(0, len(rows) - 1, min(len(rows), _MOST_POINTS)).round().astype(int))
        rows, columns = rows[kept], columns[kept]
        values = curves[rows, columns]
        self._model: Any = None
        self._low, self._high = (float(values.min()), float(values.max())) if len(values) else (np.nan, np.nan)
        if len(values) and self._low < self._high:
            inputs = np.hstack([points[rows], self._resource(columns + 1)[:, None]])
            self._mean, self._deviation = float(values.mean()), float(values.std())
            self._fit(inputs, (values - self._mean) / self._deviation, rows)

    def _resource(self, resource: Any) -> Floats:
        found: Floats = np.log(resource) / self._scale
        return found

    def _fit(self, inputs: Floats, values: Floats, rows: Any) -> None:
        held = rows % _HELD_OUT == _HELD_OUT - 1
        chosen = (_GAMMAS[1], _PENALTIES[0])
        if held.any() and not held.all():

            def error(settings: tuple[float, float]) -> float:
                predicted = (
                    _regression(*settings, int((~held).sum())).fit(inputs[~held], values[~held]).predict(inputs[held])
                )
                return float(np.abs(predicted - values[held]).mean())

            chosen = min(itertools.product(_GAMMAS, _PENALTIES), key=error)
        self._model = _regression(*chosen, len(values)).fit(inputs, values)

    def curve(self, point: Floats, longest: int) -> Floats:
        """The metric `(longest,)` after 1 to `longest` units at a point `(d,)`."""
        if self._model is None:
            return np.full(longest, self._low)
        inputs = np.hstack([np.tile(point, (longest, 1)), self._resource(np.arange(1, longest + 1))[:, None]])
        predicted = self._model.predict(inputs) * self._deviation + self._mean
        within: Floats = np.clip(predicted, self._low, self._high)
        return within


def _regression(gamma: float, penalty: float, n: int) -> Any:
    from sklearn.kernel_approximation import Nystroem
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline

    features = Nystroem(gamma=gamma, n_components=min(_N_FEATURES, n), random_state=0)
    return make_pipeline(features, Ridge(alpha=penalty))
