"""Scores as a model's targets: about of unit variance, and no outlier however a trial diverged. Lower is better."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def normal_scores(scores: Array) -> Array:
    """Φ⁻¹((rank + ½) / n), of equal scores that of their mean rank: all that matters is the order."""
    from scipy.special import ndtri
    from scipy.stats import rankdata

    answer: Array = ndtri((rankdata(scores) - 0.5) / len(scores))
    return answer


def of_places(n: int, n_bad: int) -> Array:
    """`(n,)` normal quantiles of the places 0 to n - 1, best first; the `n_bad` last ones share their mean."""
    from scipy.special import ndtri

    targets: Array = ndtri((np.arange(n) + 0.5) / n)
    if n_bad:
        targets[-n_bad:] = targets[-n_bad:].mean()
    return targets


def thinned(n: int, m: int) -> npt.NDArray[np.intp]:
    """At most `m` of the places 0 to n - 1, evenly: of trials in the order of time, what they all look like."""
    return np.arange(n) if n <= m else np.linspace(0, n - 1, m).round().astype(np.intp)


def half_warped(scores: Array) -> Array:
    """Normal scores above the median; below it, distances from it in units of their root mean square.

    So the shape of the good half is kept: the half-rank warping of Song et al. 2024, "The Vizier Gaussian Process
    Bandit Algorithm".
    """
    answer = normal_scores(scores)
    with np.errstate(over="ignore", invalid="ignore"):
        median = np.median(scores)
        spread = median - scores.min()
    below = scores < median
    if below.any() and np.isfinite(spread):
        drops = (scores[below] - median) / spread  # of any size, and its square neither 0 nor inf
        answer[below] = drops / np.sqrt(np.mean(drops**2))
    return answer


def by_resource(rows: npt.NDArray[np.intp], resources: npt.NDArray[np.intp], scores: Array) -> Array:
    """One scale `(n,)` for evaluations at several resources: the normal score of a trial's place among all trials.

    Trials are put in order by their scores at the lowest resource. Those that were evaluated at the next one keep the
    places that they hold together, and take them in the order of their scores there; and so on upwards. So no two
    scores at different resources are compared, and a promoted trial, one of the best, isn't ranked among promoted ones
    alone. One that begins at a higher resource takes a place between those that it lies between there.

    Args:
        rows: `(n,)`, the trial of each evaluation; at a resource each trial once.
        resources, scores: `(n,)`; scores that aren't finite have the last places, wherever they came about.
    """
    from scipy.special import ndtri

    places = np.full(rows.max(initial=-1) + 1, np.nan)
    n_trials, n_worst = len(np.unique(rows)), len(np.unique(rows[~np.isfinite(scores)]))
    end = 1 - n_worst / max(n_trials, 1)
    answer = np.full(len(scores), (1 + end) / 2)
    for resource in np.unique(resources):
        here = np.flatnonzero((resources == resource) & np.isfinite(scores))
        here = here[np.argsort(scores[here], kind="stable")]
        answer[here] = _means_of_equals(scores[here], _taken(places[rows[here]], end))
        places[rows[here]] = answer[here]
    return np.asarray(ndtri(answer))


def _taken(places: Array, end: float) -> Array:
    """New places `(m,)`, ascending: the old ones, and for those without one (NaN) evenly spread between their
    neighbours, or between 0 and `end`."""
    new = np.isnan(places)
    old = np.concatenate([[0.0], np.sort(places[~new]), [end]])
    answer = np.empty(len(places))
    answer[~new] = old[1:-1]
    gap = np.cumsum(~new)[new]
    in_gap = np.arange(len(gap)) - np.searchsorted(gap, gap)
    sizes = np.bincount(gap, minlength=len(old))[gap]
    answer[new] = old[gap] + (old[gap + 1] - old[gap]) * (in_gap + 0.5) / sizes
    return answer


def _means_of_equals(scores: Array, places: Array) -> Array:
    _, group = np.unique(scores, return_inverse=True)
    means: Array = (np.bincount(group, places) / np.bincount(group))[group]
    return means
