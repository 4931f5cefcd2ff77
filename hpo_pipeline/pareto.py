"""Several metrics: which points dominate others, the Pareto front, and the volume that it dominates.

One point dominates another if it is no worse in any score and better in one. Points are in layers: the front is the
first one, the front of what is left the second (non-dominated sorting, Goldberg 1989). Within a layer they are ordered
by what each alone adds to the volume that the layer dominates (hypervolume contribution: Beume et al. 2007,
"SMS-EMOA"). So ranked Schmucker et al. 2021, "Multi-objective Asynchronous Successive Halving", the trials of a rung,
with an epsilon-net in place of the volume.

Volumes reach to a reference point. Where nobody gives one, it lies a tenth of the range of all points beyond the worst
of them, so that the ends of a front count as well.

Scores are minimised; arrays of them are `(n, m)`. The algorithms are those of moocore (Fonseca et al. 2006; Jensen
2003). It and numpy are imported where they are needed: a study of one metric needs neither.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array = npt.NDArray[np.float64]
    Places = npt.NDArray[np.intp]

MARGIN = 0.1
"""How far the reference point lies beyond the worst points, in units of their range."""


def reference_of(points: Array) -> Array:
    """The reference point `(m,)` of points that nobody has given one for."""
    import numpy as np

    worst = points.max(axis=0)
    with np.errstate(over="ignore"):
        span = worst - points.min(axis=0)
    span = np.where(span > 0, span, np.abs(worst))
    answer: Array = np.minimum(worst + MARGIN * np.where(span > 0, span, 1.0), np.finfo(float).max)
    return answer


def hypervolume(points: Array, reference: Array) -> float:
    """The volume that `points` dominate, up to the reference point; what lies beyond that adds nothing."""
    import moocore

    return float(moocore.hypervolume(points, ref=reference)) if len(points) else 0.0


def layers(points: Array) -> Places:
    """The layer `(n,)` of each point, from 0; equal points share one."""
    import moocore
    import numpy as np

    return np.asarray(moocore.pareto_rank(points), dtype=np.intp)


def contributions(points: Array, reference: Array) -> Array:
    """What each of the points of one layer alone adds to its hypervolume; of equal ones the first, the others 0."""
    import numpy as np

    unique, first = np.unique(points, axis=0, return_index=True)
    answer = np.zeros(len(points))
    answer[first] = _of_distinct(unique, reference)
    return answer


def _of_distinct(points: Array, reference: Array) -> Array:
    import moocore

    answer: Array = moocore.hv_contributions(points, ref=reference)
    return answer


def order(scores: Sequence[Sequence[float]]) -> list[int]:
    """The places of points, best first: by layer, within one by hypervolume contribution, of equal ones the earlier."""
    if len(scores) < 2:
        return list(range(len(scores)))
    import numpy as np

    points = np.array(scores, dtype=float)
    low = points.min(axis=0)
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = np.nan_to_num((points - low) / np.maximum(points.max(axis=0) - low, np.finfo(float).tiny))
    reference = np.full(points.shape[1], 1 + MARGIN)
    added = contributions if len(set(map(tuple, scores))) < len(scores) else _of_distinct
    layer = layers(points)
    by_layer = np.argsort(layer, kind="stable")
    answer: list[int] = []
    for members in np.split(by_layer, np.flatnonzero(np.diff(layer[by_layer])) + 1):
        if len(members) > 1:
            members = members[np.argsort(-added(scaled[members], reference), kind="stable")]
        answer += members.tolist()
    return answer


def dominates(first: Sequence[float], second: Sequence[float]) -> bool:
    """Whether `first` is no worse in any score, and better in one."""
    return all(a <= b for a, b in zip(first, second, strict=True)) and tuple(first) != tuple(second)
