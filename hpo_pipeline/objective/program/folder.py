"""What `objective=command` keeps in a trial's directory.

checkpoint/      the program's own; it writes what it likes, when it likes
reports.jsonl    what it has reported, so that a crash of its worker costs no report
config.json      the trial's config
"""

from __future__ import annotations

import json
import os
import shutil
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpo_pipeline.atomic import remove, write_text
from hpo_pipeline.errors import StudyError
from hpo_pipeline.objective import WORKING, TrialSpec, real_folder
from hpo_pipeline.objective.program.reports import Reported

_PROGRESS = "progress.json"
_CHECKPOINT = "checkpoint"


@dataclass(frozen=True, slots=True)
class Folder:
    """Both folders are absolute, and there."""

    working: Path
    directory: Path

    @classmethod
    def of(cls, trial: TrialSpec) -> Folder:
        """Raises StudyError: there is something else in the place of a folder."""
        directory = trial.directory.absolute()
        return cls(real_folder(directory.parent / WORKING), directory)

    @property
    def checkpoint(self) -> Path:
        """The program's checkpoint folder, made if it isn't there.

        Raises:
            StudyError: it is a link, or no folder.
        """
        return real_folder(self.working / _CHECKPOINT)

    @property
    def has_checkpoint(self) -> bool:
        return any(self.checkpoint.iterdir())

    @property
    def _reports(self) -> Path:
        return self.working / "reports.jsonl"

    def clear(self) -> None:
        """As it is for a new trial."""
        remove(self._reports)
        self.clear_checkpoint()

    def clear_checkpoint(self) -> None:
        remove(self.working / _CHECKPOINT)

    def write_config(self, config: Mapping[str, Any]) -> Path:
        """The file with the trial's config."""
        path = self.working / "config.json"
        write_text(path, json.dumps(config, indent=1, default=str) + "\n")
        return path

    def add_report(self, at: int, report: Reported) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0)
        with open(os.open(self._reports, flags, 0o644), "a", encoding="utf-8") as file:
            file.write(json.dumps([at, report.metrics, report.finished]) + "\n")

    def reports(self, after: int) -> dict[int, Reported]:
        """Those that follow on resource `after` without a gap."""
        found: dict[int, Reported] = {}
        try:
            lines = self._reports.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError):
            return {}
        for line in lines:
            try:
                at, metrics, finished = json.loads(line)
                values = {str(name): float(value) for name, value in metrics.items()}
                found[int(at)] = Reported(int(at), values, bool(finished))
            except (ValueError, TypeError, AttributeError):
                continue  # cut short by a crash
        following: dict[int, Reported] = {}
        while (at := after + 1 + len(following)) in found:
            following[at] = found[at]
        return following

    def save(self, path: Path, resource: int, trial_id: Any, *, at_rest: bool) -> None:
        """Writes a checkpoint for `load`. While the program runs, its own is not copied: it may be writing it."""
        path.mkdir()
        progress = {"resource": resource, "trial": trial_id, "at_rest": at_rest}
        (path / _PROGRESS).write_text(json.dumps(progress))
        if at_rest and self.has_checkpoint:
            _copy(self.checkpoint, path / _CHECKPOINT)

    def load(self, path: Path, trial_id: Any) -> int:
        """Makes the program's checkpoint what it was; returns the resource.

        Where the program was running, its own checkpoint is whatever it has written since; the trial's reports up to
        there are kept.

        Raises:
            StudyError: it is no such checkpoint, or can't be used for this trial.
        """
        try:
            progress = json.loads((path / _PROGRESS).read_bytes())
            resource, at_rest = progress["resource"], progress["at_rest"]
            if type(resource) is not int or type(at_rest) is not bool:
                raise TypeError("it doesn't say how far it came")
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise StudyError(f"{path}: not a checkpoint ({error!r}); remove it and run the trial again") from None
        if not at_rest:
            if progress.get("trial") != trial_id:
                raise StudyError(f"{path}: another trial's, and made while its program was at work; remove it")
            return resource
        self.clear()
        if (path / _CHECKPOINT).is_dir():
            _copy(path / _CHECKPOINT, self.working / _CHECKPOINT)
        return resource


def _copy(there: Path, here: Path) -> None:
    """Copies a folder: what its links lead to, and none of its pipes and sockets."""

    def left_out(folder: str, names: list[str]) -> list[str]:
        return [name for name in names if not _can_be_copied(Path(folder, name))]

    shutil.copytree(there, here, ignore=left_out)


def _can_be_copied(path: Path) -> bool:
    """Not where a link leads nowhere, or to a folder that it is in."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return stat.S_ISREG(mode) or (stat.S_ISDIR(mode) and not path.parent.resolve().is_relative_to(path.resolve()))
