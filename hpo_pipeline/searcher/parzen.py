"""Parzen estimators over a search space: mixtures of product kernels around points of the unit cube.

    p(x) = (1 + Σ_i w_i Π_d k_d(x_d | u_id)) / (1 + Σ_i w_i)

The 1 is a uniform component, so that no configuration is impossible. With σ_d the bandwidth of dimension d, k_d is

    a normal around u_id with deviation σ_d, truncated to [0, 1]           numbers
    its mass in the cell of x_d over the cell's width                      numbers with finitely many values
    (1 - σ_d) [x_d = u_id] + σ_d / C, over the width of a bin, 1 / C       C categories (Aitchison & Aitken 1976)
    1                                                                      where x_d, or u_id, doesn't exist

The last line makes p a density over conditional spaces as well: whatever the value of a parent, the dimensions that
exist with it integrate to 1.

Truncated normals are evaluated as one matrix product: with s = 1 / σ², the logarithm of Π_d k_d is
Σ_d (x_d², x_d, 1) · (-s/2, s u_id, -s u_id²/2 - log(σ_d Z_id √2π)), where Z_id is the normal's mass in [0, 1].
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from hpo_pipeline.space.unit_cube import Bools, Floats, UnitCube

Indices = npt.NDArray[np.intp]

NARROW: Final = 0.1
"""Cells of at most this many bandwidths are not integrated over: the density at the value stands for its mean."""
_SMALLEST: Final = 1e-300
"""A mass that is smaller is taken for this, so that it has a logarithm."""


class ParzenEstimator:
    """A mixture around points that are added; which of them count, and how much, is said at each call.

    Args:
        bandwidths: `(dim,)` of each dimension: a standard deviation in the unit interval, of categories the
            probability of leaving the point's own for one of all, drawn uniformly.
    """

    def __init__(self, cube: UnitCube, bandwidths: Floats) -> None:
        self.bandwidths = bandwidths
        self._cube = cube
        self._finite = [d for d in range(cube.dim) if self._is_integrated(d)]
        self._normal = np.array([d for d in range(cube.dim) if d not in self._finite], dtype=int)
        self._points = np.empty((0, cube.dim))
        self._active = np.empty((0, cube.dim), dtype=bool)
        self._factors = np.empty((0, 3 * len(self._normal)))
        self._values = np.empty((0, len(self._finite)), dtype=np.intp)

    def _is_integrated(self, d: int) -> bool:
        cells = self._cube.cells[d]
        if cells is None or self._cube.categorical[d]:
            return cells is not None
        return bool(np.max(np.diff(cells.edges)) > NARROW * self.bandwidths[d])

    def __len__(self) -> int:
        return len(self._points)

    def add(self, points: Floats) -> None:
        """Further centres `(m, dim)`, canonical points of the cube."""
        active = self._cube.active(points)
        self._points = np.concatenate([self._points, points])
        self._active = np.concatenate([self._active, active])
        self._factors = np.concatenate([self._factors, self._normal_factors(points, active)])
        self._values = np.concatenate([self._values, self._value_indices(points, active)])

    def _normal_factors(self, points: Floats, active: Bools) -> Floats:
        """`(m, 3 * n_normal)`: a row's product with (x², x, 1) is the logarithm of its truncated normals at x."""
        u, sigma = points[:, self._normal], self.bandwidths[self._normal]
        s = 1 / sigma**2
        constant = -s * u**2 / 2 - np.log(sigma * math.sqrt(2 * math.pi) * _mass(0.0, 1.0, u, sigma))
        factors = np.stack([np.broadcast_to(-s / 2, u.shape), s * u, constant])
        return np.concatenate(list(factors * active[:, self._normal]), axis=1)

    def _value_indices(self, points: Floats, active: Bools) -> Indices:
        """`(m, n_finite)`: which value each coordinate is; -1, the last column of a table, where it doesn't exist."""
        indices = np.full((len(points), len(self._finite)), -1, dtype=np.intp)
        for column, d in enumerate(self._finite):
            cells = self._cube.cells[d]
            assert cells is not None
            indices[:, column] = np.where(active[:, d], cells.index(points[:, d]), -1)
        return indices

    def log_density(self, at: Floats, weights: Floats) -> Floats:
        """log p `(m,)` at canonical points `(m, dim)`, with the weights `(n,)` of the centres."""
        active = self._cube.active(at)
        x, exists = at[:, self._normal], active[:, self._normal]
        log_kernels = np.concatenate([x**2 * exists, x * exists, exists], axis=1) @ self._factors.T
        for column, values in enumerate(self._value_indices(at, active).T):
            log_kernels += self._log_table(self._finite[column], values).take(self._values[:, column], axis=1)
        most = np.maximum(np.max(log_kernels, axis=1, initial=0.0), 0.0)
        log_kernels -= most[:, None]
        np.exp(log_kernels, out=log_kernels)
        total: Floats = np.log(np.exp(-most) + log_kernels @ weights) + most - math.log1p(np.sum(weights))
        return total

    def _log_table(self, d: int, values: Indices) -> Floats:
        """`(m, C + 1)`: log k_d at `values` (m,), around each of the C values; the last column is 0."""
        cells = self._cube.cells[d]
        assert cells is not None
        edges, sigma, n_values = cells.edges, self.bandwidths[d], len(cells.centres)
        if self._cube.categorical[d]:
            masses = np.where(values[:, None] == np.arange(n_values), 1 - sigma + sigma / n_values, sigma / n_values)
        else:
            low, high = edges[values][:, None], edges[values + 1][:, None]
            masses = _mass(low, high, cells.centres, sigma) / _mass(0.0, 1.0, cells.centres, sigma)
        log_densities = np.log(np.maximum(masses, _SMALLEST) / np.maximum(np.diff(edges)[values], _SMALLEST)[:, None])
        table = np.zeros((len(values), n_values + 1))
        table[:, :-1] = log_densities * (values >= 0)[:, None]
        return table

    def sample(self, rng: np.random.Generator, m: int, weights: Floats) -> tuple[Floats, Indices]:
        """`(m, dim)` canonical points that follow p, and the centre `(m,)` of each: n is the uniform component."""
        u = rng.random((m, self._cube.dim))
        cumulated = np.cumsum(np.append(weights, 1.0))
        drawn = np.searchsorted(cumulated, rng.random(m) * cumulated[-1], "right")
        near = np.nonzero(drawn < len(weights))[0]  # the others are of the uniform component
        centres, exists = self._points[drawn[near]], self._active[drawn[near]]
        is_number = ~self._cube.categorical
        moved = u[near]
        moved[:, is_number] = _truncated(u[near][:, is_number], centres[:, is_number], self.bandwidths[is_number])
        leaves = rng.random(moved.shape) < self.bandwidths
        moved[:, ~is_number] = np.where(leaves, u[near], centres)[:, ~is_number]
        u[near] = np.where(exists, moved, u[near])
        return self._cube.canonical(u), drawn


def _mass(low: Floats | float, high: Floats | float, mean: Floats, sigma: Floats | float) -> Floats:
    """Of normals between `low` and `high`; exact in both tails, because the upper one is turned into a lower one."""
    from scipy.special import ndtr

    a, b = (low - mean) / sigma, (high - mean) / sigma
    is_upper = a + b > 0
    mass: Floats = ndtr(np.where(is_upper, -a, b)) - ndtr(np.where(is_upper, -b, a))
    return mass


def _truncated(u: Floats, mean: Floats, sigma: Floats) -> Floats:
    """What uniform numbers `u` are of normals that are truncated to [0, 1]: their quantiles."""
    from scipy.special import ndtr, ndtri

    below, above = ndtr(-mean / sigma), ndtr((1 - mean) / sigma)
    quantile: Floats = np.clip(mean + sigma * ndtri(below + u * (above - below)), 0.0, 1.0)
    return quantile
