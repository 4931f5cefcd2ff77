"""Studies as MLflow knows them: what an earlier experiment tells a new study (warm start), and files of a study."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hpo_pipeline.errors import ConfigError, StudyError, nearest
from hpo_pipeline.evaluation import Metric
from hpo_pipeline.searcher.earlier import EarlierStudy, EarlierTrial
from hpo_pipeline.tracker import LostError, StoreDownError, UnusableStoreError
from hpo_pipeline.tracker.mlflow import sqlite
from hpo_pipeline.tracker.mlflow import uri as uris
from hpo_pipeline.tracker.mlflow.links import run_link, study_routes
from hpo_pipeline.tracker.mlflow.saved_view import view_key
from hpo_pipeline.tracker.mlflow.store import MLflowStore, RefusedError

_FAILED = "FAILED"


def studies(uri: str, experiment: str, metric: Metric) -> Sequence[EarlierStudy]:
    """The studies of an experiment, newest first, and what other runs it has as one more; none if it isn't there.

    A trial's score is its best value of the metric where its study was about that (`best.<metric>`), else its last one.

    Raises:
        ConfigError: the store can't be read.
    """
    path = uris.database_path(uri)
    try:
        if path is not None and sqlite.is_empty(path):  # MLflow would make one
            return []
        runs = MLflowStore(uri).runs(experiment)
    except (StoreDownError, LostError, UnusableStoreError, RefusedError, OSError, sqlite3.Error) as error:
        raise ConfigError(f"{uris.shown(uri)}: the experiment {experiment!r} can't be read ({error})") from None
    names = {run.info.run_id: run.info.run_name for run in runs if run.data.tags.get("hpo.role") == "study"}
    found: dict[str, list[EarlierTrial]] = {}
    for number, run in enumerate(runs):
        if run.info.run_id not in names and (run.info.status == _FAILED or _value(run, metric) is not None):
            parent = run.data.tags.get("mlflow.parentRunId")
            found.setdefault(parent if parent in names else "", []).append(_trial(run, number, metric))
    return [EarlierStudy(names.get(parent, experiment), trials) for parent, trials in found.items()]


def fetch(uri: str, study: str, files: Sequence[str], folder: Path) -> None:
    """Copies files of the latest study of this name, in whatever experiment, into a folder; the first must be there.

    Raises:
        ConfigError: the store can't be read, or has no such study, or not the first of its files.
    """
    path = uris.database_path(uri)
    try:
        store = None if path is not None and sqlite.is_empty(path) else MLflowStore(uri)  # MLflow would make one
        runs = store.studies() if store is not None else []
        found = next((run for run in runs if run.info.run_name == study), None)
        if store is None or found is None:
            names = list(dict.fromkeys(str(run.info.run_name) for run in runs))
            there = f"the latest are {', '.join(names[:5])}" if names else "there is none"
            raise ConfigError(f"{uris.shown(uri)} has no study {study!r}, {there}{nearest(study, names)}")
        for name in files:
            if store.has_file(found.info.run_id, name):
                store.fetch(found.info.run_id, name, folder)
            elif name == files[0]:
                what = f"the run of {study!r} in {uris.shown(uri)} has no {name}; a study's is there once it has ended"
                raise ConfigError(f"{what}; name its folder instead")
    except (StoreDownError, LostError, UnusableStoreError, RefusedError, OSError, sqlite3.Error) as error:
        raise ConfigError(f"{uris.shown(uri)}: the study {study!r} can't be read ({error})") from None


def study_folders(uri: str, experiment: str, files: Sequence[str], folder: Path) -> Mapping[str, Path]:
    """Copies files of each study of an experiment into a folder of its own; the newest run of a study counts.

    Args:
        files: names; a study that hasn't the first is left out.
        folder: gets a folder a study.

    Returns:
        What a study is called -> its folder, the oldest first.

    Raises:
        StudyError: the store can't be read, or has no such experiment.
    """
    path = uris.database_path(uri)
    try:
        store = None if path is not None and sqlite.is_empty(path) else MLflowStore(uri)  # MLflow would make one
        runs = store.runs(experiment) if store is not None else []
        newest: dict[str, Any] = {}
        for run in runs:
            if run.data.tags.get("hpo.role") == "study":
                newest.setdefault(run.data.tags.get("hpo.study_id", run.info.run_id), run)
        found: dict[str, Path] = {}
        for number, run in enumerate(reversed(newest.values())):
            if store is None or not store.has_file(run.info.run_id, files[0]):
                continue
            place = folder / str(number)
            place.mkdir()
            for name in files:
                if store.has_file(run.info.run_id, name):
                    store.fetch(run.info.run_id, name, place)
            called = str(run.info.run_name)
            found[called if called not in found else f"{called} ({run.info.run_id[:8]})"] = place
    except (StoreDownError, LostError, UnusableStoreError, RefusedError, OSError, sqlite3.Error) as error:
        raise StudyError(f"{uris.shown(uri)}: the experiment {experiment!r} can't be read ({error})") from None
    if not found:
        raise StudyError(f"{uris.shown(uri)}: there are no studies in an experiment {experiment!r}")
    return found


def routes(uri: str, study_id: str) -> dict[str, str]:
    """Where the UI shows the study of this id, in whatever experiment: what is there -> its route.

    Raises:
        StudyError: the store can't be read.
    """
    path = uris.database_path(uri)
    try:
        runs = [] if path is not None and sqlite.is_empty(path) else MLflowStore(uri).studies()
    except (StoreDownError, LostError, UnusableStoreError, RefusedError, OSError, sqlite3.Error) as error:
        raise StudyError(f"{uris.shown(uri)}: can't be read ({error})") from None
    run = next((run for run in runs if run.data.tags.get("hpo.study_id") == study_id), None)
    if run is None:
        return {}
    experiment, study = str(run.info.experiment_id), str(run.info.run_id)
    return study_routes(experiment, view_key(study)) | {"study": run_link(experiment, study)}


def _trial(run: Any, number: int, metric: Metric) -> EarlierTrial:
    own = run.data.tags.get("hpo.trial", "")[:19]  # as anybody has written it; more digits than a number of ours has
    value = None if run.info.status == _FAILED else _value(run, metric)
    score = math.inf if value is None else metric.score(value)
    return EarlierTrial(int(own) if own.isdecimal() else number, dict(run.data.params), score)


def _value(run: Any, metric: Metric) -> float | None:
    metrics: Mapping[str, float] = run.data.metrics
    return metrics.get(f"best.{metric.name}", metrics.get(metric.name))
