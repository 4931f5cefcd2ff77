"""Where checkpoints are stored: the interface, and the store that is a folder of this machine.

    trials/<id>/<resource>.<checksum>.ckpt          where a job ended: others may go on from there
    trials/<id>/<resource>.<checksum>.midway.ckpt   on the way, against crashes
    trials/<id>/<resource>.ckpt                     as older versions wrote it, without a checksum

Each is what an objective wrote, a file or a folder. The checksum is that of the content, the trial and the resource:
what was damaged, cut short, renamed or copied from another trial doesn't match its name. No symbolic link is followed.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from hpo_pipeline.atomic import put, remove
from hpo_pipeline.errors import StudyError, describe
from hpo_pipeline.objective import real_folder

State = TypeVar("State")

_NAME = re.compile(r"([0-9]+)(?:\.([0-9a-f]{16})(\.midway)?)?\.ckpt")
_ASIDE = re.compile(r"\.[0-9]+\.ckpt\.tmp")


class DamagedError(StudyError):
    """A checkpoint isn't what was saved."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One that is stored, under a `name` unlike all others of its trial. `midway`: its job went on."""

    trial_id: int
    resource: int
    midway: bool
    name: str


class CheckpointStore(Protocol):
    """Keeps the checkpoints of a study's trials. Each is there whole or not at all, whenever a process is killed.

    save(0, 3, write, midway=False, instead_of=());  [one] = found(0);  load(one, read);  discard(0)
    """

    def found(self, trial_id: int) -> list[Checkpoint]:
        """All that there are of a trial, newest first."""
        ...

    def save(
        self,
        trial_id: int,
        resource: int,
        write: Callable[[Path], object],
        *,
        midway: bool,
        instead_of: Sequence[Checkpoint],
    ) -> None:
        """Keeps what `write` writes to the path that it gets; when no power cut can take it, removes `instead_of`.

        Raises:
            StudyError: `write` wrote no file or folder.
        """
        ...

    def load(self, checkpoint: Checkpoint, read: Callable[[Path], State]) -> State:
        """What `read` makes of the path where the checkpoint is while it reads.

        Raises:
            DamagedError: it isn't what was saved.
        """
        ...

    def discard(self, trial_id: int) -> None:
        """Removes all that there are of a trial, and what is left of one that was not finished."""
        ...


class FolderStore:
    """Keeps them in the study's `trials` folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def found(self, trial_id: int) -> list[Checkpoint]:
        found = [
            Checkpoint(trial_id, int(match[1]), match[3] is not None, name)
            for name in self._names(trial_id)
            if (match := _NAME.fullmatch(name))
        ]
        return sorted(found, key=lambda one: (one.resource, _named_checksum(one) != ""), reverse=True)

    def save(
        self,
        trial_id: int,
        resource: int,
        write: Callable[[Path], object],
        *,
        midway: bool,
        instead_of: Sequence[Checkpoint],
    ) -> None:
        folder = real_folder(self._folder / str(trial_id))
        aside = folder / f".{resource}.ckpt.tmp"
        _remove(aside)
        try:
            write(aside)
            try:
                checksum = _checksum(aside, trial_id, resource)
            except (FileNotFoundError, _NotPlainError) as error:
                raise StudyError(
                    f"the objective's save wrote no file or folder to the path that it got: {error}"
                ) from None
            kept = folder / f"{resource}.{checksum}{'.midway' * midway}.ckpt"
            if kept.is_dir():
                _remove(kept)  # the same content, or damaged: no folder can take another's place
            put(aside, kept, durable=bool(instead_of))
        finally:
            _remove(aside)
        for old in instead_of:
            if old.name != kept.name:
                _remove(folder / old.name)

    def load(self, checkpoint: Checkpoint, read: Callable[[Path], State]) -> State:
        path, named = self._folder / str(checkpoint.trial_id) / checkpoint.name, _named_checksum(checkpoint)
        try:
            checksum = _checksum(path, checkpoint.trial_id, checkpoint.resource)
        except OSError as error:
            raise DamagedError(f"can't be read ({error.strerror or error})") from None
        if named not in ("", checksum):
            raise DamagedError("is damaged, or another trial's: its content doesn't match the checksum in its name")
        try:
            return read(path)
        except Exception as error:
            if named:
                raise
            raise DamagedError(describe(error)) from None

    def discard(self, trial_id: int) -> None:
        for name in self._names(trial_id):
            if _NAME.fullmatch(name) or _ASIDE.fullmatch(name):
                _remove(self._folder / str(trial_id) / name)

    def _names(self, trial_id: int) -> list[str]:
        """What is in the trial's folder; nothing, where it is a link."""
        folder = self._folder / str(trial_id)
        try:
            return [] if folder.is_symlink() else os.listdir(folder)
        except OSError:
            return []


class _NotPlainError(OSError):
    """There is something else than files and folders."""


def _named_checksum(checkpoint: Checkpoint) -> str:
    """That which its name bears; empty for one of an older version."""
    match = _NAME.fullmatch(checkpoint.name)
    return (match and match[2]) or ""


def _parts(path: Path) -> Iterator[Path]:
    """The file, or the folder and all that is in it, in an order that is always the same.

    Raises:
        OSError: there is nothing, or a link, a pipe or the like.
    """
    mode = path.lstat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise _NotPlainError(f"{path.name} is neither")
    yield path
    if stat.S_ISDIR(mode):
        for name in sorted(os.listdir(path)):
            yield from _parts(path / name)


def _checksum(path: Path, trial_id: int, resource: int) -> str:
    digest = hashlib.sha256(f"trial {trial_id} at {resource}\n".encode())
    for part in _parts(path):
        is_file = part.is_file()
        if part != path or not is_file:
            digest.update(f"{str(part.relative_to(path))!r} {part.stat().st_size if is_file else 'folder'}\n".encode())
        if is_file:
            with open(part, "rb") as file:
                hashlib.file_digest(file, lambda: digest)
    return digest.hexdigest()[:16]


def _remove(path: Path) -> None:
    """What can't be removed is left: that ends no study."""
    with contextlib.suppress(OSError):
        remove(path)
