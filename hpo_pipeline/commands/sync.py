"""`hpo sync`: brings a study's journal into its tracker."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hpo_pipeline.commands.named import Folder, study_folder
from hpo_pipeline.errors import StudyError

if TYPE_CHECKING:
    from hpo_pipeline.tracker.follower import Closed

INCOMPLETE = 3
"""Exit code where not everything could be written, as that of `hpo tune`."""


def sync(
    study: Folder,
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Where to, if not as its config says: tracker.uri=http://host:5000")
    ] = None,
) -> None:
    """Write to the tracker (MLflow) what it lacks of a study.

    Nothing is trained; a study that was never tracked is written as a whole: hpo sync my_study tracker=mlflow.
    """
    closed = _synchronised(study_folder(study), overrides or [])
    print(closed.text)
    if not closed.complete:
        raise typer.Exit(INCOMPLETE)


def _synchronised(folder: Path, words: list[str]) -> Closed:
    from hpo_pipeline.config.in_python import Request, composed
    from hpo_pipeline.journal import Journal
    from hpo_pipeline.preflight.collected import Preflight
    from hpo_pipeline.report.status import status_line
    from hpo_pipeline.saved_study import JOURNAL, load_study
    from hpo_pipeline.study import PATIENCE_SECONDS
    from hpo_pipeline.tracker.tracking import Tracking

    is_training = load_study(folder).is_training
    where = {"name": folder.name, "folder": str(folder)}
    if is_training:
        program, request = "train", Request("config", (where, *words), folder)
    else:
        program, request = "tune", Request("tune", ({**where, "resume": True}, *words))
    with Journal(folder / JOURNAL), composed(request, program) as found:  # no tuner writes to the tracker meanwhile
        flight = Preflight(found.config, found.problems)
        trackers = flight.trackers(look=True)
        flight.raise_problems()
        commands = (
            {"train": found.train_command()}
            if is_training
            else {"resume": found.resume_command(), "train": found.train_command()}
        )
        tracking = Tracking(trackers, folder, found.public_training if is_training else found.public, commands)
        with status_line() as show:
            closed = tracking.close(PATIENCE_SECONDS, show)
    if closed.complete and not closed.text:
        raise StudyError(f"{folder}: its config names no tracker to write to; name one: tracker=mlflow")
    return closed
