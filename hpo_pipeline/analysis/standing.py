"""All trials of a study in one order, best first, whatever resource each has come to.

Trials are sorted by their scores at the lowest rung; then, rung by rung, those that have come to the next one are
sorted by that among themselves, on the places that they hold together. So a comparison at a higher rung outweighs those
below, and no score is compared with one at another resource.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hpo_pipeline.evaluation import Metric
from hpo_pipeline.trial import State
from hpo_pipeline.trial_view import TrialView
from hpo_pipeline.view import StudyView

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Standing:
    """The order of the trials that have been evaluated.

    Attributes:
        trials: best first; further seeds of a finalist are left out.
        places: `(n,)`, the share of trials that are better, and half of the trial itself. Trials with the same score at
            each rung share the mean of theirs, and so do all bad ones.
        n_bad: how many of them, at the end, failed or had no finite value last.
    """

    trials: tuple[TrialView, ...]
    places: Floats
    n_bad: int


def standing(view: StudyView, metric: Metric | None = None) -> Standing:
    """The order by one metric, the study's first one if None. Trials that were never evaluated are left out."""
    metric = metric or view.metrics[0]
    levels = rung_resources(view)
    trials = [trial for trial in view.trials.values() if trial.repeats is None and _is_evaluated(trial, levels)]
    scores = scores_at(trials, levels, metric)
    last = np.full(len(trials), math.nan)
    order = np.arange(len(trials))
    for column in scores.T:
        there = np.flatnonzero(~np.isnan(column[order]))
        order[there] = order[there[np.argsort(column[order[there]], kind="stable")]]
        last[~np.isnan(column)] = column[~np.isnan(column)]
    failed = np.array([trial.state is State.FAILED for trial in trials], dtype=bool)
    bad = (~np.isfinite(last) | failed)[order]
    order = np.concatenate([order[~bad], order[bad]])
    n, n_bad = len(order), int(bad.sum())
    alike: dict[object, list[int]] = {}
    for place, row in enumerate(np.nan_to_num(scores[order], nan=-math.inf).tolist()):
        alike.setdefault(tuple(row) if place < n - n_bad else None, []).append(place)
    places = np.zeros(n)
    for group in alike.values():
        places[group] = (sum(group) / len(group) + 0.5) / n
    return Standing(tuple(trials[i] for i in order), places, n_bad)


def rung_resources(view: StudyView) -> list[int]:
    """The resources at which trials were compared, ascending; that of finished trials where there are no rungs."""
    found = {rung.resource for trial in view.trials.values() for rung in trial.rungs}
    return sorted(found or {trial.resource for trial in view.trials.values() if trial.curve})


def scores_at(trials: list[TrialView], resources: list[int], metric: Metric) -> Floats:
    """`(n, r)`: scores, +inf for what isn't finite, NaN where a trial hasn't come to.

    A trial that has finished early counts with its last report up to where its scheduler counts it.
    """
    scores = np.full((len(trials), len(resources)), math.nan)
    for i, trial in enumerate(trials):
        reported = {at: values for at, values, _ in trial.curve}
        for k, resource in enumerate(resources):
            values = reported.get(resource)
            if values is None and trial.curve and trial.resource < resource <= trial.counted:
                values = trial.curve[-1][1]
            if values is not None:
                scores[i, k] = metric.score(values.get(metric.name, math.nan))
    return scores


def _is_evaluated(trial: TrialView, levels: list[int]) -> bool:
    return trial.state is State.FAILED or bool(trial.rungs) or any(at in levels for at, _, _ in trial.curve)
