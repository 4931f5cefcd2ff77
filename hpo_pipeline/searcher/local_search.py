"""The points of a space where a model expects most: uniform and local candidates, then the best of them refined.

No gradients, so that categorical, finite and conditional dimensions are searched as continuous ones are.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from hpo_pipeline.space.unit_cube import UnitCube

Array = npt.NDArray[np.float64]

Utility = Callable[[Array], Array]
"""Canonical points `(m, dim)` -> what each is worth `(m,)`; more is better."""

_N_REFINED = 5
"""How many of the candidates are refined."""
_STEPS = (0.05, 0.02, 0.007, 0.002, 0.0007)
"""Standard deviations of the refinements, in units of the cube."""


def highest(cube: UnitCube, utility: Utility, near: Array, n: int, rng: np.random.Generator) -> Array:
    """Canonical points `(m, dim)` that the constraints allow, the one of the highest utility first.

    There are about `n` candidates; at each step of refinement n / 64 points around each of the best ones are tried, at
    least 8.

    Args:
        near: `(k, dim)`, at least one: half of the candidates lie around them, the others are uniform.
    """
    parents = near[rng.integers(len(near), size=n // 2)]
    sizes = 0.1 * np.exp(0.7 * rng.standard_normal((len(parents), 1)))
    points = np.concatenate([cube.uniform(rng, n - n // 2), perturbed(cube, parents, sizes, rng)])
    values = _of_allowed(cube, utility, points)
    order = np.argsort(-values, kind="stable")
    points, values = points[order], values[order]
    n_near = max(8, n // 64)
    for step in _STEPS:
        around = perturbed(cube, np.repeat(points[:_N_REFINED], n_near, axis=0), step, rng)
        _take_better(points, values, around, _of_allowed(cube, utility, around), n_near)
    order = np.argsort(-values, kind="stable")
    return points[order[np.isfinite(values[order])]]


def _of_allowed(cube: UnitCube, utility: Utility, points: Array) -> Array:
    """The utilities `(m,)`, of forbidden points -inf."""
    if not cube.space.constraints:
        return utility(points)
    allowed = np.array([cube.allows(point) for point in points])
    values = np.full(len(points), -np.inf)
    if allowed.any():
        values[allowed] = utility(points[allowed])
    return values


def _take_better(points: Array, values: Array, around: Array, found: Array, n_near: int) -> None:
    """Puts the best of each first point's `n_near` neighbours in its place, if it is better."""
    n_refined = len(around) // n_near
    best = found.reshape(n_refined, n_near).argmax(axis=1) + np.arange(n_refined) * n_near
    better = np.flatnonzero(found[best] > values[:n_refined])
    points[better], values[better] = around[best[better]], found[best[better]]


def perturbed(cube: UnitCube, parents: Array, size: Array | float, rng: np.random.Generator) -> Array:
    """Canonical neighbours `(m, dim)` of `parents` `(m, dim)`.

    Each coordinate changes with probability max(0.3, 2/d), one at least: a number by a normal step of standard
    deviation `size` (or the width of a cell, where that is more), reflected at the bounds; a category, and what is
    inactive in the parent, by a uniform draw.
    """
    m, d = parents.shape
    changed = rng.random((m, d)) < max(0.3, 2 / d)
    changed[np.arange(m), rng.integers(d, size=m)] = True
    least = np.array([0.0 if cells is None else 1 / len(cells.centres) for cells in cube.cells])
    moved = np.abs(parents + np.maximum(size, least) * rng.standard_normal((m, d)))
    moved = 1 - np.abs(1 - moved % 2)
    anew = cube.categorical | ~cube.active(parents)
    moved = np.where(anew, rng.random((m, d)), moved)
    return cube.canonical(np.where(changed | ~cube.active(parents), moved, parents))
