"""`hpo report`: report.html of a study, running ones too."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from hpo_pipeline.commands.named import Folder, study_folder
from hpo_pipeline.errors import StudyError


def report(study: Folder) -> None:
    """Write report.html, what was found in one file that opens offline."""
    folder = study_folder(study)
    try:
        page: Any = importlib.import_module("hpo_pipeline.report.page")
    except ModuleNotFoundError:
        raise StudyError("this version of hpo_pipeline writes no report.html") from None
    path: Path = page.write_report(folder)
    print(path)
