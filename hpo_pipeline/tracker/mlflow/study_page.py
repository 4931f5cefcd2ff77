"""A study's page in MLflow's UI: the note on its run, and a ready-made page of charts under "Views".

Views are experiment tags (MLflow >= 3.15), in a format that is MLflow's own and undocumented: if a later version
changes it, the page is missing and nothing else.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping
from typing import Any

from hpo_pipeline.report.text import metric_text, short
from hpo_pipeline.tracker.mlflow.links import run_link
from hpo_pipeline.tracker.mlflow.naming import TAG_LENGTH, clipped, dimensions
from hpo_pipeline.tracker.mlflow.update import milliseconds
from hpo_pipeline.view import StudyView

_BEST = 5
_MEMBERS = 15
"""Of a front."""
_SECTION = "study"
_LINE: dict[str, Any] = {
    "lineSmoothness": 0,
    "xAxisScaleType": "linear",
    "scaleType": "linear",
    "range": {},
    "xAxisKey": "step",
    "selectedXAxisMetricKey": "",
    "yAxisKey": "metric",
    "yAxisExpressions": [],
    "ignoreOutliers": False,
    "useGlobalXaxisKey": True,
    "useGlobalLineSmoothing": True,
}


def note(view: StudyView, experiment_id: str, runs: Mapping[int, str], resume: str) -> str:
    """The study in Markdown: where it stands, and its best trials.

    Args:
        runs: trial id -> run id.
        resume: the command that goes on with it; may be empty.
    """
    state = "running" if view.end is None else f"{view.end['state']} ({view.end['reason']})"
    unit = str(view.header.get("unit", "")) or "resource"
    lines = [
        f"**{view.header['name']}**: {state}. {len(view.trials)} trials, {view.evaluations} rung evaluations, "
        f"{view.total_resource} {unit}s in {view.seconds:.0f} s.",
        "",
    ]
    points = view.front.points[:_MEMBERS]
    best = [(trial, trial.best_resource) for trial in view.top(_BEST)] if not view.has_front else []
    best += [(view.trials[point.trial_id], point.resource) for point in points]
    if view.has_front:
        lines[0] += f" A front of {len(view.front.points)}, hypervolume {metric_text(view.front.hypervolume())}."
    if best:
        names, metrics = list(best[0][0].config_at(best[0][1])), [metric.name for metric in view.metrics]
        lines.append(f"| trial | {' | '.join(metrics)} | {unit} | {' | '.join(names)} |")
        lines.append("|" + "---|" * (2 + len(metrics) + len(names)))
        for trial, at in best:
            run = runs.get(trial.id)
            title = f"trial-{trial.id:04d}"
            link = f"[{title}]({run_link(experiment_id, run)})" if run else title
            config, reported = trial.config_at(at), trial.at(at)
            scores = " | ".join(metric_text(reported.get(metric)) for metric in metrics)
            values = " | ".join(short(config.get(name), 4).replace("|", "\\|") for name in names)
            lines.append(f"| {link} | {scores} | {at} | {values} |")
    if resume and (view.end is None or view.end["state"] != "completed"):
        lines += ["", f"Resume: `{resume}`"]
    return clipped("\n".join(lines), TAG_LENGTH)


def view_key(study: str) -> str:
    """The name of the study's view in links, from its run id."""
    return f"hpo{study[:16]}"


def saved_view(view: StudyView, config: Mapping[str, Any], study: str) -> str:
    """The value of the experiment tag: this study's trials, best first, and four charts of them."""
    now = milliseconds(view.header["time"])
    state = json.dumps(_state(view, config, study), separators=(",", ":")).encode()
    packed = "deflate;" + base64.b64encode(zlib.compress(state)).decode()
    return json.dumps({"name": str(view.header["name"]), "createdAt": now, "updatedAt": now, "state": packed})


def _state(view: StudyView, config: Mapping[str, Any], study: str) -> dict[str, Any]:
    best = f"best.{view.metric}"
    domains = dimensions(config.get("search_space"))
    # A logarithmic domain is drawn by its decimal logarithm: the charts of parameters have linear axes only.
    axes = [f"log10.{path}" if domain.get("log") else path for path, domain in domains.items()]
    further = [f"metrics.`best.{metric.name}`" for metric in view.metrics[1:]]
    columns = [f"metrics.`{best}`", *further, "metrics.`hpo.resource`", *(f"params.`{path}`" for path in domains)]
    return {
        "searchFilter": f"tags.`mlflow.parentRunId` = '{study}'",
        "orderByKey": f"metrics.`{best}`",
        "orderByAsc": view.mode == "min",
        "selectedColumns": [*columns, "tags.`hpo.state`"],
        "runsHiddenMode": "SHOW_ALL",
        "compareRunCharts": _charts([metric.name for metric in view.metrics], axes),
        "compareRunSections": [{"uuid": _SECTION, "name": "Study", "display": True, "isReordered": False}],
    }


def _charts(metrics: list[str], axes: list[str]) -> list[dict[str, Any]]:
    bests = [f"best.{metric}" for metric in metrics]
    best = bests[0]
    charts: list[dict[str, Any]] = [
        {"type": "LINE", **_LINE, "metricKey": metrics[0], "selectedMetricKeys": [metrics[0]]},
        {"type": "PARALLEL", "selectedParams": axes, "selectedMetrics": bests, "showAllRuns": True},
    ]
    if len(bests) > 1:  # the front is at its edge
        x, y = ({"key": name, "type": "METRIC"} for name in (bests[1], best))
        charts.append({"type": "SCATTER", "xaxis": x, "yaxis": y})
    if axes:
        # What is searched on a logarithmic scale (learning rates) tends to matter most.
        axes = sorted(axes, key=lambda axis: not axis.startswith("log10."))
        x = {"key": axes[0], "type": "PARAM"}
        y = {"key": best, "type": "METRIC"}
        charts.append({"type": "SCATTER", "xaxis": x, "yaxis": y})
        if len(axes) > 1:
            charts.append({"type": "CONTOUR", "xaxis": x, "yaxis": {"key": axes[1], "type": "PARAM"}, "zaxis": y})
    common = {"runsCountToCompare": 100, "metricSectionId": _SECTION, "deleted": False, "isGenerated": False}
    return [{**common, "uuid": f"{_SECTION}-{number}", **chart} for number, chart in enumerate(charts)]
