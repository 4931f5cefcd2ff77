"""The Pareto front of several metrics."""

from __future__ import annotations

import math
from typing import Any

from hpo_pipeline.evaluation import total_violation
from hpo_pipeline.report.front_plot import LOG_FROM
from hpo_pipeline.report.page.material import Material
from hpo_pipeline.report.page.section import Section, listed, short
from hpo_pipeline.report.text import metric_text, plural

MOST_REPORTS = 3000
MOST_MEMBERS = 20
"""In the list below the drawing."""


def front(material: Material) -> Section | None:
    """All reports by two metrics, with the front; None of one metric, or where nothing was reported."""
    view = material.view
    reports = _reports(material) if view.has_front else []
    if not reports:
        return None
    members = [
        [*(short(m.value(s)) for m, s in zip(view.metrics, p.scores, strict=True)), p.trial_id, p.resource]
        for p in view.front.points
    ]
    columns = list(zip(*(values for values, _, _, _ in reports), strict=True))
    volumes = [[spent, short(volume)] for spent, volume, _, _ in view.front_history]
    data = {
        "metrics": [[m.name, m.mode] for m in view.metrics],
        "reports": [
            [*map(short, values), trial, resource, int(inside)]
            for values, trial, resource, inside in reports[:: math.ceil(len(reports) / MOST_REPORTS)]
        ],
        "front": members,
        "log": [min(column) > 0 and max(column) >= LOG_FROM * min(column) for column in columns],
        "volume": [*volumes, [view.total_resource, short(view.front.hypervolume())]],
    }
    names = listed([metric.name for metric in view.metrics])
    first = "" if len(view.metrics) == 2 else ", drawn by the first two"
    says = (
        f"Each dot is a report by {names}{first}; the numbered ones are the front: no other report is better in one of "
        "them without being worse in another. Right: the volume that the front dominates."
    )
    extra = {
        "metrics": [str(metric) for metric in view.metrics],
        "members": [
            (p.trial_id, p.resource, [metric_text(m.value(s)) for m, s in zip(view.metrics, p.scores, strict=True)])
            for p in view.front.points[:MOST_MEMBERS]
        ],
        "more": max(0, len(view.front.points) - MOST_MEMBERS),
    }
    return Section("front", "Pareto front", says, _how_sure(material, reports), {"front": 400}, data, extra)


def _reports(material: Material) -> list[tuple[list[float], int, int, bool]]:
    """(values of the metrics, trial, resource, whether it is within the constraints) of each finite report."""
    view, found = material.view, []
    for trial in view.trials.values():
        for resource, metrics, _ in trial.curve:
            values = [metrics.get(metric.name, math.nan) for metric in view.metrics]
            if all(map(math.isfinite, values)):
                inside = not view.constraints or total_violation(view.constraints, metrics) == 0
                found.append((values, trial.id, resource, inside))
    return found


def _how_sure(material: Material, reports: list[Any]) -> str:
    view, n = material.view, len(material.view.front.points)
    outside = sum(not inside for *_, inside in reports)
    bounds = ", ".join(map(str, view.constraints))
    told = f" {plural(outside, 'report')} outside the constraints ({bounds})." if bounds else ""
    if not n:
        return f"There is no member: every report is outside the constraints.{told}"
    return (
        f"{plural(n, 'member')}, of one training each: neighbours on the front may change places with another seed. "
        f"The hypervolume came to {metric_text(view.front.hypervolume())}.{told}"
    )
