"""What a study comes to so far, for who asks from outside: its numbers as plain data, and as lines of text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from hpo_pipeline.budget import Budget
from hpo_pipeline.checks import is_number
from hpo_pipeline.report.progress import progress
from hpo_pipeline.report.text import config_text, counts, duration, plural, point_text, short_names
from hpo_pipeline.trial import State
from hpo_pipeline.view import StudyView

_LIMITS = ("n_trials", "max_total_resource", "max_seconds")


def overview(view: StudyView, config: Mapping[str, Any]) -> dict[str, Any]:
    """A study in numbers, as JSON takes them.

    Args:
        config: the study's, for its limits; may be empty.
    """
    best = view.winner
    limits = {key: value if is_number(value := config.get(key)) else None for key in _LIMITS}
    budget = Budget(limits["n_trials"], limits["max_total_resource"], limits["max_seconds"])
    found: dict[str, Any] = {
        "trials": len(view.trials),
        "states": {state.value: n for state, n in counts(view.trials.values()).items()},
        "evaluations": view.evaluations,
        "total_resource": view.total_resource,
        "unit": str(view.header.get("unit") or "resource"),
        "seconds": round(view.seconds, 3),
        "sessions": view.sessions,
        "progress": progress(view, budget, view.seconds),
        "limits": limits,
        "nodes": dict(nodes(view)),
        "metrics": {metric.name: metric.mode for metric in view.metrics},
        "best": None,
    }
    if best is not None:
        at = best.best_resource
        found["best"] = {"trial": best.id, "resource": at, "metrics": best.at(at), "config": best.best_config}
    if view.has_front:
        found["front"] = [{"trial": point.trial_id, "resource": point.resource} for point in view.front.points]
    return found


def nodes(view: StudyView) -> Counter[str]:
    """Node of a cluster -> trials that are trained there now, as far as reports say."""
    running = (trial for trial in view.trials.values() if trial.state is State.RUNNING)
    return Counter(trial.nodes[-1] for trial in running if trial.nodes)


def overview_lines(view: StudyView, config: Mapping[str, Any]) -> list[str]:
    """The same for people."""
    found = overview(view, config)
    unit = found["unit"]
    limit = f" of {found['limits']['n_trials']}" if found["limits"]["n_trials"] else ""
    states = ", ".join(f"{n} {state.lower()}" for state, n in found["states"].items())
    share = "" if found["progress"] is None else f"{found['progress']:.0%}, "
    trials = f"{len(view.trials)}{limit} trials" if limit else plural(len(view.trials), "trial")
    lines = [f"progress  {share}{trials}" + (f": {states}" if states else "")]
    sessions = f", in {plural(view.sessions, 'session')}" if view.sessions > 1 else ""
    spent = f"{plural(view.evaluations, 'rung evaluation')}, {plural(view.total_resource, unit)}"
    lines.append(f"spent     {spent} in {duration(view.seconds)}{sessions}")
    best = view.winner
    if best is not None:
        names = short_names(path for trial in view.trials.values() for path in trial.config)
        at = best.best_resource
        lines.append(f"best      {point_text(view, best, at)}  (trial {best.id}, {unit} {at})")
        lines += [f"          {config_text(best.best_config, names)}"] if best.best_config else []
    if view.has_front:
        lines.append(f"front     {plural(len(view.front.points), 'member')}")
    if found["nodes"]:
        lines.append("workers   " + ", ".join(f"{node}: {n}" for node, n in sorted(found["nodes"].items())))
    if view.failures:
        lines.append(f"failures  {view.failures_text}")
    return lines
