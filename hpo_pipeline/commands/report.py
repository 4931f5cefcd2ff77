"""`hpo report`: report.html of a study, running ones too."""

from __future__ import annotations

from hpo_pipeline.commands.named import Folder, study_folder


def report(study: Folder) -> None:
    """Write report.html, what was found in one file that opens offline."""
    from hpo_pipeline.report.page import write_report

    print(write_report(study_folder(study)))
