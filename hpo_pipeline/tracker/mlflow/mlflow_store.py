"""MLflow as a store of runs. The only module that imports mlflow, and only when a store is opened.

Runs are made by `MlflowClient` with explicit ids: MLflow's active run and its asynchronous logging are not used.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import filelock

from hpo_pipeline.tracker.mlflow import sqlite
from hpo_pipeline.tracker.mlflow import uri as uris
from hpo_pipeline.tracker.mlflow.people import deleted_experiment
from hpo_pipeline.tracker.mlflow.schema import Point, Update
from hpo_pipeline.tracker.mlflow.store import LostError, RefusedError, StoreDownError, UnusableStoreError

_PAGE = 1000
_ENVIRONMENT = {
    # The client's own retries hold a call for minutes and may make a run twice; the writer retries itself.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
_REFUSALS = ("INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST", "RESOURCE_ALREADY_EXISTS", "BAD_REQUEST")


class MLflowStore:
    """The few calls of MLflow that are needed, with its errors told apart.

    Every method raises StoreDownError where a later try may succeed, RefusedError where it can't, and LostError where
    what it writes to was deleted. Their texts hold no password.

    Args:
        uri: tracking URI. Opening takes seconds: mlflow is imported, and a new database gets its tables.

    Raises:
        StoreDownError, UnusableStoreError: not now, or never.
    """

    def __init__(self, uri: str) -> None:
        for name, value in _ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        self.uri = uri
        self.database = uris.database_path(uri)
        for noisy in ("mlflow.tracking.fluent", "alembic"):
            logging.getLogger(noisy).setLevel(logging.WARNING)
        # What it logs it raises as well, and there passwords are masked.
        logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
        try:
            from mlflow import MlflowClient

            if self.database is not None:
                sqlite.make(self.database, self._make_tables)
            self._client = MlflowClient(uri)
            if self.database is not None:
                self._renew_connections()
                self._client.search_experiments(max_results=1)
        except Exception as error:
            raise self._opening_error(error) from None
        self._identity = sqlite.identity(self.database) if self.database else None

    def _make_tables(self, path: Path) -> None:
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

        store: Any = SqlAlchemyStore(f"sqlite:///{path.as_posix()}", self._artifacts())  # type: ignore[no-untyped-call]
        store.engine.dispose()

    def _renew_connections(self) -> None:
        """Those that MLflow keeps open may lead to a file that was deleted since."""
        from sqlalchemy import event

        store: Any = self._client._tracking_client.store
        store.engine.dispose()
        if not event.contains(store.engine, "connect", sqlite.relax):
            event.listen(store.engine, "connect", sqlite.relax)

    def check(self) -> None:
        """Raises LostError if the database was deleted or replaced: SQLite goes on writing into the deleted file."""
        if self.database is not None and sqlite.identity(self.database) != self._identity:
            raise LostError(f"{self.database} was deleted or replaced")

    def answer(self) -> None:
        """Does nothing but ask whether it may."""
        with self._told_apart():
            self._client.search_experiments(max_results=1)

    def experiment(self, name: str) -> str:
        """Id of the experiment, which is made if there is none.

        Raises:
            UnusableStoreError: somebody has deleted it.
        """
        with self._told_apart():
            found = self._client.get_experiment_by_name(name)
        if found is None:
            tags = {"mlflow.experimentKind": "custom_model_development"}
            # Refused: another study has just made it.
            with contextlib.suppress(RefusedError), self._told_apart():
                self._client.create_experiment(name, self._artifacts(), tags)
            with self._told_apart():
                found = self._client.get_experiment_by_name(name)
        if found is None:
            raise StoreDownError(f"experiment {name!r} could not be made")
        if found.lifecycle_stage != "active":
            told = deleted_experiment(self.uri, name, found.experiment_id)
            raise UnusableStoreError(f"{told}, or choose another tracker.experiment")
        return str(found.experiment_id)

    def _artifacts(self) -> str | None:
        # Without a server MLflow would put them below the current directory of whoever comes first.
        if uris.scheme(self.uri) in uris.SERVERS:
            return None
        beside = self.database.parent if self.database else Path.cwd()
        return (beside / "mlartifacts").as_uri()

    def tag_experiment(self, experiment_id: str, key: str, value: str) -> None:
        with self._told_apart():
            self._client.set_experiment_tag(experiment_id, key, value)

    def tags(self, run_id: str) -> dict[str, str]:
        """The run's tags; empty if it isn't there, or deleted."""
        try:
            with self._told_apart():
                run = self._client.get_run(run_id)
        except RefusedError:
            return {}
        return dict(run.data.tags) if run.info.lifecycle_stage == "active" else {}

    def find(self, experiment_id: str, tag: str, value: str) -> str | None:
        """Id of the run that bears this tag."""
        with self._told_apart():
            runs = self._client.search_runs([experiment_id], f"tags.`{tag}` = '{value}'", max_results=1)
        return str(runs[0].info.run_id) if runs else None

    def trials(self, experiment_id: str, study_id: str) -> dict[int, str]:
        """Trial id -> run id of all trials of a study, by their tag hpo.uid."""
        found: dict[int, str] = {}
        token: str | None = None
        mine = f"tags.`hpo.uid` LIKE '{study_id}:%'"
        while True:
            with self._told_apart():
                page = self._client.search_runs([experiment_id], mine, max_results=_PAGE, page_token=token)
            for run in page:
                study, _, trial = run.data.tags["hpo.uid"].rpartition(":")
                if study == study_id and trial.isdecimal():  # "_" matches anything in LIKE
                    found[int(trial)] = str(run.info.run_id)
            token = page.token
            if not token:
                return found

    def create(self, experiment_id: str, name: str, tags: dict[str, str], time: int) -> str:
        with self._told_apart():
            run = self._client.create_run(experiment_id, start_time=time, tags=tags, run_name=name)
        return str(run.info.run_id)

    def log(self, run_id: str, update: Update) -> list[str]:
        """Adds params, metrics and tags; returns what MLflow refuses to take, each as a line for people."""
        if not (update.params or update.metrics or update.tags):
            return []
        try:
            self._log(run_id, update.params, update.metrics, update.tags)
        except RefusedError:
            self._check_run(run_id)
            return [*self._log_singly(run_id, update)]
        return []

    def _check_run(self, run_id: str) -> None:
        if not self.tags(run_id):
            raise LostError(f"a run of this study ({run_id}) was deleted")

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

        with self._told_apart():
            self._client.log_batch(
                run_id,
                metrics=[Metric(*point) for point in metrics],
                params=[Param(*item) for item in params.items()],
                tags=[RunTag(*item) for item in tags.items()],
                synchronous=True,
            )

    def set_status(self, run_id: str, status: str, time: int) -> None:
        try:
            with self._told_apart():
                if status == "RUNNING":
                    self._client.update_run(run_id, status)
                else:
                    self._client.set_terminated(run_id, status, time)
        except RefusedError:
            self._check_run(run_id)
            raise

    def text(self, run_id: str, name: str, content: str) -> None:
        try:
            with self._told_apart():
                self._client.log_text(run_id, content, name)
        except RefusedError:
            self._check_run(run_id)
            raise

    def file(self, run_id: str, path: Path, folder: str | None = None) -> None:
        with self._told_apart():
            self._client.log_artifact(run_id, str(path), folder)

    def has_file(self, run_id: str, name: str) -> bool:
        try:
            with self._told_apart():
                return any(file.path == name for file in self._client.list_artifacts(run_id))
        except RefusedError:
            return False

    def analyze(self) -> None:
        """Keeps sorting by metric fast (SQLite only)."""
        if self.database is not None:
            sqlite.analyze(self.database)

    @contextlib.contextmanager
    def _told_apart(self) -> Iterator[None]:
        """Turns MLflow's errors into RefusedError (the data is at fault) or StoreDownError (anything else)."""
        from mlflow.exceptions import MlflowException

        try:
            yield
        except Exception as error:
            told = uris.masked(str(error), self.uri)
            if isinstance(error, MlflowException) and error.error_code in _REFUSALS:
                raise RefusedError(told) from None
            self.check()
            raise StoreDownError(
                told if isinstance(error, MlflowException) else f"{type(error).__name__}: {told}"
            ) from None

    def _opening_error(self, error: Exception) -> Exception:
        """What went wrong when the store was opened, and what to do if no later try can succeed."""
        told, uri = uris.masked(str(error), self.uri), uris.shown(self.uri)
        if self.database is not None and not isinstance(error, filelock.Timeout):
            problem = sqlite.problem(self.database)
            if problem and "locked" not in problem:
                return UnusableStoreError(f"{uri} {problem}, or choose another tracker.uri")
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
