"""One picture of a study: the best value so far, and all learning curves with their fate.

Of several metrics it is the front and its hypervolume (front_plot.py).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hpo_pipeline.atomic import replacing
from hpo_pipeline.report.front_plot import draw_front, draw_hypervolume
from hpo_pipeline.report.text import counts, metric_text
from hpo_pipeline.trial import State
from hpo_pipeline.view import StudyView, TrialView

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = NDArray[np.float64]

# Okabe and Ito's palette: told apart with any colour vision. Drawn in this order, the later above the earlier.
FATES = {
    State.STOPPED: ("stopped", "#E69F00"),
    State.PAUSED: ("paused", "#56B4E9"),
    State.COMPLETED: ("completed", "#0072B2"),
    State.INTERRUPTED: ("interrupted", "#999999"),
    State.RUNNING: ("running", "#009E73"),
    State.FAILED: ("failed", "#D55E00"),
}
BEST = "#000000"
MAX_RUNGS = 12
# Below the axes: within them there is no corner that is free in every study.
LEGEND: dict[str, Any] = {
    "loc": "upper left",
    "bbox_to_anchor": (0, -0.13),
    "ncols": 4,
    "fontsize": "small",
    "frameon": False,
    "columnspacing": 1.4,
    "handlelength": 1.6,
}
DPI = 150


def study_picture(view: StudyView, path: Path, unit: str, subtitle: str = "") -> Path | None:
    """Writes the picture as a PNG.

    Args:
        unit: what one unit of resource is called ("epoch").
        subtitle: beside the study's name, e.g. scheduler and searcher.

    Returns:
        `path`, or None if there is nothing to draw yet.
    """
    figure = draw(view, unit, subtitle)
    if figure is None:
        return None
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=DPI)
    return path


def draw(view: StudyView, unit: str, subtitle: str = "") -> Figure | None:
    """The picture as a figure of its own (no pyplot: nothing global), or None if no trial has reported."""
    if not _reporting(view):
        return None
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 5), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=not view.has_front)
    title = str(view.header.get("name", "study"))
    figure.suptitle(f"{title}   {subtitle}" if subtitle else title, x=0.012, ha="left", fontweight="bold")
    if view.has_front:
        draw_front(left, view, LEGEND)
        draw_hypervolume(right, view, unit)
    else:
        draw_best_so_far(left, view, unit)
        draw_curves(right, view, unit)
        limit_values(left, view)
    for axes in (left, right):
        finish(axes)
    return figure


def finish(axes: Axes) -> None:
    """Without a frame, with faint lines across."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#eeeeee", zorder=0)


def _reporting(view: StudyView) -> list[TrialView]:
    return [trial for trial in view.trials.values() if trial.curve]


def _curve(trial: TrialView, metric: str) -> Array:
    """`(n, 2)`: resource and value; what isn't finite is NaN, which lines leave out."""
    curve = np.array([(resource, metrics.get(metric, math.nan)) for resource, metrics, _ in trial.curve], dtype=float)
    curve[~np.isfinite(curve)] = math.nan
    return curve


def draw_best_so_far(axes: Axes, view: StudyView, unit: str) -> None:
    """The best value over the total resource that was spent, and every report."""
    from matplotlib.ticker import MaxNLocator

    trials = _reporting(view)
    reports = sorted(
        (time, trial.id, resource, resource - before, metrics.get(view.metric, math.nan))
        for trial in trials
        for (before, _, _), (resource, metrics, time) in pairwise([(0, {}, 0.0), *trial.curve])
    )
    spent = np.cumsum([step for _, _, _, step, _ in reports])
    values = np.array([value for *_, value in reports], dtype=float)
    values[~np.isfinite(values)] = math.nan
    size = float(np.clip(6000 / len(reports), 1, 14))
    axes.scatter(spent, values, s=size, color="#999999", alpha=0.45, lw=0, rasterized=True)
    axes.plot([], [], color="#999999", marker=".", ls="", label="reports")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlim(left=0, right=1.02 * float(spent[-1]))
    axes.set_xlabel(f"total {unit}s spent")
    axes.set_title("best so far", loc="left", fontsize="medium")
    if view.best is None:
        return
    failed = np.array([view.trials[trial_id].state is State.FAILED for _, trial_id, *_ in reports])
    better = np.fmin if view.mode == "min" else np.fmax
    best = better.accumulate(np.where(failed, math.nan, values))
    at = np.flatnonzero(np.isfinite(best) & (np.diff(best, prepend=math.nan) != 0))
    steps = np.append(spent[at], spent[-1]), np.append(best[at], best[-1])
    axes.plot(*steps, drawstyle="steps-post", color=FATES[State.COMPLETED][1], lw=2, label="best so far")
    label = f"trial {view.best.id}: {metric_text(float(best[-1]))}"
    axes.plot(spent[at[-1]], best[-1], marker="*", ms=13, color=BEST, ls="", label=label, zorder=5)
    axes.legend(**LEGEND)


def draw_curves(axes: Axes, view: StudyView, unit: str) -> None:
    """The learning curve of each trial, coloured by its fate."""
    from matplotlib.collections import LineCollection

    trials = _reporting(view)
    curves = [_curve(trial, view.metric) for trial in trials]
    alpha = float(np.clip(8 / math.sqrt(len(trials)), 0.05, 0.8))
    found = counts(view.trials.values())
    for state, (name, colour) in FATES.items():
        if state not in found:
            continue
        marker, size = ("X", 22) if state is State.FAILED else ("o", 9)
        axes.plot([], [], color=colour, marker=marker, ms=4, label=f"{name} ({found[state]})")
        own = [curve for trial, curve in zip(trials, curves, strict=True) if trial.state is state]
        axes.add_collection(LineCollection(own, colors=colour, alpha=alpha, lw=1.1, rasterized=True))
        # A trial with one report has no line: each gets a mark at its last one.
        ends = np.array([curve[-1] for curve in own]).reshape(-1, 2)
        axes.scatter(ends[:, 0], ends[:, 1], s=size, color=colour, marker=marker, alpha=alpha, lw=0, rasterized=True)
    if view.best is not None:
        best = _curve(view.best, view.metric)
        axes.plot(*best.T, color=BEST, lw=2.2, label=f"best (trial {view.best.id})", zorder=4)
        axes.plot(*best[best[:, 0] == view.best.best_resource][0], marker="*", ms=13, color=BEST, zorder=5)
    axes.set_title("learning curves", loc="left", fontsize="medium")
    axes.set_xlabel(f"{unit}s (dotted: rungs)")
    _set_resource_axis(axes, view, trials)
    axes.legend(**LEGEND)


def _set_resource_axis(axes: Axes, view: StudyView, trials: Sequence[TrialView]) -> None:
    """Rungs as dotted lines with their resource under them; a log axis if they grow geometrically."""
    from matplotlib.ticker import MaxNLocator, NullFormatter, ScalarFormatter

    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    rungs = sorted({rung.resource for trial in trials for rung in trial.rungs})
    if len(rungs) > MAX_RUNGS:
        return
    for resource in rungs:
        axes.axvline(resource, color="#cccccc", ls=":", lw=1, zorder=0)
    if geometric(rungs):
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(ScalarFormatter())
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xticks(rungs, minor=False)
        axes.set_xticks([], minor=True)
    else:
        axes.set_xlim(left=0)


def geometric(rungs: Sequence[int]) -> bool:
    """Whether the resources of the rungs (ascending) grow by about one factor, to at least four times the first."""
    if len(rungs) < 2 or rungs[-1] < 4 * rungs[0]:
        return False
    ratios = [after / before for before, after in pairwise(rungs)]
    return max(ratios) <= 1.6 * min(ratios)


def value_limits(values: Array, first: Array, mode: str) -> tuple[float, float] | None:
    """Limits that show every good value and cut diverged ones off, wherever fewer than half of the trials diverge.

    They reach from the best value to the worst that is no further from it than four times the median trial's first.

    Args:
        values: `(n,)`, all values.
        first: `(trials,)`, those of each trial's first report; what isn't finite is left out of both.

    Returns:
        Lower and upper limit, or None if no value is finite.
    """
    values, first = values[np.isfinite(values)], first[np.isfinite(first)]
    if not values.size:
        return None
    best = values.min() if mode == "min" else values.max()
    typical = np.median(first if first.size else values)
    shown = values[np.abs(values - best) <= 4 * abs(typical - best)]
    end = shown.max() if mode == "min" else shown.min()
    margin = 0.05 * abs(end - best) or 0.05 * abs(best) or 1.0
    return float(min(best, end) - margin), float(max(best, end) + margin)


def limit_values(axes: Axes, view: StudyView) -> None:
    """Names the axis of the values, cuts off what diverged, and says so."""
    axes.set_ylabel(f"{view.metric} ({'lower' if view.mode == 'min' else 'higher'} is better)")
    curves = [_curve(trial, view.metric) for trial in _reporting(view)]
    values = np.concatenate([curve[:, 1] for curve in curves])
    limits = value_limits(values, np.array([curve[0, 1] for curve in curves]), view.mode)
    if limits is None:
        return
    axes.set_ylim(*limits)
    beyond = int(np.sum((values < limits[0]) | (values > limits[1])))
    lost = int(np.sum(np.isnan(values)))
    notes = [f"{beyond} beyond the axis"] * bool(beyond) + [f"{lost} not finite"] * bool(lost)
    axes.set_title(", ".join(notes), loc="right", fontsize="small", color="#666666")
