"""One extremely randomised regression tree (Geurts, Ernst & Wehenkel 2006), grown only where its lowest leaves are.

A node is split at one threshold a feature, uniform between the least and the largest value there, by the feature whose
split leaves the least variance within the two sides; a leaf is where all targets are equal. Whoever asks for the lowest
leaf needs no other one: of the open nodes the one that holds the lowest target is split next, and those that hold no
candidate are never looked at.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from hpo_pipeline.space.unit_cube import Floats

Indices = npt.NDArray[np.intp]


def lowest_leaves(
    features: Floats, targets: Floats, candidates: Floats, rng: np.random.Generator
) -> Iterator[tuple[Indices, Indices]]:
    """The leaves that hold a candidate, lowest target first: (which candidates, which data).

    Args:
        features: (n, f), of the data that the tree is grown on.
        targets: (n,)
        candidates: (m, f)
    """
    number = itertools.count()  # of two equally low nodes the older one is first
    everything = (targets.min(), next(number), np.arange(len(features)), np.arange(len(candidates)))
    nodes: list[tuple[float, int, Indices, Indices]] = [everything]
    while nodes:
        _, _, data, inside = heapq.heappop(nodes)
        split = _split(features[data], targets[data], rng)
        if split is None:
            yield inside, data
            continue
        feature, threshold = split
        below, candidate_below = features[data, feature] <= threshold, candidates[inside, feature] <= threshold
        for side, candidate_side in ((below, candidate_below), (~below, ~candidate_below)):
            if candidate_side.any():
                members = data[side]
                heapq.heappush(nodes, (targets[members].min(), next(number), members, inside[candidate_side]))


def _split(features: Floats, targets: Floats, rng: np.random.Generator) -> tuple[int, float] | None:
    """(feature, threshold) of a node; None for a leaf."""
    n = len(targets)
    if n == 1 or np.ptp(targets) == 0.0:
        return None
    low, high = features.min(axis=0), features.max(axis=0)
    thresholds = low + rng.random(features.shape[1]) * (high - low)
    below = features <= thresholds
    n_below = below.sum(axis=0)
    proper = (low < high) & (n_below < n)
    if not proper.any():
        return None
    centred = targets - targets.mean()  # so that the sums of the two sides are equal but for their sign
    # The least variance within the sides is the most between their means: sum² / n of both sides together.
    between = np.where(proper, (centred @ below) ** 2 / np.maximum(n_below * (n - n_below), 1), -1.0)
    feature = int(between.argmax())
    return feature, float(thresholds[feature])
