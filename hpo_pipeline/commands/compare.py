"""`hpo compare`: studies as methods of several seeds each."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hpo_pipeline.commands.named import study_folders
from hpo_pipeline.errors import StudyError, one_line

if TYPE_CHECKING:
    from hpo_pipeline.analysis.comparable import Source

PAGE = Path("comparison.html")
_MOST_NAMED = 3


def compare(
    studies: Annotated[
        list[Path] | None, typer.Argument(metavar="[STUDY]...", help="Studies, or folders that hold studies.")
    ] = None,
    by: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY", help="What makes a method, scheduler or scheduler.eta; else all that differs."),
    ] = None,
    metric: Annotated[str | None, typer.Option(help="Another metric than their first.")] = None,
    mode: Annotated[str | None, typer.Option(help="min or max, of a metric that they only report.")] = None,
    target: Annotated[
        float | None, typer.Option(help="The value to reach; else the worst method's final median.")
    ] = None,
    to: Annotated[Path, typer.Option(help="The page to write.")] = PAGE,
    experiment: Annotated[str | None, typer.Option(help="Compare the studies of this MLflow experiment, too.")] = None,
    uri: Annotated[str | None, typer.Option(help="Where it is; else MLFLOW_TRACKING_URI, or mlflow.db here.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON line in place of the table.")] = False,
) -> None:
    """Compare methods over seeds: which is better, how sure, and when.

    Studies that differ in their seeds alone are one method. Writes a page, too, that opens offline.
    """
    from hpo_pipeline.comparison import compare_sources
    from hpo_pipeline.report.comparison.rows import plain
    from hpo_pipeline.report.comparison.table import print_table

    if uri is not None and experiment is None:
        raise StudyError("--uri says where an MLflow experiment is: name it, --experiment NAME")
    if not studies and experiment is None:
        raise StudyError("name studies, a folder that holds them, or --experiment NAME of MLflow")
    sources = [*_of_folders(studies or []), *(_of_experiment(experiment, uri) if experiment is not None else [])]
    found = compare_sources(sources, by or [], metric, mode, target)
    try:
        page = found.write(to)
    except OSError as error:
        raise StudyError(f"{to}: can't be written ({error.strerror or error}); choose another: --to …") from None
    if as_json:
        print(json.dumps({**plain(found.found), "page": str(page)}))
        return
    print_table(found.found, target is None)
    print(f"The curves are in {page}")


def _of_folders(names: list[Path]) -> list[Source]:
    """Trainings that lie among studies, in a folder that is named, are passed over."""
    from hpo_pipeline.comparison import source_of
    from hpo_pipeline.saved_study import JOURNAL

    named: list[Source] = []
    passed: list[Source] = []
    for name in names:
        for folder in study_folders([name]):
            source = source_of(folder)
            is_among = name.is_dir() and not (name / JOURNAL).is_file()
            (passed if is_among and source.study.is_training else named).append(source)
    if passed:
        told = ", ".join(each.where for each in passed[:_MOST_NAMED])
        more = f" and {len(passed) - _MOST_NAMED} more" if len(passed) > _MOST_NAMED else ""
        print(f"hpo: left out, as they are single trainings: {told}{more}", file=sys.stderr)
    return named


def _of_experiment(experiment: str, uri: str | None) -> list[Source]:
    """As the study's runs have them: their journals are among the files."""
    from dataclasses import replace

    from hpo_pipeline.comparison import source_of
    from hpo_pipeline.saved_study import CONFIG, JOURNAL
    from hpo_pipeline.tracker.mlflow import MLflowTracker

    sources = []
    with tempfile.TemporaryDirectory() as folder:
        found = MLflowTracker(uri, experiment).study_folders((JOURNAL, CONFIG), Path(folder))
        for name, place in found.items():
            source = source_of(place)
            _ = source.study.config  # is read now: the folder goes
            state = source.state if source.study.view.end is not None else "not over in MLflow"
            sources.append(replace(source, where=one_line(name), state=state))
    return sources
