"""A study's lease: who is at work on it, for those on other machines; a small file that changes every few seconds.

A file lock decides among the processes of one machine, and at once, also after one was killed. Between machines that
share a folder it holds on some file systems and not on others, and on some it outlives the machine that held it.

    claim -> renew, renew, ... -> close

No two clocks are compared. Who comes from another machine looks at the file for `SILENCE_SECONDS` by its own clock: if
it changes, its owner lives, and the newcomer is refused; else the newcomer puts its own in its place, lets
`SETTLE_SECONDS` pass and looks which one is there: of several newcomers one goes on (Fischer's algorithm, in Lamport
1987, "A fast mutual exclusion algorithm"). A lease that was copied along with a folder stays silent, and is taken over.

Whose lease was taken over finds another's in the place of its own. A renewal goes to the file that was opened, not to
what has its name now, so it never writes over another's. After `STALE_SECONDS` without a renewal, which is before
anyone else may think of it, `check` looks first.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import socket
import stat
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from hpo_pipeline.errors import StudyError

EVERY_SECONDS = 5.0
STALE_SECONDS = 20.0
SILENCE_SECONDS = 30.0
SETTLE_SECONDS = 2.0
LOOK_SECONDS = 1.0
_MOST_BYTES = 4096
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

Waiting = Callable[[], AbstractContextManager[Callable[[str], None]]]
"""Gives a function that shows the latest text on what is waited for."""


@contextlib.contextmanager
def silently() -> Iterator[Callable[[str], None]]:
    """Shows nothing."""
    yield lambda _text: None


def _seconds() -> float:
    """A clock that goes on while the machine sleeps, where there is one."""
    return time.clock_gettime(_CLOCK)


@dataclass(frozen=True, slots=True)
class Machine:
    """Where a tuner runs.

    Attributes:
        name: for people.
        locks: those of whom it is the same see each other's file locks: one kernel, one mounted file system.
        now, sleep: its clock, in seconds.
    """

    name: str
    locks: str
    now: Callable[[], float] = _seconds
    sleep: Callable[[float], None] = time.sleep


def this_machine(folder: Path) -> Machine:
    """The one that this process runs on, as seen from a folder."""
    try:
        kernel = _BOOT_ID.read_text(encoding="ascii").strip()  # containers of one machine share it
    except (OSError, ValueError):
        kernel = f"{socket.gethostname()}/{uuid.getnode():x}"
    return Machine(socket.gethostname(), f"{kernel}/{os.stat(folder).st_dev}")


@dataclass(frozen=True, slots=True)
class Seen:
    """A lease as it was read; all but its content is empty where that makes no sense (it may be anybody's)."""

    content: bytes
    host: str = ""
    pid: int = 0
    locks: str = ""
    token: str = ""
    fenced: bool = True

    def __str__(self) -> str:
        host = "".join(letter if letter.isprintable() else "?" for letter in self.host[:64])
        return f"on host {host} (pid {self.pid})" if host else "on another machine"


def look(path: Path) -> Seen | None:
    """The lease that a file holds now; None if there is none."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno == errno.ELOOP:  # a link; what it leads to may change for ever
            return Seen(b"")
        raise
    try:
        content = os.read(file, _MOST_BYTES) if stat.S_ISREG(os.fstat(file).st_mode) else b""
    finally:
        os.close(file)
    try:
        found = json.loads(content)
        host, pid, locks, token = (found[key] for key in ("host", "pid", "locks", "token"))
    except (ValueError, TypeError, LookupError, RecursionError):
        return Seen(content)
    if type(pid) is not int or not all(isinstance(text, str) for text in (host, locks, token)):
        return Seen(content)
    return Seen(content, host, pid, locks, token, found.get("fenced") is not False)


class Lease:
    """The lease of this process on a study.

    Args:
        path: the lease's file, in the study's folder.
        machine: where this process runs.
        locked: whether it has the study's file lock; None where the file system has no locks.
        waiting: shows what is waited for, if that is necessary.

    Attributes:
        must_fence: whether it was taken over from another machine, from where the tuner before, or what is left of it
            in a network, may still write to what it has opened: the journal needs a new file; then call `fenced`.
        on_lost: called from another thread when another tuner has taken it over.

    Raises:
        StudyError: another tuner is at work.
        OSError: it can't be written.
    """

    def __init__(self, path: Path, machine: Machine, locked: bool | None, waiting: Waiting = silently) -> None:
        self.must_fence = False
        self.on_lost: Callable[[], None] = lambda: None
        self._path = path
        self._machine = machine
        self._token = secrets.token_hex(8)
        self._beat = 0
        self._lost = ""
        self._file = self._claim(locked, waiting)
        self._renewed = machine.now()
        self._one_at_a_time = threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._keep_renewing, name="journal-lease", daemon=True)
        self._thread.start()

    # -- claiming it -----------------------------------------------------------------------------------------------

    def _claim(self, locked: bool | None, waiting: Waiting) -> int:
        while True:
            seen = look(self._path)
            if seen is None:
                if locked is False:  # by a tuner that begins just now, or one of an older version
                    raise self._refusal(None)
                with contextlib.suppress(FileExistsError):
                    return self._new(self._path)
            elif seen.locks == self._machine.locks and locked is not None:
                if not locked:
                    raise self._refusal(seen)
                self.must_fence = not seen.fenced
                if (file := self._instead_of(seen)) is not None:  # it was killed: its lock is free
                    return file
            elif self._stays_silent(seen, waiting):
                self.must_fence = True
                if (file := self._instead_of(seen)) is not None:
                    return self._settled(file)
            self.must_fence = False

    def _settled(self, file: int) -> int:
        """`file`, if no other newcomer has taken the lease over as well, and later."""
        try:
            self._machine.sleep(SETTLE_SECONDS)
            now = look(self._path)
            if now is None or now.token != self._token:
                raise self._refusal(now)
        except BaseException:
            os.close(file)
            raise
        return file

    def _stays_silent(self, seen: Seen, waiting: Waiting) -> bool:
        """Whether nothing is heard of its owner for so long that it must be gone; False if it has ended meanwhile.

        Raises:
            StudyError: it lives.
        """
        machine = self._machine
        with waiting() as show:
            began = machine.now()
            while (silent := machine.now() - began) < SILENCE_SECONDS:
                left = f"{SILENCE_SECONDS - silent:.0f} s"
                show(f"{self._path.parent}: a tuner {seen} may still be at work on this study; waiting {left} to see")
                machine.sleep(LOOK_SECONDS)
                asked = machine.now()
                now = look(self._path)
                if now is None:
                    return False
                if now.content != seen.content:
                    raise self._refusal(now)
                if machine.now() - asked > EVERY_SECONDS:  # the folder was out of reach, for its owner perhaps as well
                    began = machine.now()
        return True

    def _instead_of(self, seen: Seen) -> int | None:
        """Puts this one in the place of another; None if that has changed."""
        aside = self._path.with_name(f".{self._path.name}.{self._token}.tmp")  # pids of two machines may be equal
        file = self._new(aside)
        try:
            now = look(self._path)
            if now is not None and now.content == seen.content:
                os.replace(aside, self._path)
                return file
        except BaseException:
            os.close(file)
            raise
        finally:
            aside.unlink(missing_ok=True)
        os.close(file)
        return None

    def _new(self, path: Path) -> int:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
        try:
            os.pwrite(file, self._text(), 0)
        except BaseException:
            os.close(file)
            path.unlink(missing_ok=True)
            raise
        return file

    def _text(self) -> bytes:
        owner = {"host": self._machine.name, "pid": os.getpid(), "locks": self._machine.locks, "token": self._token}
        fenced = "false" if self.must_fence else "true"
        # Always of the same length: it is written over the one before.
        return f'{json.dumps(owner)[:-1]}, "fenced": {fenced:>5}, "renewed": {self._beat:>12}}}\n'.encode()

    def _refusal(self, seen: Seen | None) -> StudyError:
        local = seen is not None and seen.locks == self._machine.locks
        where = "" if seen is None else f" (pid {seen.pid})" if local else f", {seen}"
        return StudyError(
            f"{self._path.parent}: another tuner is at work on this study{where}; wait for it, stop it, or choose "
            "another name=…"
        )

    # -- keeping it ------------------------------------------------------------------------------------------------

    def _keep_renewing(self) -> None:
        while not self._closing.wait(EVERY_SECONDS):
            try:
                self.renew()
            except StudyError:
                self.on_lost()
                return
            except OSError:  # the network may come back, and somebody may make room; until then `check` decides
                continue

    def renew(self) -> None:
        """Shows that its owner lives, and looks whether it still is the owner.

        Raises:
            StudyError: it isn't.
            OSError: it can't be renewed now.
        """
        with self._one_at_a_time:
            if self._lost:
                raise StudyError(self._lost)
            began = self._machine.now()
            trouble = None
            try:
                self._beat += 1
                os.pwrite(self._file, self._text(), 0)
                os.fsync(self._file)
            except OSError as error:
                trouble = error
            self._look_whose_it_is()
            if trouble is not None:
                raise trouble
            self._renewed = began

    def _look_whose_it_is(self) -> None:
        now = look(self._path)
        if now is None or now.token != self._token:
            self._lose(now)

    def _lose(self, to: Seen | None) -> NoReturn:
        gone = f"its {self._path.name} is gone, so another one has gone on with it, or somebody has removed that"
        what = f"another one, {to}, goes on with it" if to else gone
        self._lost = (
            f"{self._path.parent}: this tuner was given up: {what}; it stops here, and has recorded nothing since"
        )
        raise StudyError(self._lost)

    def fenced(self) -> None:
        """The journal has a new file. (An OSError: it can't be noted.)"""
        self.must_fence = False
        self.renew()

    def check(self) -> None:
        """To be called before each write: a comparison, unless the last renewal is too long ago.

        Raises:
            StudyError: this process must not write.
        """
        if not self._lost and self._machine.now() - self._renewed < STALE_SECONDS:
            return
        try:
            self.renew()
        except OSError as error:
            raise StudyError(
                f"{self._path}: can't be written ({error.strerror or error}), so other machines may take this study "
                "over; it stops here, and nothing was done that isn't recorded; once it can be written again, "
                "resume=true goes on"
            ) from None

    def close(self) -> None:
        """Gives it up.

        Raises:
            StudyError: another tuner had taken it over.
        """
        self._closing.set()
        self._thread.join()
        os.close(self._file)
        if self._lost:
            raise StudyError(self._lost)
        with contextlib.suppress(OSError):
            now = look(self._path)
            if now is not None and now.token != self._token:
                self._lose(now)
            if not self.must_fence:  # else whoever comes next has to
                self._path.unlink(missing_ok=True)
