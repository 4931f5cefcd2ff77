"""No tracker: the journal and the reports in the study's folder are all there is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hpo_pipeline.errors import Problem


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

    def writer(self, folder: Path, config: Mapping[str, Any], commands: Mapping[str, str]) -> None:
        """Nothing is to be written."""
