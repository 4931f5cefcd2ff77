"""The page's main drawings as PNGs, for papers and slides: plots/rungs.png, importance.png, slices.png.

Each is left out where there is too little to draw. They are figures of their own (no pyplot: nothing global), so that
notebooks can show them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hpo_pipeline.analysis.axes import Floats
from hpo_pipeline.atomic import replacing
from hpo_pipeline.report.page.importance import importance
from hpo_pipeline.report.page.material import Material
from hpo_pipeline.report.page.rungs import rung_scatter
from hpo_pipeline.report.plot import BEST, DPI, FATES, value_limits
from hpo_pipeline.trial import State

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LEAST_TRIALS = 10
"""Of fewer there are no slices."""
_ON, _ENDED = FATES[State.COMPLETED][1], FATES[State.STOPPED][1]


def write_pictures(material: Material, folder: Path) -> list[Path]:
    """Writes the pictures into `folder`; those of an earlier session that can't be drawn any more are removed."""
    drawers: dict[str, Callable[[Material], Figure | None]] = {
        "rungs.png": draw_rungs,
        "importance.png": draw_importance,
        "slices.png": draw_slices,
    }
    written: list[Path] = []
    if folder.is_symlink():  # it may lead to anything
        return written
    for name, draw in drawers.items():
        path, figure = folder / name, draw(material)
        if figure is None:
            path.unlink(missing_ok=True)
            continue
        folder.mkdir(exist_ok=True)
        with replacing(path) as aside:
            figure.savefig(aside, format="png", dpi=DPI)
        written.append(path)
    return written


def draw_rungs(material: Material) -> Figure | None:
    """The value at each rung, a panel a bracket."""
    section = rung_scatter(material)
    if section is None:
        return None
    from matplotlib.collections import LineCollection

    panels = section.data["panels"]
    figure, axes = _panels(len(panels), 3.4)
    for panel, ax in zip(panels, axes, strict=True):
        levels = [resource for resource, _ in panel["rungs"]]
        lines = [_line(trial, points, levels) for trial, *points in panel["trials"]]
        went_on = np.concatenate([line[:-1] for line in lines])
        ended = np.array([line[-1] for line in lines])
        ax.add_collection(LineCollection(lines, colors="#8a98a5", lw=0.7, alpha=0.4, zorder=1))
        ax.scatter(ended[:, 0], ended[:, 1], s=12, color=_ENDED, lw=0, zorder=2)
        ax.scatter(went_on[:, 0], went_on[:, 1], s=12, color=_ON, lw=0, zorder=3)
        if material.rank_of[panel["trials"][0][0]] == 0:
            ax.scatter(ended[:1, 0], ended[:1, 1], s=60, marker="D", color=BEST, lw=0, zorder=4)
        ax.set_xticks(range(len(levels)), [f"{resource}\n({count})" for resource, count in panel["rungs"]])
        ax.set_xlabel(f"{material.unit} (trials)")
        ax.set_title(f"bracket {panel['bracket']}" if len(panels) > 1 else "values at each rung", loc="left")
    _label_values(axes, material, len(panels))
    return figure


def _line(trial: int, points: list[float | None], levels: list[int]) -> Floats:
    """`(k, 2)`: a trial's values at its rungs, beside each other as on the page."""
    shift = (((trial + 1) * 2654435761) % 1000 / 1000 - 0.5) * 0.3
    x = [levels.index(int(resource or 0)) + shift for resource in points[::2]]
    return np.array([x, [math.nan if value is None else value for value in points[1::2]]], dtype=float).T


def draw_importance(material: Material) -> Figure | None:
    """PED-ANOVA and permutation importance, those that there are."""
    section = importance(material)
    if section is None or not section.data:
        return None
    from matplotlib.figure import Figure

    names: list[str] = section.data["names"]
    ped, forest = section.data.get("ped"), section.data.get("forest")
    n, methods = len(names), [each for each in (ped, forest) if each]
    figure = Figure(figsize=(5.2 * len(methods) + 1.5, 1.3 + 0.34 * n), layout="constrained")
    panels = np.atleast_1d(figure.subplots(1, len(methods), sharey=True))
    rows = np.arange(n)
    for rowed, ax in zip(methods, panels, strict=True):
        values = np.array(rowed, dtype=float)
        ax.axvline(0, color="#9aa7b2", lw=0.8)
        if rowed is ped:
            share, low, high, chance = values.T
            ax.barh(rows, share, color=_ON)
            ax.hlines(rows, low, high, color="#1b2733", lw=1.2)
            ax.vlines(chance, rows - 0.38, rows + 0.38, color="#7b8893", lw=2.5)
            ax.set_xlim(0, min(1.2, 1.05 * max(high.max(), chance.max())))
            ax.set_title("PED-ANOVA", loc="left")
            ax.set_xlabel("share of the importance (grey: chance)")
        else:
            mean, error = values.T
            ax.barh(rows, mean, color="#009E73")
            ax.hlines(rows, mean - 2 * error, mean + 2 * error, color="#1b2733", lw=1.2)
            ax.set_title("permutation importance of a forest", loc="left")
            ax.set_xlabel("increase of the squared error / variance")
        ax.spines[["top", "right"]].set_visible(False)
    panels[0].set_yticks(rows, [_plain(name) for name in names])
    panels[0].invert_yaxis()
    return figure


def draw_slices(material: Material) -> Figure | None:
    """The best value of each trial over each hyperparameter."""
    trials = [trial for trial in material.ranking if trial.is_usable and trial.repeats is None]
    if len(trials) < LEAST_TRIALS or not material.drawn_axes:
        return None
    figure, axes = _panels(len(material.drawn_axes), 2.6)
    values = np.array([trial.best(material.view.metric) for trial in trials], dtype=float)
    trained = np.log([max(trial.resource, 1) for trial in trials])
    rows = slice(None, None, -1)  # the best above the others
    for axis, ax in zip(material.drawn_axes, axes, strict=True):
        configs = [trial.best_config for trial in trials]
        x = np.array([axis.position(c[axis.path]) if axis.path in c else math.nan for c in configs])
        ax.scatter(x[rows], values[rows], c=trained[rows], s=14, cmap="Blues", vmin=trained.min() - 0.8, lw=0)
        ax.scatter(x[:1], values[:1], s=50, marker="D", color="#D55E00", lw=0)
        ticks = axis.ticks
        ax.set_xticks([u for u, _ in ticks], [_plain(text) for _, text in ticks], fontsize="small")
        ax.set_xlim(-0.03, 1.03)
        ax.set_xlabel(_plain(material.names[axis.path]))
    _label_values(axes, material, len(material.drawn_axes))
    axes[0].set_ylim(*(value_limits(values, values, material.view.mode) or (None, None)))
    return figure


def _panels(n: int, height: float) -> tuple[Figure, list[Axes]]:
    """A figure with n panels, three a row, which share their values."""
    from matplotlib.figure import Figure

    columns, rows = min(n, 3), -(-n // 3)
    figure = Figure(figsize=(3.7 * columns + 0.8, height * rows), layout="constrained")
    axes = figure.subplots(rows, columns, sharey=True, squeeze=False).ravel().tolist()
    for ax in axes[n:]:
        ax.remove()
    for ax in axes[:n]:
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(axis="y", color="#eeeeee", zorder=0)
    return figure, axes[:n]


def _label_values(axes: list[Axes], material: Material, n: int) -> None:
    if material.limits is not None:
        axes[0].set_ylim(*material.limits)
    for k in range(0, n, 3):
        axes[k].set_ylabel(_plain(material.view.metric))


def _plain(text: str) -> str:
    """Text as it is: matplotlib would read what stands between dollar signs as a formula."""
    return text.replace("$", r"\$")
