"""Whether a tuner is at work on a study: asked without a change, by whoever only looks at it."""

from __future__ import annotations

import json
import os
import stat
import time
from dataclasses import dataclass
from pathlib import Path

try:
    import fcntl
except ImportError:  # no such locks on this system
    fcntl = None  # type: ignore[assignment]

_MOST_BYTES = 4096
_SILENT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Owner:
    """A tuner that is at work.

    Attributes:
        host, pid: where it is; empty and 0 if nothing says so.
        silent: seconds since its last sign of life, by this machine's clock; 0 where the system knows that it lives.
    """

    host: str = ""
    pid: int = 0
    silent: float = 0.0

    def __str__(self) -> str:
        where = f"{self.host}, pid {self.pid}" if self.host else "on this machine"
        return where if self.silent < 1 else f"{where}, last heard of {self.silent:.0f} s ago"


def owner_of(journal: Path) -> Owner | None:
    """Who writes to the journal now: by its lock on this machine, by the age of its lease on others; None if nobody.

    Those on another machine that haven't been heard of for a minute are gone, or their network is.
    """
    lease = _lease(Path(f"{journal}.lease"))
    if _is_locked(Path(f"{journal}.lock")):
        return Owner(lease.host, lease.pid) if lease else Owner()
    return lease if lease and lease.host != os.uname().nodename and lease.silent < _SILENT_SECONDS else None


def _lease(path: Path) -> Owner | None:
    try:
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        found = os.fstat(file)
        content = os.read(file, _MOST_BYTES) if stat.S_ISREG(found.st_mode) else b""
    finally:
        os.close(file)
    try:
        lease = json.loads(content)
        host, pid = str(lease["host"])[:64], int(lease["pid"])
    except (ValueError, TypeError, LookupError, RecursionError):
        return None
    host = "".join(letter if letter.isprintable() else "?" for letter in host)
    return Owner(host, pid, max(0.0, time.time() - found.st_mtime))


def _is_locked(path: Path) -> bool:
    if fcntl is None:
        return False
    try:
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(file)
    return False
