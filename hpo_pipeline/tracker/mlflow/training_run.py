"""What a training (train.py) looks like in MLflow: one run, beside the studies of the same experiment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hpo_pipeline.records import Record
from hpo_pipeline.report.files import MODEL
from hpo_pipeline.report.text import metric_text, short
from hpo_pipeline.tracker.mlflow.links import run_link
from hpo_pipeline.tracker.mlflow.naming import TAG_LENGTH, Keys, clipped, escaped, number
from hpo_pipeline.tracker.mlflow.params import components, training_params
from hpo_pipeline.tracker.mlflow.source import source_tags
from hpo_pipeline.tracker.mlflow.update import Point, RunKey, Update, milliseconds


class TrainingRun:
    """What StudyRuns is to a study; there is one run, and no trials. `commands` has "train", which trains it again."""

    files = ("config.yaml", "data.json", MODEL)
    trials: frozenset[int] = frozenset()
    complete = True

    def __init__(self, study: Record, config: Mapping[str, Any], commands: Mapping[str, str]) -> None:
        self._config = config
        self._command = commands.get("train", "")
        self._unit = str(study.get("unit", "")) or "resource"
        self._keys = Keys()
        self._seconds, self._resource, self._measured = 0.0, 0, ""
        self.dataset = components(config).get("dataset", "data")

    def apply(self, record: Record) -> Iterator[tuple[RunKey, Update]]:
        """A unit of resource is a point of each curve, and so is what was measured on the test set at the end."""
        now = milliseconds(record["time"])
        match record["event"]:
            case "study":
                params = training_params(self._config)
                tags = {"hpo.role": "training", "hpo.study_id": str(record["id"]), **source_tags(self._command)}
                tags["hpo.command"] = clipped(self._command, TAG_LENGTH)
                yield None, Update(created=(str(record["name"]), now), params=params, tags=tags)
            case "report" | "test":
                metrics = record["metrics"].items()
                points = [Point(self._keys(name), number(value), now, record["resource"]) for name, value in metrics]
                self._seconds += record["metrics"].get("seconds", 0.0)
                self._resource = record["resource"]
                measured = (f"{name} {metric_text(value)}" for name, value in metrics if name != "seconds")
                self._measured = ", ".join(measured)
                yield None, Update(metrics=points)
            case "end":
                told = f"Trained to {self._unit} {self._resource}: {self._measured}; {short(self._seconds, 3)} s."
                tags = {"hpo.seconds": short(self._seconds, 4), "mlflow.note.content": escaped(told)}
                yield None, Update(tags=tags, status=("FINISHED", now))

    def standing(self, experiment_id: str, trial_runs: Mapping[int, str]) -> Update:
        return Update()

    def saved_view(self, run_id: str) -> dict[str, str]:
        return {}

    def links(self, experiment_id: str, run_id: str, *, with_view: bool) -> dict[str, str]:
        return {"run": run_link(experiment_id, run_id)}
