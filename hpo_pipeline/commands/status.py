"""`hpo status`: how far studies are."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hpo_pipeline.commands.named import Folders, study_folders
from hpo_pipeline.errors import StudyError, one_line

if TYPE_CHECKING:
    from hpo_pipeline.saved_study import Study


def status(
    studies: Folders = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON line a study.")] = False,
) -> None:
    """Say how far studies are, running ones too.

    State, progress, the best trial, and the workers by node where reports say so.
    Without a name, those in runs/ that are at work, or else the latest one.
    """
    from hpo_pipeline.saved_study import load_study

    folders = study_folders(studies)
    damaged: list[str] = []
    for folder in folders if studies else _of_interest(folders):
        try:
            study = load_study(folder)
            print(_line(study) if as_json else _text(study))
        except StudyError as error:
            damaged.append(str(error))
    for line in damaged:
        print(f"hpo: {one_line(line)}", file=sys.stderr)
    if damaged:
        raise typer.Exit(2)


def _of_interest(folders: list[Path]) -> list[Path]:
    """Those at work, or else the latest."""
    from hpo_pipeline.at_work import owner_of
    from hpo_pipeline.saved_study import JOURNAL

    latest = sorted(folders, key=lambda folder: (folder / JOURNAL).stat().st_mtime)[-1:]
    return [folder for folder in folders if owner_of(folder / JOURNAL)] or latest


def _line(study: Study) -> str:
    from hpo_pipeline.report.overview import overview

    owner = study.owner
    found = {
        "name": study.name,
        "folder": str(study.folder),
        "state": study.state,
        **overview(study.view, study.config),
    }
    found["owner"] = {"host": owner.host, "pid": owner.pid, "silent": owner.silent} if owner else None
    return json.dumps(_plain(found))


def _plain(value: object) -> object:
    """Numbers that JSON can't hold as text, as in the journal."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    is_wild = isinstance(value, float) and (value != value or value in (float("inf"), float("-inf")))
    return str(value) if is_wild else value


def _text(study: Study) -> str:
    from hpo_pipeline.report.overview import overview_lines

    owner = study.owner
    where = f" ({owner})" if owner else ""
    reason = "" if owner or study.view.end is None else str(study.view.end.get("reason", ""))
    head = f"{study.folder}: {study.state}{where}" + (f": {reason}" if reason else "")
    choices = study.choices
    kind = [choices[group] for group in ("scheduler", "searcher", "model", "dataset") if group in choices]
    lines = [f"study     {', '.join(kind)}"] if kind else []
    lines += overview_lines(study.view, study.config)
    if study.state in ("interrupted", "broken off") and not study.is_training:
        lines.append(f"go on     hpo tune name={study.folder.name} resume=true")
    return "\n".join([one_line(head), *(f"  {one_line(line)}" for line in lines)])
