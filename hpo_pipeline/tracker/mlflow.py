"""MLflow as a study's log and user interface. The only module that imports mlflow, and only when a store is opened.

A thread of its own follows the journal (writer.py); the study hands it nothing and waits for nothing. Runs are made
by `MlflowClient` with explicit ids: MLflow's active run and its asynchronous logging are not used.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hpo_pipeline.errors import ConfigError
from hpo_pipeline.tracker import sqlite
from hpo_pipeline.tracker import uri as uris
from hpo_pipeline.tracker.schema import Point, Update
from hpo_pipeline.tracker.store import RefusedError, StoreDownError, UnusableStoreError
from hpo_pipeline.tracker.writer import Writer

_log = logging.getLogger(__name__)
_PAGE = 1000
_ENVIRONMENT = {
    # The client's own retries hold a call for minutes and may make a run twice; the writer retries itself.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}


class MLflowTracker:
    """Writes one parent run a study and one child run a trial.

    Args:
        uri: tracking URI: a database (sqlite, postgresql, mysql, mssql) or a server (http, https, databricks). None is
            MLFLOW_TRACKING_URI or, without it, mlflow.db in the current directory.
        experiment: name of the MLflow experiment; it is made if there is none.
        window: seconds between two looks at the journal. What happened meanwhile is written together.
        saved_view: keep a page of charts for each study under "Views" in the UI.

    Raises:
        ConfigError: an argument is wrong. Nothing is opened here.
    """

    def __init__(
        self, uri: str | None = None, experiment: str = "hpo", window: float = 0.5, saved_view: bool = True
    ) -> None:
        uri = uri or os.environ.get("MLFLOW_TRACKING_URI") or "sqlite:///mlflow.db"
        problems = uris.problems(uri)
        if not isinstance(experiment, str) or not 0 < len(experiment) <= 500:
            problems.append(f"experiment: must be a name of 1 to 500 characters, got {experiment!r}; choose another")
        if isinstance(window, bool) or not isinstance(window, (int, float)) or not 0 < window <= 60:
            problems.append(f"window: must be more than 0 and at most 60 seconds, got {window!r}; the default is 0.5")
        if problems:
            raise ConfigError(problems)
        self.uri = uris.absolute(uri)
        self.experiment = experiment
        self.window = float(window)
        self.saved_view = bool(saved_view)
        self._writer: Writer | None = None
        self._thread: threading.Thread | None = None

    def start(self, folder: Path, config: dict[str, Any], commands: dict[str, str]) -> None:
        """Starts to follow folder/journal.jsonl; returns at once."""
        self._writer = Writer(self.open, self.uri, self.experiment, folder, config, commands)
        self._writer.window, self._writer.saved_view = self.window, self.saved_view
        self._thread = threading.Thread(target=self._writer.run, name="mlflow", daemon=True)
        self._thread.start()

    def close(self, timeout: float) -> str:
        """Writes what is left, for at most `timeout` seconds; returns how to look at it, or what is missing."""
        if self._writer is None or self._thread is None:
            return ""
        self._writer.closing.set()
        self._thread.join(timeout)
        self._writer.abandoned.set()
        return self._writer.text()

    def open(self) -> Store:
        """Opens the store, which takes seconds: mlflow is imported, and a new database gets its tables.

        Raises:
            StoreDownError, UnusableStoreError: not now, or never.
        """
        return Store(self.uri)


class Store:
    """The few calls of MLflow that are needed, with its errors told apart.

    Every method raises StoreDownError where a later try may succeed, and RefusedError where it can't.
    """

    def __init__(self, uri: str) -> None:
        for name, value in _ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        self.uri = uri
        self.database = uris.database_path(uri)
        for noisy in ("mlflow.store.db.utils", "mlflow.tracking.fluent", "alembic"):
            logging.getLogger(noisy).setLevel(logging.WARNING)
        try:
            from mlflow import MlflowClient

            if self.database is None:
                self._client = MlflowClient(uri)
            else:
                with sqlite.creation(self.database):
                    self._client = MlflowClient(uri)
                    self._client.search_experiments(max_results=1)
        except Exception as error:
            raise _opening_error(error, uris.shown(uri)) from error

    def experiment(self, name: str) -> str:
        """Id of the experiment, which is made if there is none.

        Raises:
            UnusableStoreError: somebody has deleted it.
        """
        with _told_apart():
            found = self._client.get_experiment_by_name(name)
        if found is None:
            tags = {"mlflow.experimentKind": "custom_model_development"}
            # Refused: another study has just made it.
            with contextlib.suppress(RefusedError), _told_apart():
                self._client.create_experiment(name, self._artifacts(), tags)
            with _told_apart():
                found = self._client.get_experiment_by_name(name)
        if found is None:
            raise StoreDownError(f"experiment {name!r} could not be made")
        if found.lifecycle_stage != "active":
            raise UnusableStoreError(
                f"the experiment {name!r} has been deleted; restore it with `mlflow experiments restore "
                f"--experiment-id {found.experiment_id}`, or choose another tracker.experiment"
            )
        return str(found.experiment_id)

    def _artifacts(self) -> str | None:
        # Without a server MLflow would put them below the current directory of whoever comes first.
        if uris.scheme(self.uri) in uris.SERVERS:
            return None
        beside = self.database.parent if self.database else Path.cwd()
        return (beside / "mlartifacts").as_uri()

    def tag_experiment(self, experiment_id: str, key: str, value: str) -> None:
        with _told_apart():
            self._client.set_experiment_tag(experiment_id, key, value)

    def exists(self, run_id: str) -> bool:
        """Whether the run is there and not deleted."""
        try:
            with _told_apart():
                return bool(self._client.get_run(run_id).info.lifecycle_stage == "active")
        except RefusedError:
            return False

    def find(self, experiment_id: str, tag: str, value: str) -> str | None:
        """Id of the run that bears this tag."""
        with _told_apart():
            runs = self._client.search_runs([experiment_id], f"tags.`{tag}` = '{value}'", max_results=1)
        return str(runs[0].info.run_id) if runs else None

    def children(self, experiment_id: str, study: str) -> dict[int, str]:
        """Trial id -> run id of all trials of a study."""
        found: dict[int, str] = {}
        token: str | None = None
        while True:
            with _told_apart():
                page = self._client.search_runs(
                    [experiment_id], f"tags.`mlflow.parentRunId` = '{study}'", max_results=_PAGE, page_token=token
                )
            found |= {int(run.data.tags["hpo.trial"]): run.info.run_id for run in page if "hpo.trial" in run.data.tags}
            token = page.token
            if not token:
                return found

    def create(self, experiment_id: str, name: str, tags: dict[str, str], time: int) -> str:
        with _told_apart():
            run = self._client.create_run(experiment_id, start_time=time, tags=tags, run_name=name)
        return str(run.info.run_id)

    def log(self, run_id: str, update: Update) -> list[str]:
        """Adds params, metrics and tags; returns what MLflow refuses to take, each as a line for people."""
        if not (update.params or update.metrics or update.tags):
            return []
        try:
            self._log(run_id, update.params, update.metrics, update.tags)
        except RefusedError:
            return [*self._log_singly(run_id, update)]
        return []

    def _log_singly(self, run_id: str, update: Update) -> Iterator[str]:
        singles = [
            *(Update(params={key: value}) for key, value in update.params.items()),
            *(Update(metrics=[point]) for point in update.metrics),
            *(Update(tags={key: value}) for key, value in update.tags.items()),
        ]
        for single in singles:
            try:
                self._log(run_id, single.params, single.metrics, single.tags)
            except RefusedError as error:
                yield f"{single.params or single.tags or single.metrics[0]}: {error}"

    def _log(self, run_id: str, params: dict[str, str], metrics: list[Point], tags: dict[str, str]) -> None:
        from mlflow.entities import Metric, Param, RunTag

        with _told_apart():
            self._client.log_batch(
                run_id,
                metrics=[Metric(*point) for point in metrics],
                params=[Param(*item) for item in params.items()],
                tags=[RunTag(*item) for item in tags.items()],
                synchronous=True,
            )

    def set_status(self, run_id: str, status: str, time: int) -> None:
        with _told_apart():
            if status == "RUNNING":
                self._client.update_run(run_id, status)
            else:
                self._client.set_terminated(run_id, status, time)

    def text(self, run_id: str, name: str, content: str) -> None:
        with _told_apart():
            self._client.log_text(run_id, content, name)

    def file(self, run_id: str, path: Path, folder: str | None = None) -> None:
        with _told_apart():
            self._client.log_artifact(run_id, str(path), folder)

    def analyze(self) -> None:
        """Keeps sorting by metric fast (SQLite only)."""
        if self.database is not None:
            sqlite.analyze(self.database)


def _opening_error(error: Exception, uri: str) -> Exception:
    """What went wrong when the store was opened, and what to do if no later try can succeed."""
    told = str(error)
    if "out-of-date database schema" in told or "Can't locate revision" in told:
        return UnusableStoreError(
            f"{uri} was made by another version of MLflow; back it up and run `mlflow db upgrade {uri}`, "
            "or choose another tracker.uri"
        )
    if isinstance(error, ImportError):
        return UnusableStoreError(f"{told}; install what is missing, or use tracker=none")
    hopeless = isinstance(error, (PermissionError, NotADirectoryError, FileExistsError, sqlite3.DatabaseError))
    if hopeless and "locked" not in told:
        return UnusableStoreError(f"{uri} can't be opened ({told}); choose another tracker.uri")
    return StoreDownError(told)


@contextlib.contextmanager
def _told_apart() -> Iterator[None]:
    """Turns MLflow's errors into RefusedError (the data is at fault) or StoreDownError (anything else)."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        if error.error_code in (
            "INVALID_PARAMETER_VALUE",
            "RESOURCE_DOES_NOT_EXIST",
            "RESOURCE_ALREADY_EXISTS",
            "BAD_REQUEST",
        ):
            raise RefusedError(str(error)) from error
        raise StoreDownError(str(error)) from error
    except Exception as error:
        raise StoreDownError(f"{type(error).__name__}: {error}") from error
