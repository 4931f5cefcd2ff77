"""`hpo clean`: removes checkpoints, which nothing needs any more once a study is over."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from hpo_pipeline.commands.named import Folders, study_folders
from hpo_pipeline.errors import StudyError

if TYPE_CHECKING:
    from hpo_pipeline.executor.best_models import BestModels
    from hpo_pipeline.executor.checkpoints import Checkpoints
    from hpo_pipeline.saved_study import Study


def clean(
    studies: Folders = None,
    every: Annotated[
        bool, typer.Option("--all", help="Those too that an unfinished study would go on from; it trains them again.")
    ] = False,
    models: Annotated[bool, typer.Option("--models", help="Each trial's model, too; the study's best stays.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Remove them; without it, it says what it would.")] = False,
) -> None:
    """Remove checkpoints. The best model, logs and the journal stay."""
    from hpo_pipeline.saved_study import load_study

    folders = study_folders(studies)
    skipped = 0
    for folder in folders:
        try:
            _clean(load_study(folder), every, models, yes)
        except StudyError as error:
            skipped += 1
            print(f"hpo: {error}; left as it is", file=sys.stderr)
    if not yes and skipped < len(folders):
        print("Nothing was removed; --yes removes it.")
    if skipped:
        raise typer.Exit(2)


def _clean(study: Study, every: bool, models: bool, yes: bool) -> None:
    from hpo_pipeline.journal import Journal
    from hpo_pipeline.saved_study import JOURNAL, load_study

    if study.owner is not None:
        raise StudyError(f"{study.folder}: a tuner is at work on it ({study.owner})")
    if (study.folder / "trials").is_symlink():
        raise StudyError(f"{study.folder / 'trials'}: is a link, which isn't followed")
    if not yes:
        print(_said(study, every, models))
        return
    with Journal(study.folder / JOURNAL):  # so that no tuner begins meanwhile
        study = load_study(study.folder)
        print(_said(study, every, models))
        for kept, trials in _removable(study, every, models):
            for trial in trials:
                kept.discard(trial)


def _removable(study: Study, every: bool, models: bool) -> list[tuple[Checkpoints | BestModels, list[int]]]:
    """Where things are kept, and of which trials they can go."""
    from hpo_pipeline.executor.best_models import BestModels
    from hpo_pipeline.executor.checkpoints import Checkpoints
    from hpo_pipeline.trial import FINAL

    place, trials = study.folder / "trials", study.view.trials.values()
    ended = [trial.id for trial in trials if every or _is_over(study) or trial.state in FINAL]
    found: list[tuple[Checkpoints | BestModels, list[int]]] = [(Checkpoints(place), ended)]
    return [*found, (BestModels(place), ended)] if models else found


def _is_over(study: Study) -> bool:
    """Whether nothing of it is left to be done."""
    return study.view.end is not None and study.view.end["state"] == "completed"


def _said(study: Study, every: bool, models: bool) -> str:
    from hpo_pipeline.report.text import plural, size_text

    sizes = dict.fromkeys(study.view.trials, 0)
    for kept, trials in _removable(study, every, models):
        for trial in trials:
            sizes[trial] += kept.size(trial)
    of = plural(sum(size > 0 for size in sizes.values()), "trial")
    what = "checkpoints and models" if models else "checkpoints"
    left = "" if every or _is_over(study) else "; unfinished trials keep theirs (--all)"
    return f"{study.folder}: {size_text(sum(sizes.values()))} in {what} of {of}{left}"
