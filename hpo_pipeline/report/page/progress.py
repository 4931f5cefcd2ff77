"""The best value so far, and the learning curves."""

from __future__ import annotations

import math

import numpy as np

from hpo_pipeline.analysis.anytime import reports as all_reports
from hpo_pipeline.evaluation import WORST, total_violation
from hpo_pipeline.report.page.material import Material
from hpo_pipeline.report.page.section import Section, percent, short
from hpo_pipeline.report.plot import geometric
from hpo_pipeline.report.text import metric_text, over_seeds_text, plural
from hpo_pipeline.trial import State
from hpo_pipeline.trial_view import TrialView

Point = list[float | int | None]

MOST_REPORTS = 1500
TOP = 10
"""Curves in colour."""
MOST_POINTS, MOST_TOP_POINTS = 8, 200
"""Of a faint curve, besides its rungs; of one in colour."""
MOST_CURVES = 1500
"""Faint ones."""
MOST_LEVELS = 12
"""More rungs than that aren't marked."""
LATE = 0.8
"""After this share of the total resource, an improvement says that more may help."""


def best_so_far(material: Material) -> Section | None:
    """Over the time and over the total resource; None where no finite value was reported."""
    reports, best = _reports(material)
    if material.limits is None:
        return None
    data = {
        "reports": [reports[i] for i in _some(len(reports), MOST_REPORTS)],
        "best": best,
        "end": [short(material.log.seconds), material.view.total_resource],
    }
    says = (
        f"Each grey dot is one report of a trial; the line is the best {material.view.metric} that any trial had "
        f"reached by then ({material.better} is better)."
    )
    return Section("best", "Best so far", says, _how_sure(material, best), {"best": 340}, data)


def _reports(material: Material) -> tuple[list[Point], list[Point]]:
    """[seconds, total resource, value, trial] of each report; and of each that was the best until then."""
    view = material.view
    lowest = (WORST, WORST)
    reports: list[Point] = []
    best: list[Point] = []
    for one in all_reports(view, material.log):
        value = material.value(one.metrics)
        reports.append([short(one.seconds, 6), one.spent, short(value), one.trial.id])
        violation = total_violation(view.constraints, one.metrics) if view.constraints else 0.0
        score = (violation, view.metrics[0].score(value))
        counts = one.trial.state is not State.FAILED and one.trial.repeats is None and WORST not in score
        if counts and score < lowest:
            lowest = score
            best.append(reports[-1])
    return reports, best


def _how_sure(material: Material, best: list[Point]) -> str:
    view, total = material.view, material.view.total_resource
    if not best:
        return "No trial has a usable value yet."
    last = best[-1][1] or 0
    text = (
        f"The best value was last improved after {last} of {material.units(total)} "
        f"({percent(last / max(total, 1))} of what was spent)"
    )
    text += ": it was still getting better, and more may well help. " if last > LATE * total and total > 1 else ". "
    over = view.over_seeds(view.winner) if view.winner else None
    if over is not None and over.n > 1:
        return f"{text}Over seeds the winner comes to {over_seeds_text(over)}, mean ± standard error."
    if len(best) > 1:
        n = plural(len(material.log.reports), "report")
        text += f"It is the best of {n}, so a new training is likely to be a little worse. "
    return f"{text}Each value is of one training with one seed: what another seed changes was not measured."


def learning_curves(material: Material) -> Section | None:
    """The top ones in colour, the rest faint; None where no trial has two reports."""
    trials = [trial for trial in material.ranking if trial.curve]
    if material.limits is None or not any(len(trial.curve) > 1 for trial in trials):
        return None
    top = material.view.top(TOP)
    chosen = {trial.id for trial in top}
    rungs = set(material.resources) if len(material.resources) <= MOST_LEVELS else set()
    faint = [trial for trial in trials if trial.id not in chosen]
    data = {
        "top": [{"trial": trial.id, "points": _curve(material, trial, None)} for trial in top],
        "faint": [[faint[i].id, *_flat(material, faint[i], rungs)] for i in _some(len(faint), MOST_CURVES)],
        "rungs": sorted(rungs),
        "log": geometric(sorted(rungs)),
    }
    coloured = "the best trial is" if len(top) < 2 else f"the {len(top)} best trials are"
    says = (
        f"Each line is a trial's {material.view.metric} after each {material.unit}; {coloured} in colour, and a dot "
        "marks where each of the others ended."
    )
    return Section("curves", "Learning curves", says, _curves_sure(material), {"curves": 420}, data)


def _curves_sure(material: Material) -> str:
    """Whether the best trial was still getting better, what its reports jump about, and what isn't drawn."""
    view, best = material.view, material.view.winner
    if best is None:
        return f"No trial has a usable value.{_not_drawn(material)}"
    values = np.array([material.value(metrics) for _, metrics, _ in best.curve], dtype=float)
    values = values[np.isfinite(values)]
    which = f"best by {view.metric}" if view.has_front else "the best"
    text = f"Trial {best.id}, {which}, has its best value at {material.unit} {best.best_resource}"
    if len(values) < 3:
        return f"{text}; it has too few reports to say how they scatter.{_not_drawn(material)}"
    typical, score = float(np.median(np.abs(np.diff(values[-6:])))), best.best_score
    others = [t for t in view.trials.values() if t.is_usable and t.repeats is None and t is not best]
    near = sum(abs(trial.best_score - score) <= typical for trial in others)
    if best.best_resource == best.resource:
        text += ", its last one, so a longer training may improve it. "
    else:
        text += f" of {best.resource}: a longer training would hardly improve it. "
    text += f"From one {material.unit} to the next its last reports change by {metric_text(typical)}"
    within = f"; the best value of {plural(near, 'other trial')} lies within that" if near else ""
    return f"{text}{within}.{_not_drawn(material)}"


def _not_drawn(material: Material) -> str:
    """How many reports aren't on the drawing; empty of none."""
    limits = material.limits
    curves = (trial.curve for trial in material.view.trials.values())
    values = [metrics.get(material.view.metric, math.nan) for curve in curves for _, metrics, _ in curve]
    lost = sum(not math.isfinite(value) for value in values)
    beyond = sum(math.isfinite(x) and limits is not None and not limits[0] <= x <= limits[1] for x in values)
    parts = [f"{plural(beyond, 'report')} beyond the axis"] * bool(beyond) + [f"{lost} not finite"] * bool(lost)
    return f" Not drawn: {' and '.join(parts)}." if parts else ""


def _curve(material: Material, trial: TrialView, keep: set[int] | None) -> list[Point]:
    """[resource, value] of the reports: those at `keep`, the ends, and some of the others if it isn't None."""
    digits, most = (5, MOST_TOP_POINTS) if keep is None else (4, MOST_POINTS)
    some = set(_some(len(trial.curve), most))
    return [
        [resource, short(material.value(metrics), digits)]
        for i, (resource, metrics, _) in enumerate(trial.curve)
        if i in some or (keep is not None and resource in keep)
    ]


def _flat(material: Material, trial: TrialView, rungs: set[int]) -> Point:
    return [part for point in _curve(material, trial, rungs) for part in point]


def _some(n: int, most: int) -> list[int]:
    """All of n, or as many as there may be, evenly spread, with both ends."""
    return list(range(n)) if n <= most else np.unique(np.linspace(0, n - 1, most).round().astype(int)).tolist()
