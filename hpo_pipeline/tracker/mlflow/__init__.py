"""MLflow as a study's log and user interface: nothing of MLflow is imported before a store is opened."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hpo_pipeline.checks import is_positive, value_problems
from hpo_pipeline.errors import ConfigError, Problem
from hpo_pipeline.evaluation import Metric
from hpo_pipeline.searcher.earlier import EarlierStudy
from hpo_pipeline.tracker.mlflow import earlier, preflight
from hpo_pipeline.tracker.mlflow import uri as uris
from hpo_pipeline.tracker.mlflow.store import MLflowStore
from hpo_pipeline.tracker.mlflow.writer import MLflowWriter

_ALIAS = re.compile(r"(?!latest$|v\d+$)[\w-]{1,255}", re.IGNORECASE | re.ASCII)


class MLflowTracker:
    """One parent run a study and one child run a trial; of a training one run.

    Args:
        uri: tracking URI: a database (sqlite, postgresql, mysql, mssql) or a server (http, https, databricks). None is
            MLFLOW_TRACKING_URI or, without it, mlflow.db in the current directory.
        experiment: name of the MLflow experiment; it is made if there is none.
        window: seconds between two looks at the journal. What happened meanwhile is written together.
        saved_view: keep a page of charts for each study under "Views" in the UI.
        log_model: log the best model of each study or training, as an exported program.
        register: the registered model that it becomes the newest version of, and the alias `alias` leads to; or None.
        alias: of the model that was registered last.
    """

    def __init__(
        self,
        uri: str | None = None,
        experiment: str = "hpo",
        window: float = 0.5,
        saved_view: bool = True,
        log_model: bool = True,
        register: str | None = None,
        alias: str = "champion",
    ) -> None:
        inherited = os.environ.get("MLFLOW_TRACKING_URI")
        if inherited and (not uri or uri == uris.shown(inherited)):  # saved configs hold no passwords
            uri = inherited
        uri = uri or "sqlite:///mlflow.db"
        problems = [Problem("uri", wrong)] if (wrong := uris.problem(uri)) else []
        problems += value_problems(
            "a name of 1 to 500 characters", lambda x: isinstance(x, str) and 0 < len(x) <= 500, experiment=experiment
        )
        problems += value_problems("more than 0 and at most 60 s", lambda x: is_positive(x) and x <= 60, window=window)
        what = "letters, digits, - and _, and no version like v1 or latest"
        problems += value_problems(what, lambda x: isinstance(x, str) and _ALIAS.fullmatch(x) is not None, alias=alias)
        if register is not None and not log_model:
            problems.append(Problem("log_model", f"must be true where a model is to be registered (as {register!r})"))
        if problems:
            raise ConfigError(problems)
        self.uri = uris.absolute(uri)
        self.experiment = experiment
        self.window = float(window)
        self.saved_view = bool(saved_view)
        self.log_model = bool(log_model)
        self.register = register
        self.alias = alias

    def problems(self) -> list[Problem]:
        """Why the store can't be written to: it is not there, refuses its credentials, or lacks its driver."""
        return preflight.problems(self.uri, self.experiment)

    def describe(self) -> str:
        """Where the study's runs would be."""
        model = "; the best model" if self.log_model else ""
        where = f"MLflow, {uris.shown(self.uri)}, experiment {self.experiment}"
        return f"{where}: a run for the study, one for each trial with its metrics by resource{model}"

    def writer(self, folder: Path, config: Mapping[str, Any], commands: Mapping[str, str]) -> MLflowWriter:
        """What writes the study in `folder`."""
        return MLflowWriter(self, folder, config, commands)

    def studies(self, name: str, metric: Metric) -> Sequence[EarlierStudy]:
        """The studies of the experiment of this name, and its other runs as one more; none if there is no such one."""
        return earlier.studies(self.uri, name, metric)

    def fetch(self, study: str, files: Sequence[str], folder: Path) -> None:
        """Copies files of a study's run, those that are there, into the folder. The study may be in any experiment."""
        earlier.fetch(self.uri, study, files, folder)

    def study_folders(self, files: Sequence[str], folder: Path) -> Mapping[str, Path]:
        """Copies files of each study of the experiment into a folder of its own: what the study is called -> where.

        Raises:
            StudyError: the store can't be read, or has no study there.
        """
        return earlier.study_folders(self.uri, self.experiment, files, folder)

    def routes(self, study_id: str) -> dict[str, str]:
        """Where to look at a study in the UI: what is there -> its route; empty if the store doesn't have it.

        Raises:
            StudyError: the store can't be read.
        """
        return earlier.routes(self.uri, study_id)

    def open(self) -> MLflowStore:
        """Opens the store, which takes seconds."""
        return MLflowStore(self.uri)
