"""What a trial looks like in MLflow: one run below its study's.

Curves are metrics, over the resource; all else is a parameter (what was sampled) or a tag (what became of it), so that
the page of a trial shows no chart of a single dot. The one metric of ours, `best.<metric>`, is a curve as well: the
best report so far, which the table can sort by at any time.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Collection, Mapping
from typing import Any

from hpo_pipeline.report.command import trial_overrides
from hpo_pipeline.report.fate import told
from hpo_pipeline.report.text import short
from hpo_pipeline.tracker.mlflow.naming import TAG_LENGTH, Keys, clipped, escaped, text
from hpo_pipeline.trial import State
from hpo_pipeline.view import StudyView, TrialView

# MLflow's own words for the state of a run. FAILED and KILLED are one red cross in its table, so a trial that was
# stopped early is FINISHED: a cross is a trial that went wrong. Its state is a tag, and its colour tells it apart.
RUN_STATUS = dict.fromkeys(State, "FINISHED") | {
    State.FAILED: "FAILED",
    State.INTERRUPTED: "KILLED",
    State.RUNNING: "KILLED",
}
_GREY, _RED = "#c4ccd3", "#c82d4c"
_COLORS = ("#077a9d", "#8ba91b", "#d1531f", "#7b4ab5", "#00a972", "#c9921a", "#b5367f", "#445bb3", "#5f8d2c", "#8a4b32")


def created_tags(study_id: str, trial: TrialView) -> dict[str, str]:
    """What doesn't change in a trial."""
    return {
        "hpo.role": "trial",
        "hpo.uid": f"{study_id}:{trial.id}",
        "hpo.trial": str(trial.id),
        "hpo.origin": clipped(trial.origin, TAG_LENGTH),
        **({"hpo.repeats": str(trial.repeats)} if trial.repeats is not None else {}),
    }


def params(trial: TrialView, log_scaled: Collection[str], keys: Keys) -> dict[str, str]:
    """The sample; what is searched on a logarithmic scale has its decimal logarithm beside it."""
    found = {keys(path): text(value) for path, value in trial.config.items()}
    for path, value in trial.config.items():
        # The UI's charts of parameters have no logarithmic axis.
        if path in log_scaled and isinstance(value, (int, float)) and value > 0:
            found[keys(f"log10.{path}")] = text(math.log10(value))
    return found


def standing(view: StudyView, trial: TrialView, train: str, *, goes_on: bool) -> dict[str, str]:
    """Where the trial stands, as tags.

    Args:
        train: the beginning of the command that runs it again.
        goes_on: whether it is at work though its last job was interrupted.
    """
    state = State.RUNNING if goes_on else trial.state
    words = trial_overrides(trial.id, trial.resource or trial.target_resource or 1, trial.config)
    tags = {
        "hpo.state": state.value,
        "hpo.stop_reason": clipped(trial.reason, TAG_LENGTH),
        "hpo.bracket": str(trial.bracket),
        "hpo.rung": str(trial.rung),
        "hpo.resource": str(trial.resource),
        "hpo.seconds": short(trial.seconds, 4),
        "hpo.command": clipped(f"{train} {shlex.join(words)}".strip(), TAG_LENGTH),
        "mlflow.note.content": clipped(escaped(told(view, trial)), TAG_LENGTH),
        "mlflow.runColor": _color(view, trial, state),
    }
    if trial.nodes:
        tags["hpo.nodes"] = clipped(", ".join(trial.nodes), TAG_LENGTH)
    if view.constraints and trial.is_usable:
        tags["hpo.violation"] = short(trial.best_violation, 6)
    return tags


def _color(view: StudyView, trial: TrialView, state: State) -> str:
    """Those that were trained to the end stand out; of the others only a pale line is left."""
    if state is State.FAILED:
        return _RED
    ended_below = state is State.STOPPED or (state is State.PAUSED and view.end is not None)
    return _GREY if ended_below else _COLORS[trial.id % len(_COLORS)]


def best_values(view: StudyView, trial: TrialView) -> Mapping[str, float]:
    """The metrics of the best report so far; NaN of a trial that has failed, whose best counts no more."""
    reported: Mapping[str, Any] = trial.at(trial.best_resource) if trial.is_usable else {}
    return {f"best.{metric.name}": reported.get(metric.name, math.nan) for metric in view.metrics}
