"""What is said at the end of a study: what is missing, where errors are, and the commands that go on from here."""

from __future__ import annotations

from pathlib import Path

from hpo_pipeline.budget import End
from hpo_pipeline.config.composed import Composed
from hpo_pipeline.executor.runner import log_path
from hpo_pipeline.preflight import Components
from hpo_pipeline.report.command import Command
from hpo_pipeline.report.summary import MOST_MEMBERS
from hpo_pipeline.report.text import point_text
from hpo_pipeline.view import StudyView


def without_finalists(view: StudyView, end: End, parts: Components) -> list[str]:
    """That another limit than that of the search has ended the study, where that kept trials from being finalists."""
    whole, unit = parts.finalists.max_resource, parts.objective.unit
    short = [] if end.state != "completed" else parts.finalists.unfinished(view)
    where = ", ".join(f"trial {trial.id} at {unit} {trial.resource} of {whole}" for trial in short)
    return [f"Not trained to the end, as the study's limits came first: {where}"] if short else []


def closing(composed: Composed, view: StudyView, folder: Path, end: End) -> list[str | Command]:
    """What to look at or to type next."""
    lines: list[str | Command] = []
    if end.state == "failed" and view.last_failed is not None and view.last_failed.traceback:
        lines.append(f"The last error's traceback is in {log_path(folder / 'trials', view.last_failed.id)}")
    if view.has_front and view.front.points:
        lines += _front_commands(composed, view)
    elif view.winner is not None:
        changed = " (its hyperparameters changed on the way: this has the last ones from the start)"
        lines.append(f"Train the best one again{changed if view.winner.changes else ''}:")
        lines += map(Command, winners_command(composed, view).values())
    if end.state == "interrupted":
        lines += ["Go on with this study:", Command(composed.resume_command())]
    return lines


def winners_command(composed: Composed, view: StudyView) -> dict[str, str]:
    """The command that trains the winner again, as "winner"; nothing where there is no single one."""
    best = view.winner
    if view.has_front or best is None:
        return {}
    return {"winner": composed.rerun_command(best.id, best.best_resource, best.best_config)}


def _front_commands(composed: Composed, view: StudyView) -> list[str | Command]:
    """A command for each member of the front that the table shows."""
    lines: list[str | Command] = ["Train a member of the front again:"]
    for number, point in enumerate(view.front.points[:MOST_MEMBERS], start=1):
        trial = view.trials[point.trial_id]
        command = composed.rerun_command(trial.id, point.resource, trial.config_at(point.resource))
        lines += [f"  {number}: {point_text(view, trial, point.resource)}", Command(command)]
    return lines
