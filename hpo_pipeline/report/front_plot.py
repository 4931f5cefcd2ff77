"""The picture of a study of several metrics: all reports with the Pareto front, and the hypervolume over time."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hpo_pipeline.evaluation import Metric, total_violation
from hpo_pipeline.report.text import plural
from hpo_pipeline.trial import State
from hpo_pipeline.view import StudyView, TrialView

if TYPE_CHECKING:
    from matplotlib.axes import Axes

REPORTS, OUTSIDE, FRONT = "#999999", "#E69F00", "#0072B2"
LOG_FROM = 30.0
"""Positive values that differ by this factor are drawn on a logarithmic axis."""


def draw_front(axes: Axes, view: StudyView, legend: dict[str, Any]) -> None:
    """Every report by the first two metrics; the front as a staircase, each member by its number."""
    second, first = view.metrics[:2]  # the first metric upwards
    inside, outside = _reports(view, True), _reports(view, False)
    for values, colour, label in ((inside, REPORTS, "reports"), (outside, OUTSIDE, "outside the constraints")):
        if len(values):
            size = float(np.clip(6000 / len(values), 2, 14))
            axes.scatter(values[:, 1], values[:, 0], s=size, color=colour, alpha=0.5, lw=0, rasterized=True)
            axes.plot([], [], color=colour, marker=".", ls="", label=label)
    points = view.front.points
    members = np.array([[m.value(s) for m, s in zip(view.metrics, p.scores, strict=True)] for p in points])
    if len(points):
        x, y = members[:, 1], members[:, 0]
        axes.plot(x, y, color=FRONT, marker="o", ms=5, ls="", label=f"front ({plural(len(points), 'member')})")
        if len(view.metrics) == 2:  # the edge of what they dominate: between two members the worse value of each metric
            axes.plot(x, y, color=FRONT, lw=1.4, drawstyle="steps-pre")
        for number in _labelled(len(points)):
            at = (x[number], y[number])
            axes.annotate(str(number + 1), at, xytext=(4, 4), textcoords="offset points", fontsize="small")
    for set_scale, values in (
        (axes.set_xscale, _column(inside, outside, 1)),
        (axes.set_yscale, _column(inside, outside, 0)),
    ):
        if len(values) and values.min() > 0 and values.max() >= LOG_FROM * values.min():
            set_scale("log")
    axes.set_xlabel(_label(first))
    axes.set_ylabel(_label(second))
    further = f", by the first two of {len(view.metrics)} metrics" if len(view.metrics) > 2 else ""
    axes.set_title(f"Pareto front{further}", loc="left", fontsize="medium")
    axes.legend(**legend)


def draw_hypervolume(axes: Axes, view: StudyView, unit: str) -> None:
    """The hypervolume after each report, up to the reference point as it is in the end."""
    from matplotlib.ticker import MaxNLocator

    reports = sorted(
        (time, trial.id, resource, resource - before, metrics)
        for trial in view.trials.values()
        for (before, resource, metrics, time) in _steps(trial)
    )
    front = view.front.anew()
    spent, volumes = [0], [0.0]
    for _, trial_id, resource, step, metrics in reports:
        spent.append(spent[-1] + step)
        is_new = view.trials[trial_id].state is not State.FAILED and front.take(trial_id, resource, metrics)
        volumes.append(front.hypervolume() if is_new else volumes[-1])
    axes.plot(spent, volumes, drawstyle="steps-post", color=FRONT, lw=2)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlim(left=0, right=1.02 * spent[-1])
    axes.set_ylim(bottom=0)
    axes.set_xlabel(f"total {unit}s spent")
    axes.set_title("hypervolume of the front", loc="left", fontsize="medium")


def _steps(trial: TrialView) -> list[tuple[int, int, dict[str, float], float]]:
    """(resource before, resource, metrics, time) of each report."""
    before = [0, *(resource for resource, _, _ in trial.curve)]
    return [(b, resource, metrics, time) for b, (resource, metrics, time) in zip(before, trial.curve, strict=False)]


def _reports(view: StudyView, feasible: bool) -> NDArray[np.float64]:
    """`(n, 2)`: the values of the first two metrics of all finite reports within the constraints, or outside."""
    first, second = (metric.name for metric in view.metrics[:2])
    values = [
        (metrics.get(first, math.nan), metrics.get(second, math.nan))
        for trial in view.trials.values()
        for _, metrics, _ in trial.curve
        if (total_violation(view.constraints, metrics) == 0) is feasible
    ]
    array = np.array(values, dtype=float).reshape(-1, 2)
    finite: NDArray[np.float64] = array[np.isfinite(array).all(axis=1)]
    return finite


def _column(inside: NDArray[np.float64], outside: NDArray[np.float64], column: int) -> NDArray[np.float64]:
    return np.concatenate([inside[:, column], outside[:, column]])


def _labelled(n: int, most: int = 12) -> list[int]:
    """Which members of n have their number beside them: some, evenly spread, where there are too many."""
    return sorted({round(i) for i in np.linspace(0, n - 1, min(n, most))})


def _label(metric: Metric) -> str:
    return f"{metric.name} ({'lower' if metric.mode == 'min' else 'higher'} is better)"
