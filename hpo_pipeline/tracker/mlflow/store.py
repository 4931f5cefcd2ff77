"""MLflow as a store of runs. The only module that imports mlflow, and only when a store is opened.

Runs are made by `MlflowClient` with explicit ids: MLflow's active run and its asynchronous logging are not used.
"""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import filelock

from hpo_pipeline.dataset.fingerprint import DataSplit
from hpo_pipeline.garbage import uncollected
from hpo_pipeline.tracker import LostError, StoreDownError, UnusableStoreError
from hpo_pipeline.tracker.mlflow import sqlite
from hpo_pipeline.tracker.mlflow import uri as uris
from hpo_pipeline.tracker.mlflow.links import deleted_experiment
from hpo_pipeline.tracker.mlflow.logged_model import KeptModel, log_model, prepare, register_model
from hpo_pipeline.tracker.mlflow.update import Update

_PAGE = 1000
_ENVIRONMENT = {
    # The client's own retries hold a call for minutes and may make a run twice; the writer retries itself.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
_REFUSALS = ("INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST", "RESOURCE_ALREADY_EXISTS", "BAD_REQUEST")


class RefusedError(Exception):
    """MLflow will never take this."""


class MLflowStore:
    """The few calls of MLflow that are needed, with its errors told apart.

    Every method raises StoreDownError where a later try may succeed, RefusedError where it can't, and LostError where
    what it writes to was deleted. Their texts hold no password.

    Opening takes seconds (mlflow is imported, and a new database gets its tables), and may raise UnusableStoreError.
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
            with uncollected():
                self._open(uri)
        except Exception as error:
            raise self._opening_error(error) from None
        self._identity = sqlite.identity(self.database) if self.database else None

    def _open(self, uri: str) -> None:
        from mlflow import MlflowClient

        if self.database is not None:
            sqlite.make(self.database, self._make_tables)
        self._client = MlflowClient(uri)
        if self.database is not None:
            self._renew_connections()
        self._client.search_experiments(max_results=1)

    def _make_tables(self, path: Path) -> None:
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
        from sqlalchemy import event
        from sqlalchemy.engine import Engine

        def hurry(connection: sqlite3.Connection, _record: object) -> None:
            sqlite.hurry(connection, path)

        event.listen(Engine, "connect", hurry)
        try:
            uri = f"sqlite:///{path.as_posix()}"
            store: Any = SqlAlchemyStore(uri, self._artifacts())  # type: ignore[no-untyped-call]
        finally:
            event.remove(Engine, "connect", hurry)
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

    def experiment(self, name: str) -> str:
        """Id of the experiment, which is made if there is none.

        Raises:
            UnusableStoreError: somebody has deleted it.
        """
        found = self._ask(self._client.get_experiment_by_name, name)
        if found is None:
            tags = {"mlflow.experimentKind": "custom_model_development"}
            with contextlib.suppress(RefusedError):  # another study has just made it
                self._ask(self._client.create_experiment, name, self._artifacts(), tags)
            found = self._ask(self._client.get_experiment_by_name, name)
        if found is None:
            raise StoreDownError(f"experiment {name!r} could not be made")
        if found.lifecycle_stage != "active":
            message = deleted_experiment(self.uri, name, found.experiment_id)
            raise UnusableStoreError(f"{message}, or choose another tracker.experiment")
        return str(found.experiment_id)

    def _artifacts(self) -> str | None:
        # Without a server MLflow would put them below the current directory of whoever comes first.
        if uris.scheme(self.uri) in uris.SERVERS:
            return None
        beside = self.database.parent if self.database else Path.cwd()
        return (beside / "mlartifacts").as_uri()

    def tag_experiment(self, experiment_id: str, key: str, value: str) -> None:
        self._ask(self._client.set_experiment_tag, experiment_id, key, value)

    def tags(self, run_id: str) -> dict[str, str]:
        """The run's tags; empty if it isn't there, or deleted."""
        try:
            run = self._ask(self._client.get_run, run_id)
        except RefusedError:
            return {}
        return dict(run.data.tags) if run.info.lifecycle_stage == "active" else {}

    def find(self, experiment_id: str, tag: str, value: str) -> str | None:
        """Id of the run that bears this tag."""
        runs = self._ask(self._client.search_runs, [experiment_id], f"tags.`{tag}` = '{value}'", max_results=1)
        return str(runs[0].info.run_id) if runs else None

    def trials(self, experiment_id: str, study_id: str) -> dict[int, str]:
        """Trial id -> run id of all trials of a study, by their tag hpo.uid."""
        found: dict[int, str] = {}
        token: str | None = None
        mine = f"tags.`hpo.uid` LIKE '{study_id}:%'"
        while True:
            page = self._ask(self._client.search_runs, [experiment_id], mine, max_results=_PAGE, page_token=token)
            for run in page:
                study, _, trial = run.data.tags["hpo.uid"].rpartition(":")
                if study == study_id and trial.isdecimal():  # "_" matches anything in LIKE
                    found[int(trial)] = str(run.info.run_id)
            token = page.token
            if not token:
                return found

    def runs(self, experiment: str) -> list[Any]:
        """All runs of the experiment of this name, newest first; none if there is no such one."""
        found = self._ask(self._client.get_experiment_by_name, experiment)
        runs: list[Any] = []
        token: str | None = None
        while found is not None:
            page = self._ask(self._client.search_runs, [found.experiment_id], max_results=_PAGE, page_token=token)
            runs += page
            token = page.token
            if not token:
                break
        return runs

    def studies(self) -> list[Any]:
        """The runs of all studies, newest first."""
        experiments = [each.experiment_id for each in self._ask(self._client.search_experiments)]
        studies = "tags.`hpo.role` = 'study'"
        return list(self._ask(self._client.search_runs, experiments, studies, max_results=_PAGE))

    def create(self, experiment_id: str, name: str, tags: dict[str, str], time: int) -> str:
        run = self._ask(self._client.create_run, experiment_id, start_time=time, tags=tags, run_name=name)
        return str(run.info.run_id)

    def log(self, run_id: str, update: Update) -> list[str]:
        """Adds params, metrics and tags; returns what MLflow refuses to take, each as a line for people."""
        from mlflow.entities import Metric, Param, RunTag

        whole: dict[str, Any] = {
            "params": [Param(*item) for item in update.params.items()],
            "metrics": [Metric(*point) for point in update.metrics],
            "tags": [RunTag(*item) for item in update.tags.items()],
        }
        singles = [(kind, item) for kind, items in whole.items() for item in items]
        if not singles:
            return []
        log = functools.partial(self._ask, self._client.log_batch, run_id, synchronous=True)
        try:
            log(**whole, of_run=run_id)
            return []
        except RefusedError:
            refused = []
        for kind, item in singles:
            alone: dict[str, Any] = {kind: [item]}
            try:
                log(**alone)
            except RefusedError as error:
                refused.append(f"{item.key}={item.value}: {error}")
        return refused

    def set_status(self, run_id: str, status: str, time: int) -> None:
        if status == "RUNNING":
            self._ask(self._client.update_run, run_id, status, of_run=run_id)
        else:
            self._ask(self._client.set_terminated, run_id, status, time, of_run=run_id)

    def text(self, run_id: str, name: str, content: str) -> None:
        self._ask(self._client.log_text, run_id, content, name, of_run=run_id)

    def file(self, run_id: str, path: Path, folder: str | None = None) -> None:
        self._ask(self._client.log_artifact, run_id, str(path), folder)

    def fetch(self, run_id: str, name: str, folder: Path) -> None:
        """Copies one of the run's files into a folder."""
        self._ask(self._client.download_artifacts, run_id, name, str(folder))

    def prepare_model(self) -> None:
        """Makes `model` faster."""
        prepare()

    def model(
        self, experiment_id: str, study_id: str, kept: KeptModel, folder: Path, runs: Sequence[str]
    ) -> str | None:
        """Logs the model that lies in `folder/best`; see `logged_model.log_model`."""
        found: str | None = self._ask(log_model, self._client, experiment_id, study_id, kept, folder, runs)
        return found

    def register(self, name: str, alias: str, model_id: str, run_id: str, tags: Mapping[str, str]) -> tuple[str, str]:
        """Registers a logged model; returns its version and URI. See `logged_model.register_model`."""
        version, model_uri = self._ask(register_model, self._client, name, alias, model_id, run_id, tags)
        return version, model_uri

    def inputs(self, run_id: str, name: str, splits: Sequence[DataSplit]) -> None:
        """Notes which data the run has used, each part by its digest; once."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        found = [
            DatasetInput(
                Dataset(name, split.digest, "local", json.dumps({"uri": split.source})),
                [InputTag("mlflow.data.context", split.context)],
            )
            for split in splits
        ]
        if found:
            self._ask(self._client.log_inputs, run_id, found, of_run=run_id)

    def has_file(self, run_id: str, name: str) -> bool:
        try:
            return any(file.path == name for file in self._ask(self._client.list_artifacts, run_id))
        except RefusedError:
            return False

    def analyze(self) -> None:
        """Keeps sorting by metric fast (SQLite only)."""
        if self.database is not None:
            sqlite.analyze(self.database)

    def _ask(self, call: Callable[..., Any], *args: Any, of_run: str = "", **named: Any) -> Any:
        """Calls MLflow, with its errors as RefusedError (the data is at fault) or StoreDownError (anything else).

        Where the run that it writes to is named and isn't there, that is a LostError.
        """
        from mlflow.exceptions import MlflowException

        try:
            return call(*args, **named)
        except Exception as error:
            message = uris.masked(str(error), self.uri)
            if isinstance(error, MlflowException) and error.error_code in _REFUSALS:
                if of_run and not self.tags(of_run):
                    raise LostError(f"a run of this study ({of_run}) was deleted") from None
                raise RefusedError(message) from None
            self.check()
            raise StoreDownError(
                message if isinstance(error, MlflowException) else f"{type(error).__name__}: {message}"
            ) from None

    def _opening_error(self, error: Exception) -> Exception:
        """What went wrong when the store was opened, and what to do if no later try can succeed."""
        message, uri = uris.masked(str(error), self.uri), uris.shown(self.uri)
        if self.database is not None and not isinstance(error, filelock.Timeout):
            problem = sqlite.problem(self.database)
            if problem and "locked" not in problem:
                return UnusableStoreError(f"{uri} {problem}, or choose another tracker.uri")
        if "out-of-date database schema" in message or "Can't locate revision" in message:
            return UnusableStoreError(
                f"{uri} was made by another version of MLflow; back it up and run `mlflow db upgrade {uri}`, "
                "or choose another tracker.uri"
            )
        if isinstance(error, ImportError):
            return UnusableStoreError(f"{message}; install what is missing, or use tracker=none")
        is_permanent = isinstance(error, (PermissionError, NotADirectoryError, FileExistsError, sqlite3.DatabaseError))
        if is_permanent and "locked" not in message:
            return UnusableStoreError(f"{uri} can't be opened ({message}); choose another tracker.uri")
        return StoreDownError(message)
