"""What MLflow leaves to its users when its store is a SQLite file: making it whole, WAL, and statistics.

Without WAL a reader (somebody sorting runs in the UI) blocks the writer for seconds. Without statistics sorting runs
by a metric is quadratic: 5 s for 10,000 runs, 0.05 s with them.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import sqlite3
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import filelock

from hpo_pipeline.atomic import beside

_log = logging.getLogger(__name__)
_LOCK_SECONDS = 120.0
_BUSY_SECONDS = 20.0
_CHECK_SECONDS = 5.0
_HEADER = b"SQLite format 3\0"
# WAL keeps its index in shared memory, which hosts of a network file system don't share.
_NETWORK = (
    *("nfs", "cifs", "smb", "9p", "afs", "ceph", "lustre", "gpfs", "beegfs"),
    *("fuse.sshfs", "fuse.gcsfuse", "fuse.s3"),
)


def make(path: Path, make_tables: Callable[[Path], None]) -> None:
    """Makes the database at `path` if there is none, and switches it to WAL.

    The tables are made in a file aside, which takes its place when they are complete: whatever ends that early (a
    full disk, a kill), a half-made database is never seen. Two processes that make MLflow's tables at the same time
    in one file would both fail, so one does it at a time.

    Raises:
        filelock.Timeout: another process has held the lock for two minutes.
        OSError, sqlite3.DatabaseError: the file can't be made, or is no database.
    """
    path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    if is_empty(path):
        with filelock.FileLock(f"{path}.lock", timeout=_LOCK_SECONDS):
            if is_empty(path):
                _make_aside(path, make_tables)
    if not _on_network(path.parent):
        # Refused while somebody else is at work on the file: the next study will do it.
        with contextlib.suppress(sqlite3.OperationalError), _connected(path, _BUSY_SECONDS) as connection:
            connection.execute("PRAGMA journal_mode=WAL")


def _make_aside(path: Path, make_tables: Callable[[Path], None]) -> None:
    with beside(path) as folder:
        folder.mkdir()
        made = folder / path.name
        make_tables(made)
        with made.open("rb+") as file:
            os.fsync(file.fileno())
        # Those of a deleted database would be taken for the new one's.
        for suffix in ("-wal", "-shm", "-journal"):
            Path(f"{path}{suffix}").unlink(missing_ok=True)
        if path.exists():
            os.replace(made, path)
            return
        try:
            os.link(made, path)  # unlike a renaming, it never takes the place of what another program has just made
        except FileExistsError:
            _log.debug("%s: another program has just made it", path)
        except OSError:  # a file system without links
            os.replace(made, path)


def hurry(connection: sqlite3.Connection, path: Path) -> None:
    """Doesn't wait for the disk, nor guard against a crash, where the connection is to the database at `path`.

    MLflow makes its tables by some 270 commits, of which each would wait for the disk four times: seconds if it's busy.
    """
    if any(file and Path(file) == path for _, _, file in connection.execute("PRAGMA database_list")):
        connection.execute("PRAGMA journal_mode=MEMORY")
        connection.execute("PRAGMA synchronous=OFF")


def is_empty(path: Path) -> bool:
    """Whether there is no database yet, or one without any table."""
    if not path.exists() or path.stat().st_size == 0:
        return True
    with _connected(path) as connection:
        return not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]


def identity(path: Path) -> tuple[int, int] | None:
    """Tells a file from another one that has taken its place; None if there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def problem(path: Path) -> str:
    """Why nothing can be written to `path`, without its name; empty if it can. Creates nothing."""
    if not path.exists():
        if path.is_symlink():
            path = path.resolve()
        folder = next(parent for parent in path.absolute().parents if parent.exists())
        if not folder.is_dir():
            return f"can't be made, as {folder} is no folder"
        return "" if os.access(folder, os.W_OK | os.X_OK) else f"can't be made, as {folder} can't be written to"
    if not path.is_file():
        return "is no file"
    if not os.access(path, os.R_OK | os.W_OK) or not os.access(path.resolve().parent, os.W_OK):
        return "can't be written to, or its folder can't"
    with path.open("rb") as file:
        if file.read(len(_HEADER)) not in (b"", _HEADER):
            return "is no SQLite database"
    try:
        return "" if is_empty(path) else _schema_problem(path) or _lock_problem(path)
    except sqlite3.Error as error:
        return f"can't be read ({error})"


def _schema_problem(path: Path) -> str:
    with _connected(path) as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        found = connection.execute("SELECT version_num FROM alembic_version") if "alembic_version" in tables else None
        version = (found.fetchone() or ("",))[0] if found else ""
        holds_runs = "runs" in tables and connection.execute("SELECT 1 FROM runs LIMIT 1").fetchone() is not None
    revisions, newest = _mlflow_revisions()
    if not newest or version == newest:
        return ""
    if version and version not in revisions:
        return "was made by a newer version of MLflow; install that one"
    if holds_runs:
        return f"was made by an older version of MLflow; back it up and run `mlflow db upgrade sqlite:///{path}`"
    return "is unfinished: making its tables was cut short, and it holds no run; delete it"


def deleted_experiment(path: Path, name: str) -> str:
    """The id of the experiment of this name if it has been deleted; else an empty string."""
    if is_empty(path):
        return ""
    with _connected(path) as connection:
        wanted = "SELECT experiment_id FROM experiments WHERE name = ? AND lifecycle_stage = 'deleted'"
        found = connection.execute(wanted, (name,)).fetchone()
    return str(found[0]) if found else ""


def _lock_problem(path: Path) -> str:
    try:
        with _connected(path) as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
    except sqlite3.OperationalError as error:
        return f"is locked by another program ({error}); end that one"
    return ""


def _mlflow_revisions() -> tuple[set[str], str]:
    """The schema's revisions that the installed MLflow knows, and the newest; read from its files, not imported."""
    spec = find_spec("mlflow")
    folder = Path(spec.origin if spec and spec.origin else "").parent / "store" / "db_migrations" / "versions"
    code = "".join(file.read_text("utf-8") for file in folder.glob("*.py"))
    revisions = set(re.findall(r"^revision = [\"'](\w+)", code, re.M))
    newest = revisions.difference(re.findall(r"^down_revision = [\"'](\w+)", code, re.M))
    return revisions, newest.pop() if len(newest) == 1 else ""


def _connected(path: Path, seconds: float | None = None) -> contextlib.closing[sqlite3.Connection]:
    """A connection to what is there (none is made), which waits so long for a lock; else as long as a check may."""
    wait = _CHECK_SECONDS if seconds is None else seconds
    return contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=wait))


def relax(connection: sqlite3.Connection, _record: object = None) -> None:
    """Commits need no fsync of their own: in WAL mode they stay in order, so a power cut only takes the last ones.

    What the store has is noted in the store itself, so what is gone is written again.
    """
    if connection.execute("PRAGMA journal_mode").fetchone() == ("wal",):
        connection.execute("PRAGMA synchronous=NORMAL")


def analyze(path: Path) -> None:
    """Gathers the planner's statistics: 0.03 s at 10,000 runs. It is only about speed, so failure is no matter."""
    try:
        with _connected(path, _BUSY_SECONDS) as connection:
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
