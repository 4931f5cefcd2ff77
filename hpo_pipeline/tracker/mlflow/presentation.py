"""What makes a study's run nicer to look at: its files as artifacts, and a page of charts.

Nobody misses it if it fails. The format of the page is MLflow's own (saved_view.py).
"""

from __future__ import annotations

import getpass
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hpo_pipeline.tracker.mlflow.saved_view import saved_view, view_key
from hpo_pipeline.tracker.mlflow.store import RefusedError, RunStore, StoreDownError
from hpo_pipeline.view import StudyView

_log = logging.getLogger(__name__)
JOURNAL = "journal.jsonl"
_FILES = ("config.yaml", "overrides.yaml", "best.yaml", "leaderboard.csv", JOURNAL)


def attach_files(store: RunStore, run_id: str, folder: Path) -> bool:
    """Logs the study's files as they are now; returns whether the store took them.

    Links are left out: they may lead to anything.
    """
    plots = sorted(path for path in (folder / "plots").glob("*") if path.is_file())
    files = [(folder / name, None) for name in _FILES] + [(path, "plots") for path in plots]
    try:
        for path, place in files:
            if path.exists() and not path.is_symlink() and not path.parent.is_symlink():
                store.file(run_id, path, place)
    except (StoreDownError, RefusedError) as error:
        _log.warning("MLflow takes no files of this study (%s); they are in %s", error, folder)
        return False
    return True


def keep_view(store: RunStore, experiment_id: str, run_id: str, view: StudyView, config: Mapping[str, Any]) -> None:
    """Puts the study's page of charts under "Views"."""
    try:
        store.tag_experiment(
            experiment_id, f"mlflow.sharedViewState.{view_key(run_id)}", saved_view(view, config, run_id)
        )
    except (StoreDownError, RefusedError) as error:
        _log.debug("no saved view: %s", error)


def source_tags() -> dict[str, str]:
    """MLflow's own tags on where a run comes from, shown in its table."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError, ImportError):
        user = "unknown"
    return {"mlflow.source.name": "tune.py", "mlflow.source.type": "LOCAL", "mlflow.user": user}
