"""The models of a study's trials as of their best reports: at most one a trial, beside its checkpoint.

    trials/<id>/<resource>.<score>.<checksum>.best

The score is the float64 in hexadecimal. A trial that goes on learns from the name what there is to be better than.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpo_pipeline.atomic import put, remove
from hpo_pipeline.errors import StudyError
from hpo_pipeline.executor.checkpoints import content_checksum, names_in, size_of
from hpo_pipeline.objective import real_folder

_NAME = re.compile(r"([0-9]+)\.([0-9a-f]{16})\.([0-9a-f]{16})\.best")
_ASIDE = ".best.tmp"


@dataclass(slots=True)
class BestModel:
    """A trial's best report so far, and its model then.

    Attributes:
        score: minimised.
        snapshot: what is not written yet; None if it is.
    """

    resource: int
    score: float
    snapshot: Any = None

    @classmethod
    def named(cls, name: str) -> BestModel:
        """What the name of a kept model says; a ValueError where it is none."""
        if not (match := _NAME.fullmatch(name)):
            raise ValueError(f"{name} is no kept model")
        return cls(int(match[1]), struct.unpack(">d", bytes.fromhex(match[2]))[0])


class BestModels:
    """Those of a study's trials. Each is there whole or not at all, whenever a process is killed.

    Args:
        folder: the study's `trials` folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def save(self, trial_id: int, best: BestModel, write: Callable[[Path], object]) -> None:
        """Keeps what `write` writes, in place of what was kept of the trial before."""
        folder = real_folder(self._folder / str(trial_id))
        before = self._found(trial_id)
        aside = folder / _ASIDE
        remove(aside)
        try:
            write(aside)
            score = struct.pack(">d", best.score).hex()
            kept = folder / f"{best.resource}.{score}.{content_checksum(aside, trial_id, best.resource)}.best"
            put(aside, kept)
        finally:
            remove(aside)
        for _, old in before:
            if old != kept:
                remove(old)

    def known(self, trial_id: int, at_most: int) -> BestModel | None:
        """What was kept of a trial that goes on from the resource `at_most`; None if that is beyond, or nothing."""
        return next((best for best, _ in self._found(trial_id) if best.resource <= at_most), None)

    def paths(self, trial_id: int, at_most: float = math.inf) -> list[Path]:
        """Those that are kept of the trial, as of reports up to `at_most`; newest first."""
        return [path for best, path in self._found(trial_id) if best.resource <= at_most]

    def find(self, trial_id: int, resource: int) -> Path | None:
        """The model as of that report; None if it isn't there, or not what was kept."""
        for best, path in self._found(trial_id):
            try:
                is_whole = path.name.split(".")[2] == content_checksum(path, trial_id, resource)
            except (OSError, StudyError):
                continue
            if best.resource == resource and is_whole and path.is_file() and not path.is_symlink():
                return path
        return None

    def discard(self, trial_id: int) -> None:
        """Removes what was kept of the trial."""
        for _, path in self._found(trial_id):
            path.unlink(missing_ok=True)

    def size(self, trial_id: int) -> int:
        """The bytes that `discard` makes free."""
        return sum(size_of(path) for _, path in self._found(trial_id))

    def _found(self, trial_id: int) -> list[tuple[BestModel, Path]]:
        """All that there are, newest first: two after a crash."""
        found = [
            (BestModel.named(name), folder / name)
            for folder in [self._folder / str(trial_id)]
            for name in names_in(folder)
            if _NAME.fullmatch(name)
        ]
        return sorted(found, key=lambda one: one[0].resource, reverse=True)
