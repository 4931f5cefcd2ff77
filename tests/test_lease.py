"""One tuner a study, wherever it runs: leases on machines that share a folder, but neither clocks nor locks."""

from __future__ import annotations

import json
import os
import shutil
import threading
from pathlib import Path

import pytest
from hosts import HEADER, PATH, Host, contents, full

from hpo_pipeline import lease as leases
from hpo_pipeline.errors import StudyError
from hpo_pipeline.lease import EVERY_SECONDS, SETTLE_SECONDS, SILENCE_SECONDS, STALE_SECONDS


@pytest.fixture
def a() -> Host:
    return Host("a")


@pytest.fixture
def b() -> Host:
    return Host("b")


def owner() -> dict:
    return json.loads(PATH.read_text())


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
