"""Which checkpoints a study's trials keep, and which one a job goes on from. How they are stored is in `store.py`.

trials/<id>/<resource>.adopted   the job to this resource has taken over another trial's checkpoint
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic

from hpo_pipeline.executor.store import CheckpointStore, DamagedError, FolderStore, State
from hpo_pipeline.objective import real_folder


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
        store: where they are; None for that folder.
    """

    def __init__(self, folder: Path, store: CheckpointStore | None = None) -> None:
        self._folder = folder
        self._store = store or FolderStore(folder)

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
        before = self._store.found(trial_id)
        older = [found for found in before if found.resource < resource]
        ends = [found for found in older if not found.midway]
        needed = (*older[:1], *ends[:1])
        dropped = [found for found in before if found.resource <= resource and found not in needed]
        self._store.save(trial_id, resource, write, midway=midway, instead_of=dropped)

    def load(self, trial_id: int, at_most: int, read: Callable[[Path], State]) -> Loaded[State]:
        """The newest checkpoint that is whole, from `at_most` down.

        Raises:
            Exception: what `read` raises of a whole checkpoint: it is that of another program or configuration.
        """
        problems: list[str] = []
        for found in self._store.found(trial_id):
            if found.resource <= at_most:
                try:
                    return Loaded(found.resource, self._store.load(found, read), problems)
                except DamagedError as error:
                    problems.append(f"{found.name}: {error}")
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
        dropped = [own for own in self._store.found(trial_id) if own.resource == at]

        def copy(path: Path) -> None:
            copied = shutil.copytree if path.is_dir() else shutil.copyfile
            self._store.save(trial_id, at, lambda aside: copied(path, aside), midway=False, instead_of=dropped)

        found = self.load(other, wanted, copy)
        mark.touch()
        if found.resource == wanted:
            return ""
        what = f"goes on with its own weights: trial {other} has no usable checkpoint"
        if found.resource:
            what = f"takes over trial {other} at {found.resource} instead of {wanted}"
        return f"{what} ({'; '.join(found.problems)})" if found.problems else what

    def discard(self, trial_id: int) -> None:
        """Removes the trial's checkpoints, and what is left of one that was not finished."""
        self._store.discard(trial_id)
