"""Permutation importance of a forest: how much worse it predicts when one hyperparameter's values are shuffled.

Breiman 2001, "Random Forests", section 10. The forest is one of extremely randomised trees (searcher/extra_tree.py);
what it predicts is a trial's place among all trials, so that neither units nor diverged values matter.

    importance of d = (mean squared error with d shuffled - that without) / variance of the places

It is 0 of what the forest doesn't use, and of the only one that matters up to twice the share of the variance that is
explained. A conditional hyperparameter is shuffled among the trials that have it; each value of a choice is a column.

How sure: trees are grown on a random half of the trials and asked about the other half, again and again. The deviation
of these answers is the delete-half jackknife's standard error (Shao & Wu 1989; of forests Ishwaran & Lu 2019).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hpo_pipeline.analysis.axes import Axis
from hpo_pipeline.searcher.extra_tree import lowest_leaves

Floats = npt.NDArray[np.float64]

LEAST_TRIALS = 20
HALVES = 10
TREES = 4
"""Of each half."""
MOST_TRAINED, MOST_ASKED = 250, 150
"""Trials, of each half: an importance needs no more, and time grows with them."""


@dataclass(frozen=True)
class PermutationImportance:
    """The importance of each axis.

    Attributes:
        mean, error: `(d,)`, with its standard error.
        explained: the share of the variance of the places of unseen trials that the forest explains (R²); may be
            negative: then it predicts worse than their mean.
    """

    mean: Floats
    error: Floats
    explained: float


def permutation_importance(
    axes: Sequence[Axis], points: Floats, places: Floats, rng: np.random.Generator
) -> PermutationImportance | None:
    """The importance of each axis; None of fewer than twenty trials, or where all places are equal.

    Args:
        points: `(n, d)`; NaN where a trial doesn't have the hyperparameter.
        places: `(n,)`, what is predicted.
    """
    n, n_axes = points.shape
    if n < LEAST_TRIALS or not n_axes or np.ptp(places) == 0:
        return None
    found, explained = [], []
    for _ in range(HALVES):
        order = rng.permutation(n)
        trained, asked = order[: n // 2][:MOST_TRAINED], order[n // 2 :][:MOST_ASKED]
        variance = places[asked].var()
        if np.ptp(places[trained]) == 0 or variance == 0:
            continue
        questions = [points[asked], *(_shuffled(points[asked], d, rng) for d in range(n_axes))]
        inputs = np.concatenate([features(axes, question) for question in questions])
        answers = predict(features(axes, points[trained]), places[trained], inputs, TREES, rng)
        errors = ((answers.reshape(n_axes + 1, -1) - places[asked]) ** 2).mean(axis=1) / variance
        found.append(errors[1:] - errors[0])
        explained.append(1 - errors[0])
    if len(found) < 2:
        return None
    return PermutationImportance(np.mean(found, axis=0), np.std(found, axis=0, ddof=1), float(np.mean(explained)))


def predict(inputs: Floats, targets: Floats, at: Floats, n_trees: int, rng: np.random.Generator) -> Floats:
    """`(m,)`: the mean over trees grown on `inputs` (n, f) and `targets` (n,), of the leaf that each of `at` is in."""
    answers = np.zeros(len(at))
    for _ in range(n_trees):
        for inside, data in lowest_leaves(inputs, targets, at, rng):
            answers[inside] += targets[data].mean()
    return answers / n_trees


def features(axes: Sequence[Axis], points: Floats) -> Floats:
    """`(n, f)`: a column a number, one for each value of a choice; the middle where there is none."""
    columns: list[Floats] = []
    for axis, column in zip(axes, points.T, strict=True):
        if axis.values and not axis.is_ordered:
            n_values = len(axis.values)
            columns.append(column[:, None] == (np.arange(n_values) + 0.5) / n_values)
        else:
            columns.append(np.where(np.isfinite(column), column, 0.5)[:, None])
    return np.concatenate(columns, axis=1).astype(float)


def _shuffled(points: Floats, d: int, rng: np.random.Generator) -> Floats:
    """The points with column d shuffled, among those that have it."""
    points = points.copy()
    active = np.flatnonzero(np.isfinite(points[:, d]))
    points[active, d] = points[rng.permutation(active), d]
    return points
