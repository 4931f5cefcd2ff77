"""Machines that share a study's folder, each with a clock of its own."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from hpo_pipeline.journal import VERSION, Journal, read
from hpo_pipeline.lease import Lease, Machine

PATH = Path("journal.jsonl.lease")
JOURNAL = Path("journal.jsonl")
HEADER = {"event": "study", "version": VERSION, "name": "s", "metrics": [{"name": "loss", "mode": "min"}], "time": 0.0}


class Host:
    """A machine whose time passes in sleeps alone, and what happens elsewhere meanwhile."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.time = 0.0
        self.meanwhile: Callable[[float], object] = lambda _time: None
        self.machine = Machine(name, f"kernel of {name}", lambda: self.time, self._sleep)
        self.shown: list[str] = []

    def _sleep(self, seconds: float) -> None:
        self.time += seconds
        self.meanwhile(self.time)

    @contextmanager
    def waiting(self) -> Iterator[Callable[[str], None]]:
        yield self.shown.append

    def lease(self, locked: bool | None = True) -> Lease:
        return Lease(PATH, self.machine, locked, self.waiting)

    def journal(self) -> Journal:
        return Journal(JOURNAL, self.waiting, self.machine)


@contextmanager
def full(monkeypatch) -> Iterator[None]:
    def write(*_given):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", write)
        yield


def contents() -> list[str]:
    """The events of the journal, in order."""
    return [record["event"] for record, _ in read(JOURNAL)]
