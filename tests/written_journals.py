"""Journals as anybody may write them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hpo_pipeline.journal import Journal


def written(
    folder: str | Path,
    *,
    name: str = "s",
    loss: float = 0.5,
    error: str = "",
    configs: Sequence[Mapping[str, Any]] = ({"lr": 0.1},),
) -> Path:
    """A study that was broken off in the midst of its trials, or whose trials failed with an error."""
    place = Path(folder)
    place.mkdir(parents=True)
    metrics = [{"name": "loss", "mode": "min"}]
    with Journal(place / "journal.jsonl") as journal:
        journal.append({"event": "study", "version": 3, "name": name, "metrics": metrics, "time": 0.0})
        for trial, config in enumerate(configs):
            of: dict[str, Any] = {"trial": trial, "time": 1.0}
            journal.append({"event": "suggested", "config": config, **of})
            journal.append({"event": "submitted", "resource": 9, "rung": 0, "bracket": 0, **of})
            journal.append({"event": "report", "resource": 1, "metrics": {"loss": loss}, **of})
            if error:
                journal.append({"event": "result", "outcome": "failed", "error": error, "traceback": "", **of})
                journal.append({"event": "decision", "state": "FAILED", "reason": error, **of})
    return place
