"""A study's best model as a LoggedModel of MLflow, which anybody loads with `mlflow.pyfunc.load_model`.

It is an exported program (`torch.export`, MLflow's serialization format "pt2"): a graph and its weights, without Python
code and without pickle, so whoever loads it needs neither this project nor trust in it.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpo_pipeline.garbage import uncollected
from hpo_pipeline.objective.kept_model import FOLDER, METRICS, opened
from hpo_pipeline.tracker.mlflow.naming import number

NAME = "best"
_STUDY, _PLACE, _MODEL = "hpo.study_id", "hpo.best", "hpo.model_id"


@dataclass(frozen=True, slots=True)
class KeptModel:
    """What lies in `best/`, as far as its metrics.json tells.

    Attributes:
        trial, resource: whose model it is, and as of which report.
        metrics: what was measured then.
    """

    trial: int
    resource: int
    metrics: Mapping[str, float]

    @staticmethod
    def of(folder: Path) -> KeptModel | None:
        """None where there is none."""
        place = folder / FOLDER
        if place.is_symlink() or not (place / METRICS).is_file():
            return None
        told = json.loads((place / METRICS).read_bytes())
        return KeptModel(int(told["trial"]), int(told["resource"]), dict(told["metrics"]))


def log_model(
    client: Any, experiment_id: str, study_id: str, kept: KeptModel, folder: Path, runs: Sequence[str]
) -> str | None:
    """Logs the model, once; returns its id, or None where it can't be described.

    Args:
        runs: whose output it is, the trial's first.
    """
    from mlflow.entities import LoggedModelOutput, LoggedModelStatus, Metric

    place = f"{kept.trial}:{kept.resource}"
    mine = f"tags.`{_STUDY}` = '{study_id}' AND tags.`{_PLACE}` = '{place}'"
    there = client.search_logged_models([experiment_id], filter_string=mine)
    for model in there:
        if model.status == LoggedModelStatus.READY:
            return str(model.model_id)
    objective, config, weights = opened(folder)
    shape = objective.input_shape(weights)
    if shape is None:
        return None
    module = objective.load_model(config, weights)
    tags = {_STUDY: study_id, _PLACE: place}
    made = client.create_logged_model(experiment_id, NAME, source_run_id=runs[0], tags=tags)
    try:
        with tempfile.TemporaryDirectory() as scratch, uncollected():
            _save(module, shape, Path(scratch, "model"), made)
            client.log_model_artifacts(made.model_id, str(Path(scratch, "model")))
        client.finalize_logged_model(made.model_id, LoggedModelStatus.READY)
    except BaseException:
        client.finalize_logged_model(made.model_id, LoggedModelStatus.FAILED)
        raise
    for run_id in runs:
        client.log_outputs(run_id, [LoggedModelOutput(made.model_id, kept.resource)])
    now = made.creation_timestamp
    values = {name: number(value) for name, value in kept.metrics.items() if isinstance(value, (int, float))}
    of_model = {"model_id": made.model_id, "run_id": runs[0]}
    points = [Metric(name, value, now, kept.resource, **of_model) for name, value in values.items()]
    client.log_batch(runs[0], metrics=points)
    return str(made.model_id)


@contextlib.contextmanager
def _without_lightning() -> Iterator[None]:
    """MLflow imports Lightning where it is installed, for two seconds; only what trains with it needs it."""
    name = "pytorch_lightning"
    hidden = name not in sys.modules
    if hidden:
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if hidden:
            sys.modules.pop(name, None)


def prepare() -> None:
    """Imports what exporting takes, which are seconds that a study in training has and one that has ended hasn't."""
    if "torch" not in sys.modules:  # no objective here trains with it
        return
    with uncollected(), contextlib.suppress(ImportError):  # whoever needs it will say so
        with _without_lightning():
            importlib.import_module("mlflow.pytorch")
        importlib.import_module("torch.export._trace")  # else torch.export imports it when it is called


def _save(module: Any, shape: tuple[int, ...], path: Path, made: Any) -> None:
    import numpy as np
    from mlflow.models import Model

    with _without_lightning():
        import mlflow.pytorch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's about weights that are not on a processor: these are
        # Of two examples the signature follows, with any number of them; of one, the program would take nothing else.
        mlflow.pytorch.save_model(
            module,
            path,
            mlflow_model=Model(run_id=made.source_run_id, model_id=made.model_id),
            input_example=np.zeros((2, *shape), np.float32),
            serialization_format="pt2",
            pip_requirements=["mlflow", "torch", "numpy"],
        )


def register_model(
    client: Any, name: str, alias: str, model_id: str, run_id: str, tags: Mapping[str, str]
) -> tuple[str, str]:
    """Makes a logged model the newest version of a registered one, once, and the one that the alias leads to.

    Returns:
        The version, and the URI that loads it.
    """
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    there = client.search_model_versions(f"name = '{name}'")
    found = next((version for version in there if version.tags.get(_MODEL) == model_id), None)
    is_new = found is None
    if found is None:
        # Not models:/<id>, which MLflow looks up in whatever store is the process's default.
        source = client.get_logged_model(model_id).artifact_location
        found = client.create_model_version(name, source, run_id, {_MODEL: model_id, **tags}, model_id=model_id)
    version = str(found.version)
    # It may have been moved on since the version was made; where there is none, that was cut short.
    leads_to = "" if is_new else str(client.get_registered_model(name).aliases.get(alias, ""))
    if not leads_to:
        client.set_registered_model_alias(name, alias, version)
    return version, f"models:/{name}@{alias}" if leads_to in ("", version) else f"models:/{name}/{version}"
