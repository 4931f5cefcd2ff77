"""A store of runs, as the writer sees it: the calls it makes, and the ways in which they fail."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from hpo_pipeline.tracker.mlflow.schema import Update


class StoreDownError(Exception):
    """The store doesn't answer, or not now: try again."""


class RefusedError(Exception):
    """The store will never take this."""


class LostError(Exception):
    """What was written is no longer there (deleted by somebody): write again, from the beginning."""


class UnusableStoreError(Exception):
    """This store can't be used without a person's help, which the message asks for."""


class RunStore(Protocol):
    """What the writer needs of MLflow (mlflow_store.MLflowStore). Runs that were deleted are not there."""

    def check(self) -> None:
        """Raises LostError if the store itself has been deleted or replaced since it was opened."""
        ...

    def experiment(self, name: str) -> str: ...
    def tag_experiment(self, experiment_id: str, key: str, value: str) -> None: ...
    def find(self, experiment_id: str, tag: str, value: str) -> str | None: ...
    def tags(self, run_id: str) -> dict[str, str]:
        """The run's tags; empty if it isn't there."""
        ...

    def trials(self, experiment_id: str, study_id: str) -> dict[int, str]:
        """Trial id -> run id of all trials of a study, by their tag hpo.uid."""
        ...

    def create(self, experiment_id: str, name: str, tags: dict[str, str], time: int) -> str: ...
    def log(self, run_id: str, update: Update) -> list[str]: ...
    def set_status(self, run_id: str, status: str, time: int) -> None: ...
    def text(self, run_id: str, name: str, content: str) -> None: ...
    def file(self, run_id: str, path: Path, folder: str | None = None) -> None: ...
    def has_file(self, run_id: str, name: str) -> bool: ...
    def analyze(self) -> None: ...
