"""No tracker: the journal and the reports in the study's folder are all there is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from hpo_pipeline.errors import Problem
from hpo_pipeline.tracker import Closed


class NoTracker:
    """Shows nothing anywhere.

    Args:
        ignored: what another tracker is told, so that `tracker=none` can be added to any study.
    """

    def __init__(self, **ignored: Any) -> None:
        """Nothing to keep."""

    def problems(self) -> list[Problem]:
        """Nothing can be missing."""
        return []

    def start(self, folder: Path, config: dict[str, Any], commands: dict[str, str]) -> None:
        """Nothing to begin."""

    def close(self, patience: float, show: Callable[[str], None]) -> Closed:
        """Nothing is left to show."""
        return Closed(complete=True)
