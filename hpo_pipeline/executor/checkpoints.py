"""The store of checkpoints: whatever file an objective writes, kept whole, named by what it is, found again.

    trials/<id>/<resource>.<checksum>.ckpt          where a job ended: others may go on from there
    trials/<id>/<resource>.<checksum>.midway.ckpt   on the way, against crashes
    trials/<id>/<resource>.ckpt                     as older versions wrote it, without a checksum
    trials/<id>/<resource>.adopted                  the job to this resource has taken over another trial's checkpoint

The checksum is that of the content, the trial and the resource: a file that was damaged, cut short, renamed or copied
from another trial doesn't match its name. A checkpoint is on the disk, under its name, before another one is removed.
Nothing follows a symbolic link.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from hpo_pipeline.errors import StudyError, describe

State = TypeVar("State")

_NAME = re.compile(r"([0-9]+)(?:\.([0-9a-f]{16})(\.midway)?)?\.ckpt")
_ASIDE = re.compile(r"\.[0-9]+\.ckpt\.tmp")


@dataclass(frozen=True, slots=True)
class _Checkpoint:
    """A file that has the name of one. `checksum` is empty for one of an older version."""

    path: Path
    resource: int
    checksum: str
    midway: bool


@dataclass(frozen=True, slots=True)
class Loaded(Generic[State]):
    """Where a trial goes on.

    Attributes:
        resource: where that is; 0, with no state, if there is nothing to go on from.
        problems: a line for each newer checkpoint that can't be used.
    """

    resource: int = 0
    state: State | None = None
    problems: list[str] = field(default_factory=list)


class Checkpoints:
    """Those of a study's trials.

    Args:
        folder: the study's `trials` folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def folder(self, trial_id: int) -> Path:
        """The trial's folder, made if it isn't there.

        Raises:
            StudyError: it is a link, or no folder.
        """
        folder = self._folder / str(trial_id)
        with contextlib.suppress(FileExistsError):
            folder.mkdir(parents=True)
        if folder.is_symlink() or not folder.is_dir():
            raise StudyError(f"{folder}: must be a folder, and no link to one; remove it")
        return folder

    def save(self, trial_id: int, resource: int, write: Callable[[Path], object], *, midway: bool) -> None:
        """Keeps what `write` writes; then removes what is older but for the newest and the last job's end.

        The newest of the older ones stays until the report that belongs to this one is recorded, and the last job's
        end until this job's own is: others may go on from there.

        Args:
            write: called with the path to write a file to.
            midway: whether the job goes on.

        Raises:
            StudyError: `write` wrote no file.
        """
        folder = self.folder(trial_id)
        before = self._found(trial_id)
        older = [found for found in before if found.resource < resource]
        ends = [found for found in older if not found.midway]
        needed = (*older[:1], *ends[:1])
        dropped = [found for found in before if found.resource <= resource and found not in needed]
        with _aside(folder, resource) as aside:
            write(aside)
            if aside.is_symlink() or not aside.is_file():
                raise StudyError("the objective's save wrote no file to the path that it got")
            _keep(aside, trial_id, resource, dropped, midway=midway)

    def load(self, trial_id: int, at_most: int, read: Callable[[Path], State]) -> Loaded[State]:
        """The newest checkpoint that is whole, from `at_most` down.

        Raises:
            Exception: what `read` raises of a whole checkpoint: it is that of another program or configuration.
        """
        problems: list[str] = []
        for found in self._found(trial_id):
            if found.resource > at_most:
                continue
            problem = _damage(found, trial_id)
            if not problem:
                try:
                    return Loaded(found.resource, read(found.path), problems)
                except Exception as error:
                    if found.checksum:
                        raise
                    problem = describe(error)
            problems.append(f"{found.path.name}: {problem}")
        return Loaded(problems=problems)

    def adopt(self, trial_id: int, at: int, source: tuple[int, int], until: int) -> str:
        """Makes another trial's checkpoint the trial's own at `at`: once, for the job to `until`.

        When the job is handed out again after a crash, the other trial may have gone on and dropped that checkpoint.

        Args:
            source: trial id and resource. If that checkpoint is unusable it is the other trial's newest before it.

        Returns:
            What people should know, in one line; empty if all went as it was meant to.
        """
        mark = self.folder(trial_id) / f"{until}.adopted"
        if mark.exists():
            return ""
        other, wanted = source
        problems = []
        for found in self._found(other):
            if found.resource > wanted:
                continue
            if problem := _damage(found, other):
                problems.append(f"{found.path.name}: {problem}")
                continue
            self._copy(found, trial_id, at)
            mark.touch()
            if found.resource == wanted:
                return ""
            return _line(f"takes over trial {other} at {found.resource} instead of {wanted}", problems)
        mark.touch()
        return _line(f"goes on with its own weights: trial {other} has no usable checkpoint", problems)

    def _copy(self, found: _Checkpoint, trial_id: int, at: int) -> None:
        dropped = [own for own in self._found(trial_id) if own.resource == at]
        with _aside(self.folder(trial_id), at) as aside:
            shutil.copyfile(found.path, aside)
            _keep(aside, trial_id, at, dropped, midway=False)

    def discard(self, trial_id: int) -> None:
        """Removes the trial's checkpoints, and what is left of one that was not finished."""
        folder = self._folder / str(trial_id)
        for name in _names(folder):
            if _NAME.fullmatch(name) or _ASIDE.fullmatch(name):
                _remove(folder / name)

    def _found(self, trial_id: int) -> list[_Checkpoint]:
        """All that have the name of one, newest first; of one resource, those with a checksum first."""
        folder = self._folder / str(trial_id)
        found = [
            _Checkpoint(folder / name, int(match[1]), match[2] or "", match[3] is not None)
            for name in _names(folder)
            if (match := _NAME.fullmatch(name))
        ]
        return sorted(found, key=lambda one: (one.resource, one.checksum != ""), reverse=True)


def _keep(aside: Path, trial_id: int, resource: int, dropped: list[_Checkpoint], *, midway: bool) -> None:
    """Gives a finished file its name; if others go for it, when it is on the disk."""
    kept = aside.with_name(f"{resource}.{_checksum(aside, trial_id, resource)}{'.midway' * midway}.ckpt")
    if dropped:
        _sync(aside)
    os.replace(aside, kept)
    if dropped:
        _sync(kept.parent)
    for found in dropped:
        if found.path != kept:
            _remove(found.path)


def _names(folder: Path) -> list[str]:
    """What is in a trial's folder; nothing, where it is a link."""
    try:
        return [] if folder.is_symlink() else os.listdir(folder)
    except OSError:
        return []


def _damage(found: _Checkpoint, trial_id: int) -> str:
    """Why a file can't be used; empty if nothing speaks against it."""
    if found.path.is_symlink() or not found.path.is_file():
        return "is not a file of this folder"
    try:
        if found.checksum in ("", _checksum(found.path, trial_id, found.resource)):
            return ""
    except OSError as error:
        return f"can't be read ({error.strerror})"
    return "is damaged, or another trial's: its content doesn't match the checksum in its name"


def _checksum(path: Path, trial_id: int, resource: int) -> str:
    digest = hashlib.sha256(f"trial {trial_id} at {resource}\n".encode())
    with open(path, "rb") as file:
        hashlib.file_digest(file, lambda: digest)
    return digest.hexdigest()[:16]


@contextlib.contextmanager
def _aside(folder: Path, resource: int) -> Iterator[Path]:
    """A name to write to, free, and free again at the end."""
    path = folder / f".{resource}.ckpt.tmp"
    path.unlink(missing_ok=True)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def _remove(path: Path) -> None:
    """Whatever stands there instead of a checkpoint is left: that ends no study."""
    with contextlib.suppress(OSError):
        path.unlink()


def _sync(path: Path) -> None:
    """Returns when the file, or the names in the folder, are on the disk."""
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _line(what: str, problems: list[str]) -> str:
    return f"{what} ({'; '.join(problems)})" if problems else what
