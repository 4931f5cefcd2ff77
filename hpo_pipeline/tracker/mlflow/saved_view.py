"""A study's ready-made page in MLflow's UI, under "Views": its trials as a table, best first, and charts of them.

Views are experiment tags (MLflow >= 3.15), in a format that is MLflow's own and undocumented: if a later version
changes it, the page is missing and nothing else. What the UI of 3.17 makes of it:

    a metric without a chart of ours      gets one of its own, in a section named after what stands before its last "/"
    isAccordionReordered                  keeps the sections in our order; else they are sorted by name, ours last
    a chart that is generated and deleted is not made again
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping
from typing import Any

from hpo_pipeline.tracker.mlflow.naming import dimensions
from hpo_pipeline.tracker.mlflow.update import milliseconds
from hpo_pipeline.view import StudyView

_STUDY, _SPACE, _REST = "study", "space", "rest"
"""Sections of charts; the last one is MLflow's own, for what has no chart of ours, and folded."""
_NARROW = 5
"""So many axes are readable in half a page."""
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
_DESCRIPTION = "attributes.`Description`"


def view_key(study: str) -> str:
    """The name of the study's view in links, from its run id."""
    return f"hpo{study[:16]}"


STUDIES = "hpostudies"
"""The view of all studies of the experiment."""


def studies_view(view: StudyView) -> str:
    """The value of the experiment tag: the studies side by side, their best so far as curves over what was spent.

    Studies of another metric are in it, too; the columns are those of the study that was written last.
    """
    best = f"best.{view.metric}"
    columns = [f"metrics.`{best}`"]
    columns += [f"params.`{name}`" for name in ("model", "dataset", "searcher", "scheduler", "seed")]
    columns += [f"tags.`hpo.{name}`" for name in ("trials", "resource", "seconds", "state")]
    state = {
        "searchFilter": "tags.`hpo.role` = 'study'",
        "orderByKey": "attributes.start_time",
        "orderByAsc": False,
        "selectedColumns": columns,
        "columnOrder": ["attributes.`Run Name`", *columns],
        "columnWidths": {columns[0]: 165, "tags.`hpo.trials`": 220},
        "runsHiddenMode": "SHOW_ALL",
        "compareRunCharts": [{**_line(best, _scale(view)), "uuid": "chart-0"}],
        "compareRunSections": [_section(_STUDY, "Best so far", columns=1, cardHeight=420), _model_metrics()],
        "isAccordionReordered": True,
    }
    return _packed("All studies", milliseconds(view.header["time"]), state)


def saved_view(view: StudyView, config: Mapping[str, Any], study: str) -> str:
    """The value of the experiment tag: this study's trials, best first, and charts of them.

    Args:
        study: id of its run.
    """
    return _packed(str(view.header["name"]), milliseconds(view.header["time"]), _state(view, config, study))


def _packed(name: str, time: int, state: Mapping[str, Any]) -> str:
    deflated = zlib.compress(json.dumps(state, separators=(",", ":")).encode())
    packed = "deflate;" + base64.b64encode(deflated).decode()
    return json.dumps({"name": name, "createdAt": time, "updatedAt": time, "state": packed})


def _state(view: StudyView, config: Mapping[str, Any], study: str) -> dict[str, Any]:
    metrics = [metric.name for metric in view.metrics]
    domains = dimensions(config.get("search_space"))
    # A logarithmic domain is drawn by its decimal logarithm: the charts of parameters have linear axes only.
    axes = [f"log10.{path}" if domain.get("log") else path for path, domain in domains.items()]
    widths = {f"metrics.`best.{metric}`": 165 for metric in metrics}
    widths |= {"tags.`hpo.seconds`": 105, _DESCRIPTION: 270}
    widths |= {f"params.`{path}`": max(90, 45 + 7 * len(path)) for path in domains}
    widths |= {"tags.`hpo.state`": 110, "tags.`hpo.resource`": 115}
    return {
        "searchFilter": f"tags.`mlflow.parentRunId` = '{study}'",
        "orderByKey": f"metrics.`best.{metrics[0]}`",
        "orderByAsc": view.mode == "min",
        "selectedColumns": list(widths),
        "columnOrder": ["attributes.`Run Name`", *widths],
        "columnWidths": {"attributes.`Run Name`": 150, **widths},
        "runsHiddenMode": "SHOW_ALL",
        "compareRunCharts": [*_charts(metrics, axes, _scale(view)), *_left_out(metrics)],
        "compareRunSections": [
            _section(_STUDY, f"Study {view.header['name']}", columns=3, cardHeight=300),
            _section(_SPACE, "Hyperparameters", columns=2 if len(axes) <= _NARROW else 1, cardHeight=360),
            _model_metrics(),
        ],
        "isAccordionReordered": True,
    }


def _section(uuid: str, name: str, **settings: Any) -> dict[str, Any]:
    return {"uuid": uuid, "name": name, "display": True, "isReordered": True, **settings}


def _model_metrics() -> dict[str, Any]:
    """MLflow's own section, folded."""
    return _section(_REST, "Model metrics", display=False)


def _scale(view: StudyView) -> str:
    """Of the metric's axis: small errors are told apart where all values are positive, and one is known to be."""
    best = view.best.best(view.metric) if view.best else None
    return "log" if view.mode == "min" and best is not None and best > 0 else "linear"


def _charts(metrics: list[str], axes: list[str], scale: str) -> list[dict[str, Any]]:
    """What early stopping is judged by: the rungs and the curves; then what the hyperparameters do."""
    best, rung = f"best.{metrics[0]}", f"rung/{metrics[0]}"
    charts = [
        {**_line(rung, scale), "xAxisScaleType": "log", "displayPoints": True},
        _line(metrics[0], scale),
    ]
    y = {"key": best, "type": "METRIC"}
    if len(metrics) > 1:  # the front is at its edge
        charts.append(_chart(_STUDY, "SCATTER", xaxis={"key": f"best.{metrics[1]}", "type": "METRIC"}, yaxis=y))
    bests = [f"best.{metric}" for metric in metrics]
    charts.append(_chart(_SPACE, "PARALLEL", selectedParams=axes, selectedMetrics=bests, showAllRuns=True))
    # What is searched on a logarithmic scale (learning rates) tends to matter most.
    x = [{"key": axis, "type": "PARAM"} for axis in sorted(axes, key=lambda axis: not axis.startswith("log10."))]
    if x and len(metrics) == 1:
        charts.append(_chart(_STUDY, "SCATTER", xaxis=x[0], yaxis=y))
    if len(x) > 1:
        charts.append(_chart(_SPACE, "CONTOUR", xaxis=x[0], yaxis=x[1], zaxis=y))
    return [{**chart, "uuid": f"chart-{number}"} for number, chart in enumerate(charts)]


def _chart(section: str, kind: str, **settings: Any) -> dict[str, Any]:
    common = {"runsCountToCompare": 100, "metricSectionId": section, "deleted": False, "isGenerated": False}
    return {"type": kind, **common, **(_LINE if kind == "LINE" else {}), **settings}


def _line(metric: str, scale: str) -> dict[str, Any]:
    return _chart(_STUDY, "LINE", metricKey=metric, selectedMetricKeys=[metric], scaleType=scale)


def _left_out(metrics: list[str]) -> list[dict[str, Any]]:
    """Charts that the UI would add, and that show what others show already."""
    keys = [*(f"best.{metric}" for metric in metrics), *(f"rung/{metric}" for metric in metrics[1:])]
    chart = {**_chart(_REST, "LINE"), "deleted": True, "isGenerated": True}
    return [{**chart, "uuid": f"left-out-{number}", "metricKey": key} for number, key in enumerate(keys)]
