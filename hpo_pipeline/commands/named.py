"""Which studies a command line names: folders of studies, folders that hold studies, or bare names of ones in runs/."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from hpo_pipeline.errors import StudyError

RUNS = Path("runs")
Folder = Annotated[Path, typer.Argument(metavar="STUDY", help="A study's folder, or its name if it is in runs/.")]
Folders = Annotated[
    list[Path] | None,
    typer.Argument(metavar="[STUDY]...", help="Studies, or folders that hold studies; runs/ if none is given."),
]


def study_folder(name: Path) -> Path:
    """The folder of one study.

    Raises:
        StudyError: it is none; says which ones there are.
    """
    from hpo_pipeline.saved_study import journal_of

    is_bare = len(name.parts) == 1 and not os.path.exists(name)
    return journal_of(RUNS / name if is_bare else name).parent


def study_folders(names: Sequence[Path] | None) -> list[Path]:
    """The folders of all studies that are named, each once.

    Raises:
        StudyError: one is no study, and holds none.
    """
    from hpo_pipeline.saved_study import JOURNAL, studies_in

    found: list[Path] = []
    for name in names or [RUNS]:
        within = studies_in(name) if os.path.isdir(name) and not os.path.isfile(name / JOURNAL) else []
        if not names and not within and not RUNS.exists():
            raise StudyError("there are no studies here, as there is no folder runs; name the folder that has them")
        found += within or [study_folder(name)]
    return list(dict.fromkeys(found))
