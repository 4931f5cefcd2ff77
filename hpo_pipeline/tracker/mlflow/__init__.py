"""MLflow as a study's log and user interface: nothing of MLflow is imported before a store is opened.

A thread of its own follows the journal (writer.py); the study hands it nothing and waits for nothing.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hpo_pipeline.checks import is_positive
from hpo_pipeline.errors import ConfigError, Problem
from hpo_pipeline.interrupt import signals_as_interrupt
from hpo_pipeline.tracker import Closed
from hpo_pipeline.tracker.mlflow import reachable
from hpo_pipeline.tracker.mlflow import uri as uris
from hpo_pipeline.tracker.mlflow.mlflow_store import MLflowStore
from hpo_pipeline.tracker.mlflow.writer import Writer

_LOOK_SECONDS = 0.2
_LAST_CALL_SECONDS = 2.0


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
        inherited = os.environ.get("MLFLOW_TRACKING_URI")
        if inherited and (not uri or uri == uris.shown(inherited)):  # saved configs hold no passwords
            uri = inherited
        uri = uri or "sqlite:///mlflow.db"
        problems = uris.problems(uri)
        if not isinstance(experiment, str) or not 0 < len(experiment) <= 500:
            what = f"must be a name of 1 to 500 characters, got {experiment!r}; choose another"
            problems.append(Problem("experiment", what))
        if not is_positive(window) or window > 60:
            what = f"must be more than 0 and at most 60 seconds, got {window!r}; the default is 0.5"
            problems.append(Problem("window", what))
        if problems:
            raise ConfigError(problems)
        self.uri = uris.absolute(uri)
        self.experiment = experiment
        self.window = float(window)
        self.saved_view = bool(saved_view)
        self._writer: Writer | None = None
        self._thread: threading.Thread | None = None

    def problems(self) -> list[Problem]:
        """Why the store can't be written to: it is not there, refuses its credentials, or lacks its driver."""
        return reachable.problems(self.uri, self.experiment)

    def start(self, folder: Path, config: dict[str, Any], commands: dict[str, str]) -> None:
        """Starts to follow folder/journal.jsonl; returns at once."""
        self._writer = Writer(self.open, self.uri, self.experiment, folder, config, commands)
        self._writer.window, self._writer.saved_view = self.window, self.saved_view
        self._thread = threading.Thread(target=self._writer.run, name="mlflow", daemon=True)
        self._thread.start()

    def close(self, patience: float, show: Callable[[str], None]) -> Closed:
        """Writes what is left, as long as a write succeeds every `patience` seconds."""
        if self._writer is None or self._thread is None:
            return Closed(complete=True)
        writer, thread = self._writer, self._thread
        writer.closing.set()
        try:
            with signals_as_interrupt():
                why = _wait(writer, thread, patience, show)
        except KeyboardInterrupt:
            why = "stopped by Ctrl-C"
        writer.abandoned.set()
        with contextlib.suppress(KeyboardInterrupt):
            thread.join(min(patience, _LAST_CALL_SECONDS))
        return writer.closed(why)

    def open(self) -> MLflowStore:
        """Opens the store, which takes seconds: mlflow is imported, and a new database gets its tables.

        Raises:
            StoreDownError, UnusableStoreError: not now, or never.
        """
        return MLflowStore(self.uri)


def _wait(writer: Writer, thread: threading.Thread, patience: float, show: Callable[[str], None]) -> str:
    """Waits for the thread to end; returns why it didn't."""
    successes, since = writer.successes, time.monotonic()
    while True:
        thread.join(min(_LOOK_SECONDS, patience))
        now = time.monotonic()
        if not thread.is_alive():
            return ""
        if writer.successes != successes:
            successes, since = writer.successes, now
        elif now - since >= patience:
            return f"nothing could be written for {patience:g} s"
        show(f"MLflow: {writer.standing()} written; Ctrl-C leaves the rest for later")
