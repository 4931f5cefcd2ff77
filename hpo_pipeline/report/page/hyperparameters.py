"""What the hyperparameters do: parallel coordinates, slices, and two at a time."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from hpo_pipeline.analysis.axes import Axis, Floats
from hpo_pipeline.analysis.surface import Surface, surface
from hpo_pipeline.report.page.material import MOST_AXES, Material
from hpo_pipeline.report.page.section import Section, listed, percent, short
from hpo_pipeline.report.plot import value_limits
from hpo_pipeline.report.text import plural

IN_PAIRS = 4
"""So many of the most important hyperparameters are drawn two at a time."""
MOST_LINES, BEST_LINES = 1200, 400
MOST_SLICED = 1200
MOST_DOTS = 400


def axes_data(material: Material) -> list[dict[str, Any]]:
    """The axes that are drawn: their names and ticks."""
    return [
        {
            "name": material.names[axis.path],
            "ticks": [[short(u, 4), text] for u, text in axis.ticks],
            "conditional": axis.is_conditional,
            "listed": len(axis.values),
        }
        for axis in material.drawn_axes
    ]


def parallel(material: Material) -> Section | None:
    """Parallel coordinates; None where nothing is tuned or nothing was reported."""
    n = material.n_usable
    if not material.axes or not n:
        return None
    says = (
        "Each line is a trial, from its hyperparameters (the most important first) to its value; drag along an axis to "
        "keep only the lines that pass there, which slices and table follow."
    )
    sure = (
        f"These are {plural(n, 'trial')} with a value, the darkest the best ones. It shows where good trials are, not "
        "why: a searcher that learns tries more where it was good before."
    )
    if material.is_changing:
        sure += " Hyperparameters changed on the way: these are those of each trial's best report."
    if (hidden := len(material.axes) - MOST_AXES) > 0:
        sure += f" The {plural(hidden, 'least important hyperparameter')} {'is' if hidden == 1 else 'are'} left out."
    if n > MOST_LINES:
        sure += f" Of the trials beyond the {BEST_LINES} best, {MOST_LINES - BEST_LINES} are drawn; a brush counts all."
    data = {"best": BEST_LINES, "most": MOST_LINES}
    return Section("parallel", "Parallel coordinates", says, sure, {"parallel": 430}, data)


def slices(material: Material) -> Section | None:
    """The value over each hyperparameter; None where nothing is tuned or nothing was reported."""
    n, shown = material.n_usable, material.drawn_axes
    if not shown or not n:
        return None
    reached = {trial.resource for trial in material.ranking if trial.is_usable}
    darker = f", the darker the more {material.unit}s the trial was trained" if len(reached) > 1 else ""
    metric = material.view.metric
    says = f"The best {metric} of each trial over each hyperparameter{darker}; the diamond is the best trial."
    sure = f"Each dot is one training, of {plural(n, 'trial')}"
    sure += "; pale ones were stopped early and would have become better: compare dots of one shade." if darker else "."
    if sparse := [material.names[axis.path] for axis in shown if axis.is_conditional]:
        sure += f" {listed(sparse)}: of the trials that have {'it' if len(sparse) == 1 else 'them'} alone."
    rows = -(-len(shown) // min(3, len(shown)))
    best = np.array([trial.best(metric) for trial in material.ranking if trial.is_usable], dtype=float)
    limits = value_limits(best, best, material.view.mode) or ()
    data = {"most": MOST_SLICED, "limits": [short(limit) for limit in limits]}
    return Section("slices", "Slices", says, sure, {"slices": 60 + 200 * rows}, data)


def pairs(material: Material) -> Section | None:
    """How good trials are over each two of the most important hyperparameters; None where none can be drawn."""
    points, places, axes = material.points, material.standing.places, material.axes
    drawn = []
    for a, b in itertools.combinations(range(min(IN_PAIRS, len(axes))), 2):
        found = surface(points[:, [a, b]], places, _cells(axes[a]), _cells(axes[b]))
        if found is not None:
            drawn.append((a, b, found))
    if not drawn:
        return None
    a, b, first = drawn[0]
    names, explained = [material.names[axis.path] for axis in axes], max(first.explained, 0.0)
    says = (
        f"How good trials are over {names[a]} and {names[b]}, or two others: a cell's colour is the place among all "
        "trials (0 % is best) that a trial there comes to on average; dots are trials, white the best tenth."
    )
    if explained < 0.1:
        sure = (
            f"It predicts next to nothing of the places of trials that it hasn't seen ({percent(explained)} of their "
            "variance): these two alone don't tell good trials from bad ones."
        )
    else:
        sure = (
            f"It predicts {percent(explained)} of the variance of the places of trials that it hasn't seen; the rest "
            "is other hyperparameters and chance. Cells without trials nearby are empty."
        )
    kept = _kept(len(points))
    data = {
        "pairs": [{"a": i, "b": k, "explained": short(found.explained, 3), **_grid(found)} for i, k, found in drawn],
        "points": [[short(u, 3) for u in points[i, :IN_PAIRS].tolist()] for i in kept],
        "ids": [material.standing.trials[i].id for i in kept],
        "best": sum(i < max(1, round(0.1 * len(points))) for i in kept),
    }
    return Section("pairs", "Two at a time", says, sure, {"pairs": 470}, data)


def _cells(axis: Axis) -> Floats | None:
    """The cells of an axis that lists its values; None of a number."""
    return (np.arange(len(axis.values)) + 0.5) / len(axis.values) if axis.values else None


def _grid(found: Surface) -> dict[str, Any]:
    """Row by row, in percent; -1 where there is nothing."""
    cells = np.where(np.isfinite(found.mean), np.round(100 * np.nan_to_num(found.mean)), -1).astype(int)
    return {"columns": len(found.x), "rows": len(found.y), "cells": cells.ravel().tolist()}


def _kept(n: int) -> list[int]:
    """The best tenth of n in their order, and some of the others, evenly spread."""
    best = min(MOST_DOTS // 2, max(1, round(0.1 * n)))
    rest = np.linspace(best, n - 1, min(MOST_DOTS - best, max(n - best, 0))).round().astype(int)
    return sorted({*range(best), *rest.tolist()})
