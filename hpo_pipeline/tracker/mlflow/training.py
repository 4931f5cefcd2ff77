"""One training as one MLflow run: what `train.py` leaves behind, beside the studies of the same experiment."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hpo_pipeline.tracker import Closed, Tracker
from hpo_pipeline.tracker.mlflow import MLflowTracker
from hpo_pipeline.tracker.mlflow import uri as uris
from hpo_pipeline.tracker.mlflow.naming import TAG_LENGTH, Keys, clipped, scalars, text
from hpo_pipeline.tracker.mlflow.people import how_to_look, run_link
from hpo_pipeline.tracker.mlflow.schema import Point, Update, milliseconds

_log = logging.getLogger(__name__)
Curve = Sequence[tuple[int, Mapping[str, float], float]]


def log_training(
    tracker: Tracker,
    folder: Path,
    config: Mapping[str, Any],
    name: str,
    curve: Curve,
    tags: Mapping[str, str],
    model_path: Path | None,
    final_metrics: Mapping[str, float],
) -> Closed:
    """Writes a run when the training is over, and waits for it. Says so if that fails, and never raises.

    Args:
        tracker: of the composed config; any but MLflow's writes nothing.
        folder: of the training; its config.yaml becomes an artifact.
        config: the composed training config: nested, plain, resolved. Its scalars become parameters.
        name: of the run.
        curve: (resource, metrics, seconds since the epoch) of each unit of resource.
        tags: tag -> value.
        model_path: the saved model, which becomes an artifact; None if there is none.
        final_metrics: measured once at the end, e.g. the error on the test set.

    Returns:
        Where to look, or what is missing.
    """
    if not isinstance(tracker, MLflowTracker):
        return Closed(complete=True)
    try:
        store = tracker.open()
        experiment_id = store.experiment(tracker.experiment)
        begun, ended = _span(curve)
        run_id = store.create(experiment_id, name, {"hpo.role": "training"}, begun)
        for line in store.log(run_id, _content(config, curve, tags, final_metrics, ended)):
            _log.warning("MLflow refuses %s", line)
        for path in (folder / "config.yaml", model_path):
            if path is not None and path.exists():
                store.file(run_id, path)
        store.set_status(run_id, "FINISHED", ended)
    except Exception as error:
        told = uris.masked(str(error), tracker.uri)
        return Closed(False, f"MLflow has not taken this training ({told}); it is in {folder}")
    return Closed(True, how_to_look(tracker.uri, tracker.experiment, run_link(experiment_id, run_id)))


def _span(curve: Curve) -> tuple[int, int]:
    """When the training began and ended, in milliseconds; now if it measured nothing."""
    if not curve:
        now = milliseconds(time.time())
        return now, now
    _, metrics, first = curve[0]
    return milliseconds(first - metrics.get("seconds", 0.0)), milliseconds(curve[-1][2])


def _content(
    config: Mapping[str, Any],
    curve: Curve,
    tags: Mapping[str, str],
    final_metrics: Mapping[str, float],
    ended: int,
) -> Update:
    keys = Keys()
    update = Update(
        params={keys(path): text(value) for path, value in scalars(config)},
        tags={keys(key): clipped(value, TAG_LENGTH) for key, value in tags.items()},
    )
    measured = [(resource, metrics, milliseconds(when)) for resource, metrics, when in curve]
    measured.append((curve[-1][0] if curve else 0, final_metrics, ended))
    for resource, metrics, when in measured:
        for key, value in metrics.items():
            update.metrics.append(Point(keys(key), value if math.isfinite(value) else math.nan, when, resource))
    return update
