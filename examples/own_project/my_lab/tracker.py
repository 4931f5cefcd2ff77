"""A tracker: every report as a line of reports.csv in the study's folder, while the study runs."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hpo_pipeline.errors import Problem
from hpo_pipeline.records import Record


class CsvTracker:
    """What a config names; it opens nothing yet."""

    def problems(self) -> list[Problem]:
        """Why nothing can be written, before anything starts: the study's folder can be."""
        return []

    def describe(self) -> str:
        """What a dry run says."""
        return "reports.csv, in the study's folder"

    def writer(self, folder: Path, config: Mapping[str, Any], commands: Mapping[str, str]) -> CsvWriter:
        return CsvWriter(folder / "reports.csv")


class CsvWriter:
    """Follows one study, in a thread of its own: nothing waits for it."""

    name = "CSV"
    window = 1.0  # seconds between two looks at the journal

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rows: list[list[Any]] = []

    def open(self, study: Record) -> str:
        """Begins a new file. Nothing is noted of how far an earlier one came: the whole journal follows."""
        self._rows = [["trial", "resource", "metric", "value"]]
        self._path.unlink(missing_ok=True)
        return ""

    def take(self, record: Record, *, held: bool) -> None:
        if record["event"] == "report":
            self._rows += [[record["trial"], record["resource"], *metric] for metric in record["metrics"].items()]

    def write(self, position: str) -> Iterator[None]:
        with self._path.open("a", newline="") as file:
            csv.writer(file).writerows(self._rows)
        self._rows = []
        yield None

    def close(self) -> str:
        return f"Every report is in {self._path}"

    def masked(self, text: str) -> str:
        """No passwords here."""
        return text
