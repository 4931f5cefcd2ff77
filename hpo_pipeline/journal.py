"""The journal: a study's events, one JSON object a line, appended and never changed. All else is a view of it.

    event      further keys (each also has `time`, seconds since the epoch)
    study      version, id, name, seed, metric, mode, unit       once, first
    session    pid, n_trials                                     a tuner began or resumed; older jobs are in flight
    suggested  trial, config                                     a trial and its sample
    submitted  trial, resource, rung, bracket                    a job; where the trial goes on from another's
               source [trial, resource], config                  checkpoint, and as what: these two as well
    report     trial, resource, metrics                          each unit of resource, once
    rung       trial, rung, bracket, resource, value             a rung evaluation, once
    result     trial, outcome, error, traceback                  the job ended
    decision   trial, state, reason                              the trial's state changed
    end        state, reason                                     this session ended in good order

A record is with the operating system when `append` returns, so it survives the death of the process; within a second
it is on the disk. A last line that a crash cut short is dropped when the journal is opened again.
Metric values that JSON can't hold are the strings "nan", "inf" and "-inf".
"""

from __future__ import annotations

import json
import math
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import filelock

from hpo_pipeline.errors import StudyError

Record = dict[str, Any]
VERSION = 1
_SYNC_SECONDS = 0.5


def encode_metrics(metrics: dict[str, float]) -> dict[str, float | str]:
    return {name: value if math.isfinite(value) else str(value) for name, value in metrics.items()}


def _encode(record: Record) -> bytes:
    for key in ("metrics", "value"):
        if key in record:
            value = record[key]
            plain = encode_metrics(value) if key == "metrics" else encode_metrics({key: value})[key]
            record = {**record, key: plain}
    return json.dumps(record, separators=(",", ":"), allow_nan=False).encode() + b"\n"


def _decode(line: bytes) -> Record:
    record: Record = json.loads(line)
    if "metrics" in record:
        record["metrics"] = {name: float(value) for name, value in record["metrics"].items()}
    if "value" in record:
        record["value"] = float(record["value"])
    return record


def read(path: Path, offset: int = 0) -> Iterator[tuple[Record, int]]:
    """The records from byte `offset` on, each with the offset after it. A line that isn't finished is left out.

    Raises:
        StudyError: a finished line is not a record.
    """
    with open(path, "rb") as file:
        file.seek(offset)
        for line in file:
            if not line.endswith(b"\n"):
                return
            offset += len(line)
            try:
                record = _decode(line)
            except ValueError as error:
                raise StudyError(f"{path}: byte {offset - len(line)}: not a journal record ({error})") from None
            yield record, offset


class Journal:
    """Appends to a study's journal, as its only writer.

    Raises:
        StudyError: another process writes to it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = filelock.FileLock(f"{path}.lock")
        try:
            self._lock.acquire(timeout=0)
        except filelock.Timeout:
            raise StudyError(
                f"{path.parent}: another tuner is at work on this study; wait for it, stop it, or choose another name=…"
            ) from None
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        self._drop_torn_line()
        self._dirty = threading.Event()
        self._closing = threading.Event()
        self._syncer = threading.Thread(target=self._sync_in_groups, name="journal-sync", daemon=True)
        self._syncer.start()

    def _drop_torn_line(self) -> None:
        content = self.path.read_bytes()
        os.ftruncate(self._file, content.rfind(b"\n") + 1)

    def append(self, *records: Record) -> None:
        """Writes `records` in one piece: after a crash, all of them are there or the first few whole ones."""
        rest = memoryview(b"".join(map(_encode, records)))
        while rest:  # a signal or a full disk can cut a write short; the next attempt goes on, or says why it can't
            rest = rest[os.write(self._file, rest) :]
        self._dirty.set()

    def _sync_in_groups(self) -> None:
        while not self._closing.is_set():
            self._dirty.wait()
            self._dirty.clear()
            os.fsync(self._file)
            self._closing.wait(_SYNC_SECONDS)

    def close(self) -> None:
        if self._closing.is_set():
            return
        self._closing.set()
        self._dirty.set()
        self._syncer.join()
        os.fsync(self._file)
        os.close(self._file)
        self._lock.release()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()
