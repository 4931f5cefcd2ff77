"""What MLflow leaves to its users when its store is a SQLite file: one creator, WAL, and statistics.

Without WAL a reader (somebody sorting runs in the UI) blocks the writer for seconds. Without statistics sorting runs
by a metric is quadratic: 5 s for 10,000 runs, 0.05 s with them. `synchronous` stays FULL: what is acknowledged in a
study's mlflow.json has to survive a power cut.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import filelock

_log = logging.getLogger(__name__)
_LOCK_SECONDS = 120.0
_BUSY_SECONDS = 20.0
# WAL keeps its index in shared memory, which hosts of a network file system don't share.
_NETWORK = (
    "nfs",
    "cifs",
    "smb",
    "9p",
    "afs",
    "ceph",
    "lustre",
    "gpfs",
    "beegfs",
    "fuse.sshfs",
    "fuse.gcsfuse",
    "fuse.s3",
)


@contextlib.contextmanager
def creation(path: Path) -> Iterator[None]:
    """Holds the lock under which the tables of a new database are made, and switches the file to WAL.

    Two processes that create MLflow's tables in one file at the same time both fail.

    Raises:
        filelock.Timeout: another process has held the lock for two minutes.
        OSError, sqlite3.DatabaseError: the file can't be made, or is no database.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(f"{path}.lock", timeout=_LOCK_SECONDS):
        with contextlib.closing(sqlite3.connect(path, timeout=_BUSY_SECONDS)) as connection:
            connection.execute("PRAGMA schema_version")
            if not _on_network(path.parent):
                # Refused while somebody else is at work on the file: the next study will do it.
                with contextlib.suppress(sqlite3.OperationalError):
                    connection.execute("PRAGMA journal_mode=WAL")
        yield


def analyze(path: Path) -> None:
    """Gathers the planner's statistics: 0.03 s at 10,000 runs. It is only about speed, so failure is no matter."""
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=_BUSY_SECONDS)) as connection:
            connection.execute("PRAGMA analysis_limit=1000")
            connection.execute("ANALYZE")
            connection.commit()
    except sqlite3.Error as error:
        _log.debug("%s: no statistics (%s)", path, error)


def _on_network(folder: Path) -> bool:
    """Whether the file system of `folder` is shared between hosts, as far as /proc tells (Linux)."""
    try:
        mounts = Path("/proc/mounts").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    target = folder.resolve()
    best, kind = -1, ""
    for line in mounts:
        _, point, name, *_ = line.split(" ")
        where = Path(point.replace("\\040", " "))
        if target.is_relative_to(where) and len(where.parts) >= best:
            best, kind = len(where.parts), name
    return kind.startswith(_NETWORK)
