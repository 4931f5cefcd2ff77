"""What is wrong with the root keys that say how trials are compared: metric, mode, constraints, reference_point."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hpo_pipeline.checks import is_number
from hpo_pipeline.errors import Problem, nearest
from hpo_pipeline.evaluation import MODES

_STAND_IN = "x"
_LARGEST = 1e308
_BOUNDS = ("min", "max")
SEVERAL = "{validation_error: min, n_parameters: min}"


def metric_key_problems(config: dict[str, Any]) -> Iterator[Problem]:
    """Wrong values are replaced by ones that the other checks can work with."""
    found = list(_metric_problems(config["metric"], config["mode"]))
    if found:
        config["metric"], config["mode"] = _STAND_IN, "min"
    yield from found
    group = config.get("metrics")
    if isinstance(group, Mapping) and group and all(mode in MODES for mode in group.values()):
        config["metrics"] = None
        words = ", ".join(f"{name}: {mode}" for name, mode in group.items())
        yield Problem("metrics", f"is what is measured; what is optimised is the key metric: metric={{{words}}}", group)
    found = list(_constraints_problems(config["constraints"]))
    if found:
        config["constraints"] = None
    yield from found
    if "reference_point" in config:
        found = list(_reference_problems(config["reference_point"], config["metric"]))
        if found:
            config["reference_point"] = None
        yield from found


def _metric_problems(metric: Any, mode: Any) -> Iterator[Problem]:
    if isinstance(metric, str) and metric:  # whose mode the preflight looks at
        return
    if not isinstance(metric, Mapping) or not metric or not all(isinstance(name, str) and name for name in metric):
        yield Problem("metric", f"must be the name of a metric, or several with their modes, {SEVERAL}", metric)
        return
    for name, each in metric.items():
        if each not in MODES:
            yield Problem(f"metric.{name}", f"must be min or max, got {each!r}{nearest(str(each), MODES)}")
    if mode != "min":
        yield Problem("mode", "is for a single metric; of several, each says min or max by itself: leave it out", mode)


def _constraints_problems(constraints: Any) -> Iterator[Problem]:
    if not isinstance(constraints, Mapping | None):
        yield Problem("constraints", "must be a mapping of names to bounds, {n_parameters: {max: 1e6}}", constraints)
        return
    for name, bounds in (constraints or {}).items():
        path = f"constraints.{name}"
        if not isinstance(bounds, Mapping) or not bounds:
            yield Problem(path, "must be a mapping of bounds, {max: 1e6}, {min: 0.5} or both", bounds)
            continue
        for key, value in bounds.items():
            if key not in _BOUNDS:
                yield Problem(f"{path}.{key}", f"there is no such bound{nearest(str(key), _BOUNDS)}; min and max are")
            elif not is_number(value, -_LARGEST, _LARGEST):
                yield Problem(f"{path}.{key}", "must be a number", value)
        low, high = bounds.get("min"), bounds.get("max")
        if low is not None and high is not None and is_number(low) and is_number(high) and low > high:
            yield Problem(path, f"no value is at least {low:g} and at most {high:g}")


def _reference_problems(reference: Any, metric: Any) -> Iterator[Problem]:
    if reference is None:
        return
    if isinstance(metric, str) or len(metric) == 1:
        yield Problem("reference_point", "is for several metrics, and there is one; leave it out", reference)
        return
    if not isinstance(reference, Mapping):
        example = ", ".join(f"{name}: 1.0" for name in metric)
        yield Problem("reference_point", f"must have a number for each metric: {{{example}}}", reference)
        return
    for name in reference:
        if name not in metric:
            what = f"is no metric of this study{nearest(str(name), metric)}"
            yield Problem(f"reference_point.{name}", f"{what}; they are {', '.join(metric)}")
    for name in metric:
        if not is_number(reference.get(name), -_LARGEST, _LARGEST):
            yield Problem(
                f"reference_point.{name}", "must be a number: what the hypervolume reaches to", reference.get(name)
            )
