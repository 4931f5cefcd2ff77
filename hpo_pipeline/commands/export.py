"""`hpo export`: a study as tables that other programs read."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated

import typer

from hpo_pipeline.commands.named import Folder, study_folder
from hpo_pipeline.errors import StudyError


class Format(enum.StrEnum):
    """What tables are written as."""

    CSV = "csv"
    PARQUET = "parquet"


def export(
    study: Folder,
    to: Annotated[Path | None, typer.Option(help="Folder to write into.", show_default="STUDY/export")] = None,
    format: Annotated[Format, typer.Option(help="Parquet needs pyarrow.")] = Format.CSV,
) -> None:
    """Write trials, rung evaluations and reports as CSV or Parquet."""
    from hpo_pipeline.atomic import replacing
    from hpo_pipeline.report.frames import write
    from hpo_pipeline.saved_study import load_study

    folder = study_folder(study)
    if to is None and (folder / "export").is_symlink():
        raise StudyError(f"{folder / 'export'}: is a link, which isn't followed; choose a folder: --to …")
    place = to or folder / "export"
    found = load_study(folder)
    tables = {"trials": found.trials.reset_index(), "evaluations": found.evaluations, "reports": found.reports}
    try:
        place.mkdir(parents=True, exist_ok=True)
        for name, table in tables.items():
            path = place / f"{name}.{format.value}"
            with replacing(path) as aside:
                write(table, aside, parquet=format is Format.PARQUET)
            print(f"{path}  {len(table)} rows")
    except ImportError:
        raise StudyError("Parquet needs pyarrow, which is not installed; pip install pyarrow") from None
    except OSError as error:
        raise StudyError(f"{place}: can't be written ({error.strerror or error}); choose another: --to …") from None
