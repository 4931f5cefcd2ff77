"""What of a study is in MLflow already: folder/mlflow.json, written after each success."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(slots=True)
class Progress:
    """How far the store has followed the journal.

    Attributes:
        store, experiment: where the runs are; another store or experiment begins at the beginning.
        offset: bytes of the journal that the store holds.
        experiment_id, study: ids in MLflow; empty if not known yet.
        trials: trial id -> run id.
    """

    path: Path
    store: str
    experiment: str
    offset: int = 0
    experiment_id: str = ""
    study: str = ""
    trials: dict[int, str] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path, store: str, experiment: str) -> Progress:
        """What was saved for this store and experiment, else a new beginning."""
        new = cls(path, store, experiment)
        try:
            saved = json.loads(path.read_text(encoding="utf-8"))
            if (saved["store"], saved["experiment"]) != (store, experiment):
                return new
            trials = {int(trial): str(run) for trial, run in saved["trials"].items()}
            return cls(
                path, store, experiment, int(saved["offset"]), str(saved["experiment_id"]), str(saved["study"]), trials
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            # Nothing was saved, or it can't be read: all runs are looked up by their tags and written again.
            return new

    def restart(self) -> None:
        """Forgets everything: the runs are gone from the store."""
        self.offset, self.study = 0, ""
        self.trials.clear()

    def save(self) -> None:
        saved = {
            "store": self.store,
            "experiment": self.experiment,
            "offset": self.offset,
            "experiment_id": self.experiment_id,
            "study": self.study,
            "trials": {str(trial): run for trial, run in self.trials.items()},
        }
        part = self.path.with_name(self.path.name + ".part")
        part.write_text(json.dumps(saved), encoding="utf-8")
        os.replace(part, self.path)
