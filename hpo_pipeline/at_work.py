"""Whether a tuner is at work on a study: asked without a change, by whoever only looks at it."""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass
from pathlib import Path

from hpo_pipeline.errors import one_line
from hpo_pipeline.lease import SILENCE_SECONDS, look, this_machine

try:
    import fcntl
except ImportError:  # no such locks on this system
    fcntl = None  # type: ignore[assignment]


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
    """Who writes to the journal now; None if nobody does.

    On this machine the study's lock says so, on another one the age of its lease: clocks may differ, so this is for
    people; a tuner that begins finds it out by itself (lease.py).
    """
    lease = Path(f"{journal}.lease")
    seen, silent = None, 0.0
    with contextlib.suppress(OSError):
        seen = look(lease)
        silent = max(0.0, time.time() - lease.lstat().st_mtime)
    host, pid = (one_line(seen.host[:64]), seen.pid) if seen else ("", 0)
    if _is_locked(Path(f"{journal}.lock")):
        return Owner(host, pid)
    if seen is None or not host or silent > 2 * SILENCE_SECONDS or seen.locks == this_machine(journal.parent).locks:
        return None
    return Owner(host, pid, silent)


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
