"""No tracker: the journal and the reports in the study's folder are all there is."""

from __future__ import annotations

from pathlib import Path
from typing import Any


class NoTracker:
    """Shows nothing anywhere.

    Args:
        ignored: what another tracker is told, so that `tracker=none` can be added to any study.
    """

    def __init__(self, **ignored: Any) -> None:
        """Nothing to keep."""

    def start(self, folder: Path, config: dict[str, Any], commands: dict[str, str]) -> None:
        """Nothing to begin."""

    def close(self, timeout: float) -> str:
        """Nothing is left to show."""
        return ""
