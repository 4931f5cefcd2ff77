"""`hpo list`: the studies that there are."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path

import typer

from hpo_pipeline.commands.named import Folders, study_folders
from hpo_pipeline.errors import StudyError, one_line


def list_studies(studies: Folders = None) -> None:
    """List studies with their state and best value, the latest last."""
    from hpo_pipeline.saved_study import JOURNAL

    rows, damaged = [], []
    folders = study_folders(studies)
    for folder in sorted(folders, key=lambda folder: (folder / JOURNAL).stat().st_mtime):
        try:
            rows.append(_row(folder))
        except StudyError as error:
            damaged.append(str(error))
    head = ("study", "state", "trials", "spent", "best", "at", "last at work")
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for row in (head, *rows):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    for line in damaged:
        print(f"hpo: {one_line(line)}", file=sys.stderr)
    if damaged:
        raise typer.Exit(2)


def _row(folder: Path) -> tuple[str, ...]:
    from hpo_pipeline.report.text import duration, metric_text, plural
    from hpo_pipeline.saved_study import JOURNAL, load_study

    study = load_study(folder)
    view, best = study.view, study.view.winner
    value = "–"
    if view.has_front:
        value = f"front of {len(view.front.points)}"
    elif best is not None:
        value = f"{view.metric} {metric_text(best.best(view.metric))}"
    state = f"{study.state} (training)" if study.is_training else study.state
    spent = f"{plural(view.total_resource, study.unit)} in {duration(view.seconds)}"
    at = f"trial {best.id}" if best is not None and not view.has_front else ""
    when = datetime.fromtimestamp((folder / JOURNAL).stat().st_mtime).strftime("%Y-%m-%d %H:%M")
    return tuple(map(one_line, (str(folder), state, str(len(view.trials)), spent, value, at, when)))
