"""The journal: a study's records (records.py), one JSON object a line, appended and never changed. All else is a view.

Each line ends with a checksum, `"crc":"0a1b2c3d"`: the CRC-32 of the text before it, continued from the line before. So
a line that was changed, lost, doubled or moved is found when the journal is read, and named. What is cut off at the end
isn't: a journal is whole after every line, and a last line that a crash cut short is dropped when it is opened again.

A record is with the operating system when `append` returns, so it survives the death of the process; within a second
it is on the disk. Journals of version 1 have no checksums; where one is gone on with, new lines have them.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import re
import shutil
import sys
import threading
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, TypeVar

import filelock

from hpo_pipeline.atomic import replacing
from hpo_pipeline.errors import StudyError
from hpo_pipeline.lease import Lease, Machine, Waiting, silently, this_machine
from hpo_pipeline.records import VERSION, Record, decode, encode

__all__ = ["VERSION", "Journal", "Record", "read"]

_SYNC_SECONDS = 0.5
_SEAL = re.compile(rb',"crc":"([0-9a-f]{8})"}\n')
_SEAL_LENGTH = 19
_BEGINNING = b'{"event":'
_NONE = re.compile(rb"(?!)")
_T = TypeVar("_T")


class _Chain:
    """The checksum over the lines so far; `sealed` once a line has had one: from there on all must."""

    def __init__(self) -> None:
        self.crc = 0
        self.sealed = False

    def seal(self, text: bytes) -> bytes:
        """A record's text as a line."""
        self.crc, self.sealed = zlib.crc32(text[:-1], self.crc), True
        return b'%b,"crc":"%08x"}\n' % (text[:-1], self.crc)

    def unseal(self, line: bytes) -> bytes:
        """A line as a record's text; a ValueError where it isn't the one that was written after the one before."""
        seal = _SEAL.fullmatch(line[-_SEAL_LENGTH:])
        if seal is None:
            if self.sealed:
                raise ValueError("it has no checksum")
            self.crc = zlib.crc32(line, self.crc)
            return line
        text = line[:-_SEAL_LENGTH]
        self.crc, self.sealed = zlib.crc32(text, self.crc), True
        if int(seal[1], 16) != self.crc:
            raise ValueError("its checksum is wrong: it was changed, or a line before it is missing or added")
        return text + b"}"

    def go_to(self, file: BinaryIO, offset: int) -> None:
        """Takes up the chain after the line that ends at byte `offset` (else a ValueError); leaves the file there."""
        file.seek(max(0, offset - _SEAL_LENGTH))
        if seal := _SEAL.fullmatch(file.read(_SEAL_LENGTH)):
            self.crc, self.sealed = int(seal[1], 16), True
            return
        file.seek(0)
        while file.tell() < offset:  # a journal of version 1: the checksum has to be counted from the beginning
            if not (line := file.readline()).endswith(b"\n") or file.tell() > offset:
                raise ValueError(f"no line ends at byte {offset}")
            self.unseal(line)


def read(path: Path, offset: int = 0) -> Iterator[tuple[Record, int]]:
    """The records from byte `offset` on, each with the offset after it. A line that isn't finished is left out.

    Raises:
        StudyError: the journal can't be read, is of a later version, or is damaged; names the line.
    """
    return _read(path, offset, decode)


def _read(path: Path, offset: int, decoded: Callable[[bytes], _T]) -> Iterator[tuple[_T, int]]:
    """As `read`, with what `decoded` makes of each record's text."""
    chain, end = _Chain(), offset
    try:
        with open(path, "rb") as file:
            chain.go_to(file, offset)
            while (line := file.readline()).endswith(b"\n"):
                record = decoded(chain.unseal(line) if end else _header(path, line, chain))
                end += len(line)
                yield record, end
    except OSError as error:
        raise StudyError(f"{path}: can't be read ({error.strerror or error})") from None
    except ValueError as error:
        line_number = path.read_bytes().count(b"\n", 0, end) + 1
        or_else = ", or delete this line and all after it: resume=true goes on from the line before"
        mend = f"restore the journal from a copy{or_else if line_number > 1 else ''}"
        raise StudyError(f"{path}: line {line_number}: {error}; {mend}") from None


def _header(path: Path, line: bytes, chain: _Chain) -> bytes:
    """The first record's text. Its version comes before all else: a later one may have other checksums and records."""
    if not line.startswith(_BEGINNING):
        raise ValueError("this is not a journal")
    version = re.search(rb'"version": ?(\d{1,18})[,}]', line)
    if version and int(version[1]) > VERSION:
        raise StudyError(
            f"{path}: line 1: the journal is of version {int(version[1])}, and this hpo_pipeline knows "
            f"versions up to {VERSION}; update it"
        )
    record = decode(text := chain.unseal(line))
    if record["event"] != "study":
        raise ValueError(f"a journal begins with a study, this one with {record['event']!r}")
    if record.get("version", 1) > 1 and not chain.sealed:
        raise ValueError("it has no checksum")
    return text


class Journal:
    """Appends to a study's journal, as its only writer.

    Args:
        path: the journal, in the study's folder.
        waiting: shows what is waited for when a tuner on another machine may still be at work.
        machine: where this process runs; tests say so.

    Raises:
        StudyError: another process writes to it, or it can't be written, or is damaged.
    """

    def __init__(self, path: Path, waiting: Waiting = silently, machine: Machine | None = None) -> None:
        self.path = path
        self._machine = machine or this_machine(path.parent)
        self._trouble: StudyError | None = None
        self._told = False
        with contextlib.ExitStack() as undo:
            try:
                locked = self._locked()
                undo.callback(lambda: self._lock.release())
                self._lease = Lease(Path(f"{path}.lease"), self._machine, locked, waiting)
                undo.callback(self._lease.close)
                if locked is False:
                    self._lock_anew()
                if self._lease.must_fence:
                    self._fence()
                self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
            except OSError as error:
                raise self._cannot_write(error) from None
            undo.callback(os.close, self._file)
            self.recover(known=sys.maxsize)
            undo.pop_all()
        self._dirty = threading.Event()
        self._closing = threading.Event()
        self._syncer = threading.Thread(target=self._sync_in_groups, name="journal-sync", daemon=True)
        self._syncer.start()

    def _locked(self) -> bool | None:
        """Whether the lock is this process's now; None where the file system has none."""
        self._lock = filelock.FileLock(f"{self.path}.lock")
        try:
            self._lock.acquire(timeout=0)
        except filelock.Timeout:
            return False
        except OSError as error:
            if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP):
                raise
            return None
        return True

    def _lock_anew(self) -> None:
        """Takes the lock of a machine that is gone, or silent: on some file systems it would stay for ever."""
        with replacing(Path(f"{self.path}.lock")) as aside:
            aside.touch()
        if self._locked() is False:
            raise StudyError(f"{self.path.parent}: another tuner has just begun; wait for it, or choose another name=…")

    def _fence(self) -> None:
        """Puts the journal into a new file: what a tuner elsewhere has still on its way to the old one never gets here.

        The latest `study` record says which file it is (its inode), if it is the old one; the new one says so as well.
        """
        if self.path.exists():
            with replacing(self.path, durable=True) as aside:
                shutil.copy(self.path, aside)
                end = 0
                last: Record = {}
                for record, after in read(aside):
                    end, last = after, record if record["event"] == "study" else last
                with open(aside, "r+b") as file:
                    (chain := _Chain()).go_to(file, end)
                    file.truncate(end)
                    if last.get("inode") == self.path.stat().st_ino:
                        new = {"inode": aside.stat().st_ino, "host": self._machine.name}
                        file.seek(end)
                        file.write(chain.seal(encode({**last, **new})))
        self._lease.fenced()

    def when_lost(self, call: Callable[[], None]) -> None:
        """Has `call` called, from another thread, when a tuner on another machine has taken the study over."""
        self._lease.on_lost = call

    def check(self) -> None:
        """Whether this process may still write; costs a comparison.

        Raises:
            StudyError: it may not.
        """
        if self._trouble is None:
            try:
                self._lease.check()
            except StudyError as error:
                self._trouble = error
        if self._trouble is not None:
            self._told = True
            raise self._trouble

    def _cannot_write(self, error: OSError) -> StudyError:
        return StudyError(
            f"{self.path}: can't be written ({error.strerror or error}); the study stops here, and nothing was done "
            "that isn't recorded; once it can be written again, resume=true goes on"
        )

    def _reason(self, error: OSError) -> StudyError:
        """Why it can't be written: what another machine's tuner has replaced is gone for this one."""
        try:
            self._lease.renew()
        except StudyError as lost:
            return lost
        except OSError:
            pass
        return self._cannot_write(error)

    def records(self, *events: str) -> Iterator[Record]:
        """The records so far, of these events alone or all of them; read one by one."""
        others = re.compile(rb'{"event":"(?!(?:%b)")' % "|".join(events).encode()) if events else _NONE
        found = _read(self.path, 0, lambda text: None if others.match(text) else decode(text))
        return (record for record, _ in found if record is not None and (not events or record["event"] in events))

    def recover(self, known: int = 0) -> list[Record]:
        """What the file holds, where `append` goes on now; a last line that was cut short is dropped.

        Call it after an interrupt, which may have come in the middle of `append`.

        Args:
            known: how many records to leave out, from the first one on: only their checksums are looked at.
        """
        self.check()
        self._chain, self._size = _Chain(), 0
        records = []
        numbers = itertools.count()
        for record, end in _read(self.path, 0, lambda text: decode(text) if next(numbers) >= known else None):
            self._size = end
            if record is not None:
                records.append(record)
        try:
            with open(self.path, "rb") as file:
                self._chain.go_to(file, self._size)
                rest = file.read()
            if not self._size and rest[: len(_BEGINNING)] != _BEGINNING[: len(rest)]:
                raise StudyError(f"{self.path}: line 1: this is not a journal; move it away")
            if rest:
                os.ftruncate(self._file, self._size)
        except OSError as error:
            raise self._cannot_write(error) from None
        return records

    def append(self, *records: Record) -> None:
        """Writes `records` in one piece: after a crash, all of them are there or the first few whole ones.

        Raises:
            StudyError: it can't be written, now or in the background since the last call; nothing more is then.
        """
        self.check()
        lines = b"".join(map(self._chain.seal, [encode(record) for record in records]))
        written = 0
        try:
            while written < len(lines):  # a signal can cut a write short; the next one goes on, or says why it can't
                written += os.write(self._file, lines[written:])
        except OSError as error:
            self._trouble, self._told = self._reason(error), True
            with contextlib.suppress(OSError):  # what is left of a line is dropped now, or when it is opened again
                os.ftruncate(self._file, self._size + lines.rfind(b"\n", 0, written) + 1)
            raise self._trouble from None
        self._size += len(lines)
        if not self._dirty.is_set():  # else what is written is on its way to the disk: it is cleared before that
            self._dirty.set()

    def _sync_in_groups(self) -> None:
        while not self._closing.is_set() and self._trouble is None:
            self._dirty.wait()
            self._dirty.clear()
            self._sync()
            self._closing.wait(_SYNC_SECONDS)

    def _sync(self) -> None:
        try:
            os.fsync(self._file)
            if os.fstat(self._file).st_nlink == 0:  # the system goes on writing to what nobody will find again
                raise FileNotFoundError(errno.ENOENT, "it was deleted")
        except OSError as error:
            self._trouble = self._reason(error)

    def close(self) -> None:
        """Brings what was written to the disk (a StudyError, where it didn't get there), and lets others write."""
        if self._closing.is_set():
            return
        self._closing.set()
        self._dirty.set()
        self._syncer.join()
        if self._trouble is None:
            self._sync()
        os.close(self._file)
        try:
            self._lease.close()
        except StudyError as lost:
            self._trouble = self._trouble or lost
        self._lock.release()
        if self._trouble is not None and not self._told:
            raise self._trouble

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        try:
            self.close()
        except StudyError:
            if error is None:  # else this is the reason why something else went wrong, or less important than that
                raise
