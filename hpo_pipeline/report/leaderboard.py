"""The leaderboard: one row a trial, best first."""

from __future__ import annotations

from typing import Any

from hpo_pipeline.view import StudyView, TrialView


def rows(view: StudyView) -> list[dict[str, Any]]:
    """Rank, trial, state, the metrics at the trial's best report, where that was, and the configuration.

    Of a finalist also what it comes to over its seeds; of several metrics which members of the front the trial is; with
    constraints what they bound, and by how much they are violated.
    """
    members: dict[int, list[str]] = {}
    for number, point in enumerate(view.front.points, start=1):
        members.setdefault(point.trial_id, []).append(str(number))
    return [
        {
            "rank": rank,
            "trial": trial.id,
            "state": trial.state.value,
            **({"front": " ".join(members.get(trial.id, []))} if view.has_front else {}),
            **_values(view, trial),
            **_over_seeds(view, trial),
            **_further(view, trial),
            **trial.best_config,
        }
        for rank, trial in enumerate(view.ranking(), start=1)
    ]


def columns(view: StudyView) -> list[str]:
    """Those of every study with these metrics and constraints, in order; the configurations' come after them."""
    nobody = TrialView(0, {}, {}, started=0.0)
    front = ["front"] if view.has_front else []
    seeds = ["mean", "standard_error", "seeds"] if view.has_further_seeds else []
    return ["rank", "trial", "state", *front, *_values(view, nobody), *seeds, *_further(view, nobody)]


def _values(view: StudyView, trial: TrialView) -> dict[str, float | None]:
    values = {name: trial.best(name) for name in _names(view)}
    return values | ({"violation": trial.best_violation if trial.best_resource else None} if view.constraints else {})


def _over_seeds(view: StudyView, trial: TrialView) -> dict[str, float]:
    found = view.over_seeds(trial)
    return {} if found.n == 1 else {"mean": found.mean, "standard_error": found.standard_error, "seeds": found.n}


def _names(view: StudyView) -> list[str]:
    return list(dict.fromkeys([metric.name for metric in view.metrics] + [bound.name for bound in view.constraints]))


def _further(view: StudyView, trial: TrialView) -> dict[str, Any]:
    return {
        "resource": trial.best_resource,
        "trained": trial.resource,
        "bracket": trial.bracket,
        "rung": trial.rung,
        "seconds_in_all" if "seconds" in _names(view) else "seconds": round(trial.seconds, 3),
        "origin": trial.origin,
    }
