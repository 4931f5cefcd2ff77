"""The metrics that a study compares its trials by, one or several, and constraints: problems, and the searcher."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from hpo_pipeline.config.composed import Composed
from hpo_pipeline.errors import Problem, nearest
from hpo_pipeline.objective import Objective, SupportsMetricsOnDemand, SupportsReported
from hpo_pipeline.searcher import Searcher
from hpo_pipeline.searcher.scalarised import Scalarised

_MEASURED = "validation_"
"""What a metric that the config required_metrics is reported under begins with."""


def required_metrics(composed: Composed) -> dict[str, str]:
    """What every report must hold -> the key of the config that asks for it."""
    path = "metric" if isinstance(composed.config["metric"], str) else "metric.{}"
    found = {metric.name: path.format(metric.name) for metric in composed.metrics}
    return {constraint.name: f"constraints.{constraint.name}" for constraint in composed.constraints} | found


def metric_problems(composed: Composed, objective: Objective) -> Iterator[Problem]:
    """What the objective doesn't report, or several metrics don't go with."""
    config = composed.config
    if config.get("target") is not None and len(composed.metrics) > 1:
        what = "is for one metric, and this study has several: it looks for no single best value; leave it out"
        yield Problem("target", what, config["target"])
    is_known = not any(problem.path.startswith("metric") for problem in composed.problems)
    own = objective.reported(composed.training) if isinstance(objective, SupportsReported) else objective.metrics
    if not own or config.get("final", False) or not is_known:
        return
    on_demand = objective.metrics_on_demand if isinstance(objective, SupportsMetricsOnDemand) else ()
    known = (*own, *on_demand)
    for name, path in required_metrics(composed).items():
        if name not in known:
            yield Problem(path, f"the objective reports no {name!r}, only {', '.join(known)}{_instead(name, known)}")


def _instead(name: str, known: Sequence[str]) -> str:
    """What to do about a name that isn't reported: the one that is nearest, or the key that has it measured."""
    measured = [other.removeprefix(_MEASURED) for other in known if other.startswith(_MEASURED)]
    asked = name.removeprefix(_MEASURED)
    if asked != name and measured and not nearest(asked, measured):
        return f"; what else is measured, the key metrics says: metrics={asked}"
    return nearest(name, known)


def searcher_for_metrics(composed: Composed, searcher: Searcher, make: Callable[[], Searcher]) -> Searcher:
    """The searcher as it is, or, if it learns from scores and there isn't just one, by one score in their place.

    `make`: makes it anew.
    """
    is_plain = len(composed.metrics) == 1 and not composed.constraints
    learns = type(searcher).on_evaluation is not Searcher.on_evaluation
    return searcher if is_plain or not learns else Scalarised(make, len(composed.metrics), composed.config["seed"])
