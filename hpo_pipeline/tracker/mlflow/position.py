"""Places in a journal: whose it is, how far a store has followed it, and how much of it remains."""

from __future__ import annotations

import json
import zlib
from collections.abc import Collection
from pathlib import Path

from hpo_pipeline.journal import Record, read


def study_record(journal: Path) -> Record:
    """The latest `study` record, what the study is now, though it may have been copied from another; or {}."""
    found: Record = {}
    for record, _ in read(journal) if journal.exists() else ():
        if record["event"] == "study":
            found = record
    return found


def position(record: Record, offset: int) -> str:
    """Marks the end of a record: the bytes up to it, and a checksum of what the record says."""
    content = json.dumps(record, sort_keys=True, default=str)
    return f"{offset}:{zlib.crc32(content.encode()):08x}"


class Remaining:
    """Counts against a journal that no longer grows.

    Attributes:
        total: its trials.
        interrupted: whether the study hasn't come to its end.
    """

    def __init__(self, journal: Path) -> None:
        self._ends: dict[int, int] = {}
        self.interrupted = True
        for record, offset in read(journal) if journal.exists() else ():
            if "trial" in record:
                self._ends[record["trial"]] = offset
            self.interrupted = record["event"] != "end" or record["state"] == "interrupted"
        self.total = len(self._ends)

    def written(self, held: int, read_to: int, pending: Collection[int | None]) -> int:
        """Trials of which every record is written.

        Args:
            held: bytes of the journal of which all is written.
            read_to: bytes that were read; what they hold is written but for the trials in `pending`.
        """
        ends = self._ends.items()
        return sum(1 for trial, end in ends if end <= held or (end <= read_to and trial not in pending))
