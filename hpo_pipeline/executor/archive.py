"""A checkpoint, file or folder, as one stream of bytes: a tar archive."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path
from typing import IO, Any

from hpo_pipeline.atomic import remove
from hpo_pipeline.errors import StudyError

_NAME = "it"


def write_archive(path: Path, stream: IO[bytes]) -> None:
    """Writes the file or folder to a stream, which need not be seekable."""
    with tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        archive.add(path, arcname=_NAME)


def read_archive(stream: Any, path: Path) -> None:
    """Makes `path` what was written. Nothing is written but that, and what is in it if it is a folder.

    Args:
        stream: has `read`.

    Raises:
        StudyError: it is damaged, or nothing that `write_archive` has written.
        OSError: it can't be read, or `path` can't be written.
    """
    aside = path.parent / f"{path.name}.incoming"
    remove(aside)
    try:
        with tarfile.open(fileobj=stream, mode="r|") as archive:
            archive.extractall(aside, filter="data")
        os.replace(aside / _NAME, path)
    except (tarfile.TarError, EOFError) as error:
        raise StudyError(f"what has arrived is damaged ({error})") from None
    finally:
        remove(aside)
