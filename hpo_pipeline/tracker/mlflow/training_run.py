"""What a training (train.py) looks like in MLflow: one run, beside the studies of the same experiment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hpo_pipeline.records import Record
from hpo_pipeline.report.files import MODEL
from hpo_pipeline.tracker.mlflow.links import run_link
from hpo_pipeline.tracker.mlflow.naming import TAG_LENGTH, Keys, clipped, number, scalars, text
from hpo_pipeline.tracker.mlflow.update import Point, RunKey, Update, milliseconds


class TrainingRun:
    """What StudyRuns is to a study; there is one run, and no trials. `commands` has "train", which trains it again."""

    files = ("config.yaml", MODEL)
    trials: frozenset[int] = frozenset()
    complete = True

    def __init__(self, study: Record, config: Mapping[str, Any], commands: Mapping[str, str]) -> None:
        self._config = config
        self._command = commands.get("train", "")
        self._keys = Keys()

    def apply(self, record: Record) -> Iterator[tuple[RunKey, Update]]:
        """A unit of resource is a point of each curve, and so is what was measured on the test set at the end."""
        now = milliseconds(record["time"])
        match record["event"]:
            case "study":
                params = {self._keys(path): text(value) for path, value in scalars(self._config)}
                tags = {"hpo.role": "training", "hpo.study_id": str(record["id"])}
                tags["hpo.command"] = clipped(self._command, TAG_LENGTH)
                yield None, Update(created=(str(record["name"]), now), params=params, tags=tags)
            case "report" | "test":
                metrics = record["metrics"].items()
                points = [Point(self._keys(name), number(value), now, record["resource"]) for name, value in metrics]
                yield None, Update(metrics=points)
            case "end":
                yield None, Update(status=("FINISHED", now))

    def standing(self, experiment_id: str, trial_runs: Mapping[int, str]) -> Update:
        return Update()

    def saved_view(self, run_id: str) -> dict[str, str]:
        return {}

    def link(self, experiment_id: str, run_id: str, *, with_view: bool) -> str:
        return run_link(experiment_id, run_id)
