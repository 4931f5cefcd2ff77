"""A ready-made page of charts for one study, as MLflow keeps them under "Views" (an experiment tag, MLflow >= 3.15).

The format is MLflow's own and undocumented: if a later version changes it, the page is missing and nothing else.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping
from typing import Any

from hpo_pipeline.tracker.mlflow.naming import dimensions
from hpo_pipeline.tracker.mlflow.schema import milliseconds
from hpo_pipeline.view import StudyView

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
    domains = dict(dimensions(config.get("search_space")))
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
