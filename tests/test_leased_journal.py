"""One journal, and tuners on several machines that take it from each other."""

from __future__ import annotations

import errno
import os

import filelock
import pytest
from hosts import HEADER, JOURNAL, PATH, Host, contents, full

from hpo_pipeline import lease as leases
from hpo_pipeline.errors import StudyError
from hpo_pipeline.journal import read
from hpo_pipeline.lease import STALE_SECONDS


@pytest.fixture
def a() -> Host:
    return Host("a")


@pytest.fixture
def b() -> Host:
    return Host("b")


@pytest.fixture
def _locks_hold_on_one_machine_only(monkeypatch):
    """As on a network file system without a lock service: each process here is on a machine of its own."""
    monkeypatch.setattr(filelock.FileLock, "acquire", lambda *_given, **_named: None)


@pytest.mark.usefixtures("_locks_hold_on_one_machine_only")
def test_a_tuner_that_was_silent_writes_nothing_more(a, b):
    first = a.journal()
    first.append(HEADER, {"event": "a"})
    with b.journal() as second:
        second.append({"event": "b"})
        a.time = STALE_SECONDS
        for act in (lambda: first.append({"event": "late"}), first.check, first.recover):
            with pytest.raises(StudyError, match="was given up: another one, on host b"):
                act()
        second.append({"event": "c"})
        first.close()
    assert contents() == ["study", "a", "b", "c"]


@pytest.mark.usefixtures("_locks_hold_on_one_machine_only")
def test_what_was_on_its_way_does_not_arrive(a, b):
    """Suspended within a write, or in a network's buffers: it is written when the other one is long at work."""
    first = a.journal()
    first.append(HEADER)
    with b.journal() as second:
        second.append({"event": "b"})
        first.append({"event": "late"})  # its clock stood still: it knows nothing yet
        os.pwrite(first._file, b"x" * 1000, 0)
        assert contents() == ["study", "b"]
        with pytest.raises(StudyError, match="was given up"):
            first.close()


@pytest.mark.usefixtures("_locks_hold_on_one_machine_only")
def test_the_new_file_is_the_same_study_and_whole(a, b):
    JOURNAL.touch()
    with a.journal() as first:
        first.append({**HEADER, "inode": JOURNAL.stat().st_ino, "host": "a"}, {"event": "a"})
    with open(JOURNAL, "ab") as file:
        file.write(b'{"event":"cut sho')
    a.lease()
    with b.journal() as second:
        second.append({"event": "b"})
    first, then = (record for record, _ in read(JOURNAL) if record["event"] == "study")
    assert contents() == ["study", "a", "study", "b"]
    assert first["inode"] != then["inode"] == JOURNAL.stat().st_ino
    assert {**first, "inode": 0, "host": "b"} == {**then, "inode": 0}


def test_the_lock_of_a_machine_that_is_silent_is_no_obstacle(a, b):
    """Some file systems keep the lock of a machine that has vanished."""
    first = a.journal()
    first.append(HEADER)
    with b.journal() as second:
        with pytest.raises(StudyError, match=r"another tuner is at work on this study \(pid"):
            b.journal()
        second.append({"event": "b"})
        with pytest.raises(StudyError, match="was given up"):
            first.close()
        with pytest.raises(StudyError, match="another tuner is at work on this study"):
            b.journal()
    b.journal().close()
    assert contents() == ["study", "b"]


def test_a_file_system_without_locks_has_leases(a, b, monkeypatch):
    def none(*_given, **_named):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(filelock.FileLock, "acquire", none)
    with a.journal() as first:
        first.append(HEADER)
        b.meanwhile = lambda _time: first._lease.renew()
        with pytest.raises(StudyError, match="another tuner is at work on this study, on host a"):
            b.journal()
    with b.journal() as second:
        second.append({"event": "b"})


def test_a_journal_that_is_damaged_leaves_neither_lease_nor_lock(a):
    JOURNAL.write_text("nonsense\n")
    with pytest.raises(StudyError, match="line 1"):
        a.journal()
    assert not PATH.exists()
    JOURNAL.unlink()
    a.journal().close()


def test_a_folder_without_room_is_said_and_leaves_nothing(a, monkeypatch):
    with full(monkeypatch), pytest.raises(StudyError, match=r"journal.jsonl: can't be written \(No space left"):
        a.journal()
    assert not PATH.exists()
    a.journal().close()


def test_ctrl_c_while_it_waits_leaves_the_study_as_it_was(a, b):
    a.lease()
    before = PATH.read_bytes()

    def interrupt(_time):
        raise KeyboardInterrupt

    b.meanwhile = interrupt
    with pytest.raises(KeyboardInterrupt):
        b.journal()
    assert PATH.read_bytes() == before
    assert not JOURNAL.exists()
    with filelock.FileLock("journal.jsonl.lock", timeout=0):
        pass


def test_an_append_costs_no_look_at_the_lease(a, monkeypatch):
    with a.journal() as journal:
        journal.append(HEADER)
        with monkeypatch.context() as patched:
            patched.setattr(leases, "look", None)
            patched.setattr(os, "pwrite", None)
            for _ in range(100):
                journal.append({"event": "a"})
