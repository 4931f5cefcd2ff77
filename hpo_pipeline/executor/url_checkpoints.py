"""Checkpoints of a study's trials at a URL that fsspec opens (s3, gs, sftp, a mounted file system, ...).

    <url>/<trial>/<resource>.<checksum>.ckpt, ...    an archive of what `checkpoints.py` would have kept in the folder

Tuner and workers go there by themselves, each with the credentials that it finds where it runs.
"""

from __future__ import annotations

import contextlib
import importlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from hpo_pipeline.errors import StudyError, describe
from hpo_pipeline.executor.archive import read_archive, write_archive
from hpo_pipeline.executor.checkpoints import Checkpoints, DamagedError, State, Stored, content_checksum


def checkpoints_in(folder: Path, url: str) -> Checkpoints:
    """The study's: in its `trials` folder, or at the URL if there is one."""
    return UrlCheckpoints(folder, url) if url else Checkpoints(folder)


class UrlCheckpoints(Checkpoints):
    """Those at a URL.

    Args:
        folder: the `trials` folder, for what else belongs to a trial.
        url: of a folder of this study alone.

    Raises:
        StudyError: no such kind of URL is known here, or a package for it is missing.
    """

    def __init__(self, folder: Path, url: str) -> None:
        super().__init__(folder)
        fsspec: Any = importlib.import_module("fsspec")

        try:
            found: tuple[Any, str] = fsspec.core.url_to_fs(url)
        except (ValueError, ImportError) as error:
            raise StudyError(f"{url} can't be opened ({describe(error)})") from None
        self._files, self._root = found

    def discard(self, trial_id: int) -> None:
        super().discard(trial_id)
        with contextlib.suppress(OSError):
            self._files.rm(self._place(trial_id), recursive=True)

    def drop(self, trial_id: int) -> None:
        for path in self.paths(trial_id):
            self._files.rm_file(path.as_posix())

    def _place(self, trial_id: int) -> str:
        return f"{self._root.rstrip('/')}/{trial_id}"

    def _names(self, trial_id: int) -> Iterator[tuple[str, Path]]:
        place = self._place(trial_id)
        self._files.invalidate_cache()
        try:
            found = self._files.ls(place, detail=False)
        except FileNotFoundError:
            return
        for path in found:
            yield Path(path).name, Path(path)

    def _keep(
        self,
        trial_id: int,
        resource: int,
        write: Callable[[Path], object],
        instead_of: Sequence[Stored],
        *,
        midway: bool = False,
    ) -> None:
        with tempfile.TemporaryDirectory(prefix="hpo_pipeline_") as folder:
            aside = Path(folder, "checkpoint")
            name = self._written(aside, trial_id, resource, write, midway=midway)
            place = self._place(trial_id)
            self._files.makedirs(place, exist_ok=True)
            with self._files.open(f"{place}/.{name}.tmp", "wb") as stream:
                write_archive(aside, stream)
        self._files.mv(f"{place}/.{name}.tmp", f"{place}/{name}")
        for old in instead_of:
            if old.path.name != name:
                with contextlib.suppress(OSError):
                    self._files.rm_file(old.path.as_posix())

    def _read(self, trial_id: int, found: Stored, read: Callable[[Path], State]) -> State:
        with tempfile.TemporaryDirectory(prefix="hpo_pipeline_") as folder:
            path = Path(folder, "checkpoint")
            try:
                with self._files.open(found.path.as_posix(), "rb") as stream:
                    read_archive(stream, path)
                checksum = content_checksum(path, trial_id, found.resource)
            except (OSError, StudyError) as error:
                raise DamagedError(f"can't be read ({describe(error)})") from None
            if found.checksum != checksum:
                raise DamagedError("is damaged, or another trial's: its content doesn't match the checksum in its name")
            return read(path)
