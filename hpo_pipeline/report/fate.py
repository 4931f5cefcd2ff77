"""What became of a trial, in one sentence: `stopped at rung 1 (epoch 3): rank 7 of 12, 4 kept`."""

from __future__ import annotations

import re

from hpo_pipeline.report.text import duration, point_text, short
from hpo_pipeline.trial import State
from hpo_pipeline.trial_view import TrialView
from hpo_pipeline.view import StudyView

_RUNG = re.compile(r"rung (\d+): (.*)", re.DOTALL)
_AT = re.compile(r"at \d+: (.*)", re.DOTALL)
_KEPT = re.compile(r"\bkept (\d+)$")


def fate(view: StudyView, trial: TrialView) -> str:
    """What became of the trial, or where it stands; no full stop."""
    unit = str(view.header.get("unit", "")) or "resource"
    at, has_ended = f"{unit} {trial.resource}", view.end is not None
    match trial.state:
        case State.RUNNING | State.INTERRUPTED if has_ended:
            return f"interrupted after {at}; it goes on when the study is resumed"
        case State.RUNNING | State.INTERRUPTED:
            return f"in training, to {unit} {trial.target_resource}" if trial.target_resource else "about to begin"
        case State.PAUSED:
            waits = "was not promoted" if has_ended else "waits to be promoted"
            return f"paused at rung {trial.rung} ({at}): {waits}"
        case State.STOPPED:
            return _stopped(trial, unit, at)
        case State.COMPLETED:
            return _with(f"completed at {at}", _line(trial.finished or trial.reason))
        case _:
            when = f"after {at}" if trial.resource else f"before its first {unit} was over"
            return _with(f"failed {when}", _line(trial.error or trial.reason))


def told(view: StudyView, trial: TrialView) -> str:
    """The fate as a sentence, with the best report and the time that the training took."""
    parts = [f"a further seed of trial {trial.repeats}"] if trial.repeats is not None else []
    if view.end is not None and trial is view.winner:
        parts.append(f"the best of {len(view.trials)} trials")
    parts.append(fate(view, trial))
    if trial.is_usable:
        parts.append(f"best {point_text(view, trial, trial.best_resource)} at {trial.best_resource}")
    if trial.seconds:
        spent = duration(trial.seconds) if trial.seconds >= 10 else f"{short(trial.seconds, 2)} s"
        parts.append(f"{spent} of training")
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}."


def _stopped(trial: TrialView, unit: str, at: str) -> str:
    reason = _line(trial.reason)
    if found := _RUNG.fullmatch(reason):
        rung = int(found[1])
        there = next((reached.resource for reached in trial.rungs if reached.rung == rung), trial.resource)
        why = _KEPT.sub(r"\1 kept", found[2])
        return f"stopped at rung {rung} ({unit} {there}): {why}"
    if found := _AT.fullmatch(reason):
        reason = found[1]
    return _with(f"stopped at {at}", reason)


def _with(what: str, why: str) -> str:
    return f"{what}: {why}" if why else what


def _line(text: str) -> str:
    return " ".join(text.split())
