"""Trackers show what happened. The interface is here."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol


class Tracker(Protocol):
    """Shows a study somewhere else while it runs, from its journal: it is told where that is, not what is in it.

        start(folder, plain_config); ...; close(timeout=60)

    A tracker never makes a study wait or fail.
    """

    def start(self, folder: Path, config: dict[str, Any], commands: dict[str, str]) -> None:
        """The study in `folder` begins or is resumed.

        Args:
            folder: holds journal.jsonl and, in time, config.yaml, best.yaml, leaderboard.csv, plots/.
            config: the composed study config: nested, plain, resolved.
            commands: "resume" -> the command line that goes on with this study; "train" -> the beginning of the
                one that re-runs a trial, to which the trial's own overrides are added.
        """
        ...

    def close(self, timeout: float) -> str:
        """The session has ended: shows what is left within `timeout` seconds. Returns a few lines for people."""
        ...
