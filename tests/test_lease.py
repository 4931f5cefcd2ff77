"""One tuner a study, wherever it runs: leases on machines that share a folder, but neither clocks nor locks."""

from __future__ import annotations

import errno
import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock
import pytest

from hpo_pipeline import lease as leases
from hpo_pipeline.errors import StudyError
from hpo_pipeline.journal import VERSION, Journal, read
from hpo_pipeline.lease import EVERY_SECONDS, SETTLE_SECONDS, SILENCE_SECONDS, STALE_SECONDS, Lease, Machine

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


def owner() -> dict:
    return json.loads(PATH.read_text())


@contextmanager
def full(monkeypatch) -> Iterator[None]:
    def write(*_given):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", write)
        yield


# -- who comes from another machine --------------------------------------------------------------------------------


def test_a_tuner_that_lives_is_heard_and_the_newcomer_is_refused(a, b):
    first = a.lease()
    b.meanwhile = lambda time: first.renew() if time % EVERY_SECONDS == 0 else None
    with pytest.raises(StudyError) as refused:
        b.lease()
    assert f"another tuner is at work on this study, on host a (pid {os.getpid()})" in str(refused.value)
    assert b.time == EVERY_SECONDS  # the first sign of life is enough
    assert b.shown[0].endswith(f"a tuner on host a (pid {os.getpid()}) may still be at work on this study; "
                               "waiting 30 s to see")  # fmt: skip
    first.check()
    first.close()
    assert not PATH.exists()


def test_one_that_is_silent_is_taken_over_and_finds_out(a, b):
    first = a.lease()
    second = b.lease()
    assert b.time == SILENCE_SECONDS + SETTLE_SECONDS
    assert (owner()["host"], second.must_fence) == ("b", True)
    there = PATH.read_bytes()
    for _ in range(2):
        with pytest.raises(StudyError, match=r"was given up: another one, on host b \(pid \d+\), goes on"):
            first.renew()
    with pytest.raises(StudyError, match="recorded nothing since"):
        first.check()
    with pytest.raises(StudyError, match="was given up"):
        first.close()
    assert PATH.read_bytes() == there
    second.fenced()
    second.close()
    assert not PATH.exists()


def test_a_tuner_that_ends_while_the_newcomer_watches_is_followed_at_once(a, b):
    first = a.lease()
    b.meanwhile = lambda time: first.close() if time == 3 else None
    b.lease().close()
    assert b.time == 3


def test_time_in_which_the_folder_was_out_of_reach_does_not_count(a, b, monkeypatch):
    a.lease()
    look = leases.look

    def slow(path):
        if b.time == 20:
            b.time += EVERY_SECONDS + 1
        return look(path)

    monkeypatch.setattr(leases, "look", slow)
    b.lease()
    assert b.time == 20 + EVERY_SECONDS + 1 + SILENCE_SECONDS + SETTLE_SECONDS


def test_a_lease_that_was_copied_along_refuses_nobody_for_ever(a, b):
    a.lease()
    Path("copy").mkdir()
    shutil.copy(PATH, "copy")
    os.chdir("copy")
    b.lease()
    assert (owner()["host"], b.time) == ("b", SILENCE_SECONDS + SETTLE_SECONDS)


def test_whose_lease_was_removed_by_hand_stops(a):
    first = a.lease()
    PATH.unlink()
    with pytest.raises(StudyError, match=r"its journal.jsonl.lease is gone, so .*; it stops here"):
        first.renew()


def test_one_that_was_removed_when_all_was_done_is_no_loss(a):
    with a.journal() as first:
        first.append(HEADER)
        PATH.unlink()
    assert contents() == ["study"]


def test_one_that_was_taken_over_when_all_was_done_is_told(a):
    first = a.journal()
    first.append(HEADER)
    PATH.write_text(PATH.read_text().replace(owner()["token"], "another"))
    with pytest.raises(StudyError, match="another one, on host a"):
        first.close()


# -- on one machine the lock decides -------------------------------------------------------------------------------


def test_on_one_machine_a_killed_tuner_is_followed_without_waiting(a):
    a.lease()
    second = a.lease(locked=True)
    assert (a.time, a.shown, second.must_fence) == (0.0, [], False)
    second.close()


def test_on_one_machine_a_live_tuner_refuses_without_waiting(a):
    a.lease()
    with pytest.raises(StudyError, match=rf"another tuner is at work on this study \(pid {os.getpid()}\); wait"):
        a.lease(locked=False)
    PATH.unlink()
    with pytest.raises(StudyError, match="another tuner is at work on this study; wait"):  # of an older version
        a.lease(locked=False)
    assert (a.time, PATH.exists()) == (0.0, False)


def test_where_there_are_no_locks_one_machine_is_like_two(a):
    a.lease(locked=None)
    a.lease(locked=None)
    assert a.time == SILENCE_SECONDS + SETTLE_SECONDS


def test_this_machine_is_the_same_from_wherever_it_is_asked():
    Path("folder").mkdir()
    assert leases.this_machine(Path()).locks == leases.this_machine(Path("folder")).locks
    assert leases.this_machine(Path()).locks != leases.this_machine(Path("/proc")).locks


# -- races ---------------------------------------------------------------------------------------------------------


def test_of_two_newcomers_the_later_one_is_refused(a, b):
    a.lease()
    c, won = Host("c"), []
    b.meanwhile = lambda time: won.append(c.lease()) if time == SILENCE_SECONDS else None
    with pytest.raises(StudyError, match="on host c"):
        b.lease()
    assert owner()["host"] == "c"
    won[0].check()


def test_a_newcomer_whose_lease_is_replaced_before_it_settles_is_refused(a, b, monkeypatch):
    """Both have seen the old one; c is between its last look and its own lease when b puts in its."""
    a.lease()
    c, put, won = Host("c"), os.replace, []

    def late(aside, path):
        monkeypatch.setattr(os, "replace", put)
        b.meanwhile = lambda time: put(aside, path) if time > SILENCE_SECONDS else None
        with pytest.raises(StudyError, match="on host c"):
            b.lease()
        won.append("b is refused")

    monkeypatch.setattr(os, "replace", late)
    second = c.lease()
    assert (owner()["host"], won) == ("c", ["b is refused"])
    second.check()


def test_a_newcomer_that_was_stopped_between_its_look_and_its_lease_ends_the_one_that_settled(a, b, monkeypatch):
    a.lease()
    c, put, settled = Host("c"), os.replace, []

    def late(aside, path):
        monkeypatch.setattr(os, "replace", put)
        settled.append(b.lease())
        put(aside, path)

    monkeypatch.setattr(os, "replace", late)
    second = c.lease()
    second.check()
    with pytest.raises(StudyError, match="on host c"):
        settled[0].renew()


def test_a_sign_of_life_at_the_last_moment_begins_it_all_again(a, b, monkeypatch):
    first = a.lease()
    write = os.pwrite

    def late(*given):
        monkeypatch.setattr(os, "pwrite", write)
        first.renew()
        return write(*given)

    monkeypatch.setattr(os, "pwrite", late)
    b.lease()
    assert b.time == 2 * SILENCE_SECONDS + SETTLE_SECONDS


def test_what_is_taken_over_and_not_yet_fenced_is_fenced_by_whoever_comes_next(a, b):
    a.lease()
    b.lease()  # and it is killed
    b.time = 0.0
    third = b.lease()
    assert (b.time, third.must_fence) == (0.0, True)
    third.close()
    assert PATH.exists()
    fourth = b.lease()
    fourth.fenced()
    assert not b.lease().must_fence


# -- a lease that can't be renewed ---------------------------------------------------------------------------------


def test_who_cannot_renew_stops_before_anyone_may_take_over(a, monkeypatch):
    first = a.lease()
    with full(monkeypatch):
        a.time = STALE_SECONDS - 1
        first.check()
        a.time = STALE_SECONDS
        with pytest.raises(StudyError, match=r"lease: can't be written \(No space left on device\), so other machines"):
            first.check()
    first.check()  # there is room again, and nobody has come
    assert STALE_SECONDS < SILENCE_SECONDS


def test_who_slept_and_was_not_missed_goes_on(a, b, monkeypatch):
    first = a.lease()
    a.time = 3600.0
    first.check()
    with full(monkeypatch):
        first.check()  # it was renewed then
    b.meanwhile = lambda _time: first.renew()
    with pytest.raises(StudyError, match="on host a"):
        b.lease()


def test_a_check_of_a_fresh_lease_touches_no_file(a, monkeypatch):
    first = a.lease()
    with monkeypatch.context() as patched:
        for name in ("open", "read", "pwrite", "fsync", "stat"):
            patched.setattr(os, name, None)
        first.check()


def test_in_the_background_it_is_renewed_and_a_loss_is_told(a, b, monkeypatch):
    monkeypatch.setattr(leases, "EVERY_SECONDS", 0.001)
    renewed, lost, fsync = threading.Event(), threading.Event(), os.fsync
    monkeypatch.setattr(os, "fsync", lambda file: (fsync(file), renewed.set()))
    first = a.lease()
    first.on_lost = lost.set
    assert renewed.wait(30)
    shutil.copy(PATH, "other")
    PATH.unlink()
    assert lost.wait(30)
    with pytest.raises(StudyError, match="is gone"):
        first.check()


# -- leases from strangers -----------------------------------------------------------------------------------------

STRANGE = {
    "empty": b"",
    "binary": bytes(range(256)),
    "a list": b"[1]",
    "nested": b"[" * 100_000,
    "large": b"0" * 10_000_000,
    "no keys": b"{}",
    "of other kinds": b'{"host": 1, "pid": "x", "locks": [], "token": null}',
    "true": b'{"host": "h", "pid": true, "locks": "", "token": ""}',
}


@pytest.mark.parametrize("content", STRANGE.values(), ids=STRANGE)
def test_one_that_makes_no_sense_is_waited_for_once(a, content):
    PATH.write_bytes(content)
    a.lease().check()
    assert a.time == SILENCE_SECONDS + SETTLE_SECONDS
    assert "a tuner on another machine may" in a.shown[0]


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: os.symlink("changes", path)], ids=["pipe", "link"])
def test_what_is_no_file_is_neither_read_nor_followed(a, make):
    make(PATH)
    a.meanwhile = lambda time: Path("changes").write_text(str(time))
    a.lease().check()
    assert PATH.is_file()
    assert not PATH.is_symlink()


def test_what_a_stranger_writes_as_its_host_cannot_act_on_the_terminal(a):
    PATH.write_text(json.dumps({"host": "\x1b[2Jx\r\n" + "y" * 999, "pid": 7, "locks": "", "token": ""}))
    a.lease()
    assert "a tuner on host ?[2Jx??yyy" in a.shown[0]
    assert len(a.shown[0]) < 200


# -- the journal ---------------------------------------------------------------------------------------------------


def contents() -> list[str]:
    return [record["event"] for record, _ in read(JOURNAL)]


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
