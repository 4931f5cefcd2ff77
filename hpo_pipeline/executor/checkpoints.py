"""The checkpoints of a study's trials: which are kept, which one a job goes on from, and how they are stored.

    trials/<id>/<resource>.<checksum>.ckpt          where a job ended: others may go on from there
    trials/<id>/<resource>.<checksum>.midway.ckpt   on the way, against crashes
    trials/<id>/<resource>.ckpt                     as older versions wrote it, without a checksum
    trials/<id>/<resource>.adopted                  the job to this resource has taken over another trial's checkpoint

Each is what an objective wrote, a file or a folder. The checksum is that of the content, the trial and the resource:
what was damaged, cut short, renamed or copied from another trial doesn't match its name. No symbolic link is followed.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from hpo_pipeline.atomic import put, remove
from hpo_pipeline.errors import StudyError, describe
from hpo_pipeline.objective import WORKING, real_folder

State = TypeVar("State")

_NAME = re.compile(r"([0-9]+)(?:\.([0-9a-f]{16})(\.midway)?)?\.ckpt")
_ASIDE = re.compile(r"\.[0-9]+\.ckpt\.tmp")


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
    """Those of a study's trials. Each is there whole or not at all, whenever a process is killed.

    Args:
        folder: the study's `trials` folder. The private methods alone know how they are kept there.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def save(self, trial_id: int, resource: int, write: Callable[[Path], object], *, midway: bool) -> None:
        """Keeps what `write` writes; then removes what is older but for the newest and the last job's end.

        The newest of the older ones stays until the report that belongs to this one is recorded, and the last job's
        end until this job's own is: others may go on from there.

        Args:
            write: called with the path to write a file or folder to.
            midway: whether the job goes on.

        Raises:
            StudyError: `write` wrote none.
        """
        before = self._found(trial_id)
        older = [found for found in before if found.resource < resource]
        ends = [found for found in older if not found.midway]
        needed = (*older[:1], *ends[:1])
        dropped = [found for found in before if found.resource <= resource and found not in needed]
        self._keep(trial_id, resource, write, dropped, midway=midway)

    def load(self, trial_id: int, at_most: int, read: Callable[[Path], State]) -> Loaded[State]:
        """The newest checkpoint that is whole, from `at_most` down.

        Raises:
            Exception: what `read` raises of a whole checkpoint: it is that of another program or configuration.
        """
        problems: list[str] = []
        for found in self._found(trial_id):
            if found.resource <= at_most:
                try:
                    return Loaded(found.resource, self._read(trial_id, found, read), problems)
                except DamagedError as error:
                    problems.append(f"{found.path.name}: {error}")
        return Loaded(problems=problems)

    def adopt(self, trial_id: int, at: int, source: tuple[int, int], until: int) -> str:
        """Makes another trial's checkpoint the trial's own at `at`: once, for the job to `until`.

        When the job is handed out again after a crash, the other trial may have gone on and dropped that checkpoint.

        Args:
            source: trial id and resource. If that checkpoint is unusable it is the other trial's newest before it.

        Returns:
            What people should know, in one line; empty if all went as it was meant to.
        """
        mark = real_folder(self._folder / str(trial_id)) / f"{until}.adopted"
        if mark.exists():
            return ""
        other, wanted = source
        dropped = [own for own in self._found(trial_id) if own.resource == at]

        def copy(path: Path) -> None:
            copied = shutil.copytree if path.is_dir() else shutil.copyfile
            self._keep(trial_id, at, lambda aside: copied(path, aside), dropped)

        found = self.load(other, wanted, copy)
        mark.touch()
        if found.resource == wanted:
            return ""
        what = f"goes on with its own weights: trial {other} has no usable checkpoint"
        if found.resource:
            what = f"takes over trial {other} at {found.resource} instead of {wanted}"
        return f"{what} ({'; '.join(found.problems)})" if found.problems else what

    def paths(self, trial_id: int) -> list[Path]:
        """The trial's checkpoints, newest first."""
        return [found.path for found in self._found(trial_id)]

    def drop(self, trial_id: int) -> None:
        """Removes the trial's checkpoints alone."""
        for path in self.paths(trial_id):
            _remove(path)

    def discard(self, trial_id: int) -> None:
        """Removes the trial's checkpoints, what is left of one that was not finished, and what objectives work with."""
        for path in self._discarded(trial_id):
            _remove(path)

    def size(self, trial_id: int) -> int:
        """The bytes that `discard` makes free; no link is followed."""
        return sum(map(size_of, self._discarded(trial_id)))

    def _discarded(self, trial_id: int) -> list[Path]:
        return [
            self._folder / str(trial_id) / name
            for name in names_in(self._folder / str(trial_id))
            if name == WORKING or _NAME.fullmatch(name) or _ASIDE.fullmatch(name)
        ]

    def _found(self, trial_id: int) -> list[Stored]:
        """All that there are of a trial, newest first."""
        found = [
            Stored(path, int(match[1]), match[2] or "", match[3] is not None)
            for name, path in self._names(trial_id)
            if (match := _NAME.fullmatch(name))
        ]
        return sorted(found, key=lambda one: (one.resource, one.checksum != ""), reverse=True)

    def _names(self, trial_id: int) -> Iterator[tuple[str, Path]]:
        """What there is where the trial's checkpoints are kept: names, and where that is."""
        folder = self._folder / str(trial_id)
        yield from ((name, folder / name) for name in names_in(folder))

    def _keep(
        self,
        trial_id: int,
        resource: int,
        write: Callable[[Path], object],
        instead_of: Sequence[Stored],
        *,
        midway: bool = False,
    ) -> None:
        """Keeps what `write` writes; when no power cut can take it, removes `instead_of`."""
        folder = real_folder(self._folder / str(trial_id))
        aside = folder / f".{resource}.ckpt.tmp"
        _remove(aside)
        try:
            kept = folder / self._written(aside, trial_id, resource, write, midway=midway)
            if kept.is_dir():
                _remove(kept)  # the same content, or damaged: no folder can take another's place
            put(aside, kept, durable=bool(instead_of))
        finally:
            _remove(aside)
        for old in instead_of:
            if old.path != kept:
                _remove(old.path)

    @staticmethod
    def _written(aside: Path, trial_id: int, resource: int, write: Callable[[Path], object], *, midway: bool) -> str:
        """Has the checkpoint written aside; returns the name that its content gives it."""
        write(aside)
        try:
            checksum = content_checksum(aside, trial_id, resource)
        except (FileNotFoundError, DamagedError) as error:
            raise StudyError(f"the objective's save wrote no file or folder to the path that it got: {error}") from None
        return f"{resource}.{checksum}{'.midway' * midway}.ckpt"

    def _read(self, trial_id: int, found: Stored, read: Callable[[Path], State]) -> State:
        try:
            checksum = content_checksum(found.path, trial_id, found.resource)
        except OSError as error:
            raise DamagedError(f"can't be read ({error.strerror or error})") from None
        if found.checksum not in ("", checksum):
            raise DamagedError("is damaged, or another trial's: its content doesn't match the checksum in its name")
        try:
            return read(found.path)
        except Exception as error:
            if found.checksum:
                raise
            raise DamagedError(describe(error)) from None


@dataclass(frozen=True, slots=True)
class Stored:
    """A checkpoint by its name. `checksum`: empty for one of an older version; `midway`: its job went on."""

    path: Path
    resource: int
    checksum: str
    midway: bool


class DamagedError(StudyError):
    """A checkpoint isn't what was saved."""


def names_in(folder: Path) -> list[str]:
    """What is in a trial's folder; nothing, where it is a link, or not there."""
    try:
        return [] if folder.is_symlink() else os.listdir(folder)
    except OSError:
        return []


def size_of(path: Path) -> int:
    """Bytes in a file, or in all that is in a folder; no link is followed."""
    if path.is_dir() and not path.is_symlink():
        return sum(size_of(path / name) for name in names_in(path))
    try:
        return path.lstat().st_size
    except OSError:
        return 0


def _parts(path: Path) -> Iterator[Path]:
    """The file, or the folder and all that is in it, in an order that is always the same."""
    mode = path.lstat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise DamagedError(f"{path.name} is neither a file nor a folder")
    yield path
    if stat.S_ISDIR(mode):
        for name in sorted(os.listdir(path)):
            yield from _parts(path / name)


def content_checksum(path: Path, trial_id: int, resource: int) -> str:
    """Of a file or folder that is this trial's at this resource; an OSError or StudyError where it is neither."""
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
