"""Who is at work on a study, seen from outside: by its lock on this machine, by its lease on others."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from written_journal import written_folder

from hpo_pipeline.at_work import Owner, owner_of
from hpo_pipeline.journal import Journal
from hpo_pipeline.lease import this_machine


@pytest.fixture
def journal() -> Path:
    return written_folder("runs/a") / "journal.jsonl"


def lease(journal: Path, seconds_ago: float = 0.0, **content: object) -> None:
    path = Path(f"{journal}.lease")
    path.write_text(json.dumps({"host": "far", "pid": 7, "locks": "elsewhere/1", "token": "t", **content}))
    then = time.time() - seconds_ago
    os.utime(path, (then, then))


def test_a_tuner_on_this_machine_is_known_by_its_lock(journal):
    assert owner_of(journal) is None
    with Journal(journal):
        assert owner_of(journal) == Owner(os.uname().nodename, os.getpid())
    assert owner_of(journal) is None


def test_a_lease_without_a_lock_is_of_a_tuner_that_was_killed(journal):
    lease(journal, locks=this_machine(journal.parent).locks)
    assert owner_of(journal) is None


def test_one_on_another_machine_is_known_by_the_age_of_its_lease(journal):
    lease(journal, seconds_ago=12)
    found = owner_of(journal)
    assert found is not None
    assert (found.host, found.pid) == ("far", 7)
    assert str(found) == "far, pid 7, last heard of 12 s ago"
    lease(journal, seconds_ago=120)
    assert owner_of(journal) is None


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"host": 1}', "x" * 10_000])
def test_a_lease_that_is_none_says_nothing(journal, content):
    Path(f"{journal}.lease").write_text(content)
    assert owner_of(journal) is None


def test_looking_changes_nothing_and_follows_no_link(journal):
    Path("elsewhere").touch()
    for kind in ("lock", "lease"):
        path = Path(f"{journal}.{kind}")
        path.unlink(missing_ok=True)
        path.symlink_to(Path("elsewhere").absolute())
    assert owner_of(journal) is None
    lease_of_host = Path(f"{journal}.lease")
    lease_of_host.unlink()
    lease(journal, host="evil\x1b[2J")
    assert "\x1b" not in str(owner_of(journal))


def test_asking_keeps_no_tuner_out(journal):
    owner_of(journal)
    with Journal(journal):
        assert owner_of(journal) is not None
