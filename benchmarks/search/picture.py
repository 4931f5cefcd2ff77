"""The picture of a suite: a panel for each group, a line for each method, with a 95 % confidence band."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from benchmarks.search.results import Run, in_order
from benchmarks.search.statistics import band
from benchmarks.search.suites import Suite

mpl.use("agg")

_PANEL = (5.2, 3.8)
_DASHES = ("-", "--", ":")


def draw(suite: Suite, runs: Sequence[Run], path: Path) -> None:
    """Writes a PNG file."""
    from matplotlib import pyplot

    groups = list(dict.fromkeys(run.group for run in runs))
    methods = in_order((run.method for run in runs), suite.methods)
    colors = mpl.colormaps["tab10"].colors
    styles = {m: {"color": colors[i % 10], "ls": _DASHES[i // 10]} for i, m in enumerate(suite.methods)}
    n_columns = min(3, len(groups))
    n_rows = math.ceil(len(groups) / n_columns)
    size = (_PANEL[0] * n_columns, _PANEL[1] * n_rows + 0.8)
    figure, axes = pyplot.subplots(n_rows, n_columns, figsize=size, squeeze=False, layout="constrained")
    for axis in axes.flat[len(groups) :]:
        axis.remove()
    for axis, group in zip(axes.flat, groups, strict=False):
        first = max(1, suite.budgets[0] // 10)
        shown: list[float] = []
        for method in methods:
            own = [run for run in runs if (run.group, run.method) == (group, method)]
            if own:
                units = list(own[0].scores)
                low, center, high = band([list(run.scores.values()) for run in own], suite.center)
                shown += [value for unit, value in zip(units, center, strict=True) if unit >= first]
                axis.plot(units, center, label=method, lw=2 if method == "auto" else 1.2, **styles[method])
                axis.fill_between(units, low, high, color=styles[method]["color"], alpha=0.12, lw=0)
        axis.set(title=group, xscale="log", xlabel="evaluations" if suite.name == "single" else "epochs")
        lowest, highest = np.nanmin(shown), np.nanmax(shown)
        if lowest > 0:
            axis.set(yscale="log", ylim=(0.7 * lowest, 1.2 * highest))
            axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.yaxis.set_minor_formatter(NullFormatter())
            axis.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axis.set_xlim(first, suite.budgets[-1])
        axis.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axis.grid(alpha=0.2)
    what = f"{suite.center} of the runs, band: 95 % confidence"
    figure.suptitle(f"{suite.title.partition(', by')[0]} ({what})", fontsize=11)
    handles = {line.get_label(): line for axis in figure.axes for line in axis.get_legend_handles_labels()[0]}
    ordered = in_order(handles, methods)
    figure.legend([handles[m] for m in ordered], ordered, loc="outside lower center", ncols=6, frameon=False)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
