"""Journals of a few records, written and read in the current folder."""

from __future__ import annotations

import json
from pathlib import Path

from hpo_pipeline.journal import VERSION, Journal, read

PATH = Path("journal.jsonl")
HEADER = {"event": "study", "version": VERSION, "name": "s", "metrics": [{"name": "loss", "mode": "min"}], "time": 0.0}
OLD_HEADER = {"event": "study", "version": 1, "name": "s", "metric": "loss", "mode": "min", "time": 0.0}


def written(*records: dict) -> Path:
    """Appends to the journal, after a header if there is none yet."""
    with Journal(PATH) as journal:
        journal.append(*(() if PATH.stat().st_size else (HEADER,)), *records)
    return PATH


def records() -> list[dict]:
    """What is read back, without the header."""
    header, *others = [record for record, _ in read(PATH)]
    assert header == HEADER
    return others


def old_journal(*lines: dict) -> None:
    """A journal of version 1: no checksums."""
    PATH.write_text("".join(json.dumps(line) + "\n" for line in (OLD_HEADER, *lines)))


def events() -> list[str]:
    """The events, in order."""
    return [record["event"] for record, _ in read(PATH)]
