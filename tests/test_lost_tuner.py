"""A tuner that is lost costs nothing but time: a study goes on on another machine, and never on two."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import elsewhere
import pytest
from commands import journal, run, rung_table, start, wait_for
from test_end_to_end import read_until
from test_train_function_study import HALVING, STUDY, of

FUNCTIONS = Path(__file__).parent / "objective"


@pytest.mark.slow
def test_one_that_is_heard_refuses_others_and_one_that_was_not_ends_when_it_comes_back(monkeypatch):
    monkeypatch.syspath_prepend(FUNCTIONS)
    monkeypatch.setenv("PYTHONPATH", str(FUNCTIONS))
    monkeypatch.setenv("HPO_TRUST", "train_functions")
    study = (*STUDY, *HALVING, of("by_gate"))
    assert run(*study, "executor=serial", "name=undisturbed").code == 0
    first = start("a", *study, "executor.n_workers=2", program=elsewhere.__file__, GATE="closed")
    try:
        read_until(first, 8 + 4)  # two trials are left, and wait at the gate
        elsewhere.be("b", monkeypatch.setattr)
        refused = run("name=s", "resume=true", "executor=serial")
        assert (refused.code, len(refused.err.splitlines())) == (2, 1)
        assert (
            f"runs/s: another tuner is at work on this study, on host a (pid {first.pid}); wait for it" in refused.err
        )
        os.kill(first.pid, signal.SIGSTOP)
        elsewhere.be("b", monkeypatch.setattr, patience=1.0)
        resumed = run("name=s", "resume=true", "executor=serial")
        assert resumed.code == 0, resumed.err
        assert f"a tuner on host a (pid {first.pid}) may still be at work on this study; waiting 1 s" in resumed.out
        content = Path("runs/s/journal.jsonl").read_bytes()
        os.kill(first.pid, signal.SIGCONT)
        ended = wait_for(first)
    finally:
        first.kill()
    assert (ended.code, len(ended.err.splitlines())) == (2, 1)
    assert "runs/s: this tuner was given up: its journal.jsonl.lease is gone, so another one has" in ended.err
    assert Path("runs/s/journal.jsonl").read_bytes() == content
    assert rung_table(journal("s")) == rung_table(journal("undisturbed"))
    assert not list(Path("runs/s").glob("*.lease"))
