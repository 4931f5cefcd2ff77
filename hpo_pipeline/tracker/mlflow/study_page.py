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
    best = view.top(_BEST)
    if best:
        names = list(best[0].best_config)
        lines.append(f"| trial | {view.metric} | {unit} | {' | '.join(names)} |")
        lines.append("|" + "---|" * (3 + len(names)))
        for trial in best:
            run = runs.get(trial.id)
            title = f"trial-{trial.id:04d}"
            link = f"[{title}]({run_link(experiment_id, run)})" if run else title
            values = " | ".join(short(trial.best_config.get(name), 4).replace("|", "\\|") for name in names)
            lines.append(f"| {link} | {metric_text(trial.best(view.metric))} | {trial.best_resource} | {values} |")
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
    columns = [f"metrics.`{best}`", "metrics.`hpo.resource`", *(f"params.`{path}`" for path in domains)]
    return {
        "searchFilter": f"tags.`mlflow.parentRunId` = '{study}'",
        "orderByKey": f"metrics.`{best}`",
        "orderByAsc": view.mode == "min",
        "selectedColumns": [*columns, "tags.`hpo.state`"],
        "runsHiddenMode": "SHOW_ALL",
        "compareRunCharts": _charts(view.metric, best, axes),
        "compareRunSections": [{"uuid": _SECTION, "name": "Study", "display": True, "isReordered": False}],
    }


def _charts(metric: str, best: str, axes: list[str]) -> list[dict[str, Any]]:
    charts: list[dict[str, Any]] = [
        {"type": "LINE", **_LINE, "metricKey": metric, "selectedMetricKeys": [metric]},
        {"type": "PARALLEL", "selectedParams": axes, "selectedMetrics": [best], "showAllRuns": True},
    ]
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
