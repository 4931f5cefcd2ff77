"""All trials, as a table that can be sorted and searched, and each one's details."""

from __future__ import annotations

import shlex
from typing import Any

from hpo_pipeline.report.command import trial_overrides
from hpo_pipeline.report.fate import fate
from hpo_pipeline.report.page.material import MOST_TRIALS, Material
from hpo_pipeline.report.page.section import Section, short
from hpo_pipeline.report.text import counts, over_seeds_text, plural
from hpo_pipeline.trial import State
from hpo_pipeline.trial_view import TrialView

MOST_COMMANDS = 100
_MOST_TEXT = 300


def trials(material: Material) -> Section:
    """The table."""
    view = material.view
    found = counts(view.trials.values())
    states = ", ".join(f"{n} {state.value.lower()}" for state, n in found.items())
    says = (
        "All trials, best first, with why each ended; click a heading to sort by it, a row for its details, and type "
        "to search."
    )
    left_out = len(view.trials) - len(material.ranking)
    sure = f"{plural(len(view.trials), 'trial')} ({states})." if states else "No trial was started."
    if left_out:
        sure += f" The {MOST_TRIALS} best are here; leaderboard.csv has all."
    if failed := found.get(State.FAILED):
        sure += f" {plural(failed, 'trial')} failed; where hyperparameters are judged, they count as the worst."
    return Section("trials", "Trials", says, sure, extra={"any": bool(material.ranking)})


def trials_data(material: Material) -> dict[str, Any]:
    """What the table and several charts are drawn from: rows in the order of the ranking.

    Each row: id, state, values of the metrics at the best report, the resource of that and the last one, bracket, rung,
    seconds, fate, origin, the trial that it is a further seed of or -1; the value and the position of each
    hyperparameter; the nodes that it was trained on; what it comes to over seeds. parts.js names these places.
    """
    view = material.view
    names = list(dict.fromkeys([m.name for m in view.metrics] + [c.name for c in view.constraints]))
    paths = [axis.path for axis in material.axes]
    rows = [_row(material, trial, names, paths) for trial in material.ranking]
    commands = {trial.id: overrides_of(trial) for trial in material.ranking[:MOST_COMMANDS] if trial.is_usable}
    commands |= {
        point.trial_id: overrides_of(view.trials[point.trial_id], point.resource) for point in view.front.points
    }
    return {
        "metrics": names,
        "states": [state.value.lower() for state in State],
        "paths": [material.names[path] for path in paths],
        "rows": rows,
        "overrides": commands,
    }


def _row(material: Material, trial: TrialView, names: list[str], paths: list[str]) -> list[Any]:
    best = trial.at(trial.best_resource)
    config = trial.best_config
    return [
        trial.id,
        list(State).index(trial.state),
        [short(best.get(name)) for name in names],
        trial.best_resource,
        trial.resource,
        trial.bracket,
        trial.rung,
        short(trial.seconds, 3),
        _clipped(fate(material.view, trial)),
        _clipped(trial.origin),
        -1 if trial.repeats is None else trial.repeats,
        [_value(config.get(path)) if path in config else "" for path in paths],
        [short(axis.position(config[axis.path]), 3) if axis.path in config else None for axis in material.drawn_axes],
        ", ".join(trial.nodes),
        over_seeds_text(over) if (over := material.view.over_seeds(trial)).n > 1 else "",
    ]


def _value(value: Any) -> Any:
    """Numbers with five digits, the rest as it is typed: what the table shows and sorts by."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return short(value) if isinstance(value, (int, float)) else _clipped(str(value))


def overrides_of(trial: TrialView, resource: int | None = None) -> str:
    """What to add to the study's `train` command: the trial at a resource, that of its best report if None."""
    at = resource or trial.best_resource
    return shlex.join(trial_overrides(trial.id, at, trial.config_at(at)))


def _clipped(text: str) -> str:
    return text if len(text) <= _MOST_TEXT else f"{text[: _MOST_TEXT - 1]}…"
