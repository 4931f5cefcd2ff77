"""A study cut off anywhere, by a crash, a signal or a limit, goes on to the same end."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from sessions import MAKERS, Session, by_number, fifo, halving

from hpo_pipeline.errors import StudyError
from hpo_pipeline.testing import random_world, simulate
from hpo_pipeline.trial import Budget, State
from hpo_pipeline.tuner import End


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("seed", [0, 1])
def test_a_study_cut_off_after_any_record_goes_on_to_the_same_end(name, seed):
    curve, _ = random_world(seed)
    budget = Budget(n_trials=7)
    whole = Session(MAKERS[name], curve, budget, max_failures=99)
    expected, lines = whole.outcome(), whole.path.read_bytes().splitlines(keepends=True)
    assert expected[0]
    for k in range(1, len(lines) + 1):
        whole.path.write_bytes(b"".join(lines[:k]))
        resumed = Session(MAKERS[name], curve, budget, max_failures=99)
        assert resumed.outcome() == expected, f"cut after record {k}: {lines[k - 1]!r}"
        assert resumed.end.state == "completed"


@pytest.mark.parametrize("name", [name for name in MAKERS if name != "pbt"])  # a population has a fixed size
def test_a_study_cut_off_after_any_record_can_be_given_more_trials(name):
    curve, _ = random_world(3)
    Session(MAKERS[name], curve, Budget(n_trials=5), max_failures=99)
    path = Path("journal.jsonl")
    lines = path.read_bytes().splitlines(keepends=True)
    for k in range(1, len(lines) + 1):
        path.write_bytes(b"".join(lines[:k]))
        longer = Session(MAKERS[name], curve, Budget(n_trials=9), max_failures=99)
        assert sorted(longer.view.trials) == list(range(9)), f"cut after record {k}"
        longer.outcome()
        again = Session(MAKERS[name], curve, Budget(n_trials=9), max_failures=99)
        assert again.executor.jobs == [], f"cut after record {k}: extended, then resumed with nothing left to do"


@pytest.mark.parametrize("name", MAKERS)
def test_a_study_with_several_workers_cut_off_after_any_record_loses_nothing(name):
    # The order of results may differ after the break, so the ends may; every recorded evaluation must stay.
    curve, _ = random_world(4)
    budget = Budget(n_trials=8)
    Session(MAKERS[name], curve, budget, n_workers=3, max_failures=99)
    path = Path("journal.jsonl")
    lines = path.read_bytes().splitlines(keepends=True)
    for k in range(1, len(lines) + 1):
        path.write_bytes(b"".join(lines[:k]))
        resumed = Session(MAKERS[name], curve, budget, n_workers=3, max_failures=99)
        assert resumed.end.state == "completed", f"cut after record {k}"
        resumed.outcome()
        resources = {i: [at for at, _, _ in t.curve] for i, t in resumed.view.trials.items()}
        assert all(at == list(range(1, len(at) + 1)) for at in resources.values()), f"cut after record {k}"


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("fewer", [1, 2])
def test_a_study_goes_on_with_fewer_workers_than_had_jobs_in_flight(name, fewer):
    curve, _ = random_world(7, failures=0.0)
    Session(MAKERS[name], curve, Budget(n_trials=8), n_workers=4, dies_after=5)
    resumed = Session(MAKERS[name], curve, Budget(n_trials=8), n_workers=fewer)
    assert resumed.end.state == "completed"
    assert State.INTERRUPTED not in {trial.state for trial in resumed.view.trials.values()}


@pytest.mark.parametrize("n_workers", [1, 2, 5])
def test_synchronous_rungs_do_not_depend_on_the_number_of_workers(n_workers):
    curve, seconds = random_world(5)
    one = simulate(halving, curve, 1, Budget(n_trials=8))
    many = simulate(halving, curve, n_workers, Budget(n_trials=8), seconds=seconds)
    assert many.rung_table() == one.rung_table()


def test_a_session_that_was_interrupted_says_so_and_frees_its_trials():
    session = Session(fifo, by_number, Budget(n_trials=4), n_workers=2, dies_after=3)
    assert session.end == End("interrupted", "stopped by Ctrl-C")
    *_, first, second, end = session.records
    assert {(r["event"], r["trial"], r["outcome"]) for r in (first, second)} == {
        ("result", 0, "interrupted"),
        ("result", 1, "interrupted"),
    }
    assert (end["event"], end["state"]) == ("end", "interrupted")
    assert {t.state for t in session.view.trials.values()} == {State.INTERRUPTED}


@pytest.mark.parametrize("name", MAKERS)
def test_interrupted_after_any_answer_a_study_goes_on_to_the_same_end(name):
    curve, _ = random_world(6)
    whole = Session(MAKERS[name], curve, Budget(n_trials=5), max_failures=99)
    expected, answers = whole.outcome(), whole.view.total_resource
    for n in range(answers):
        whole.path.unlink()
        Session(MAKERS[name], curve, Budget(n_trials=5), max_failures=99, dies_after=n)
        resumed = Session(MAKERS[name], curve, Budget(n_trials=5), max_failures=99)
        assert resumed.outcome() == expected, f"interrupted after {n} answers"


def test_sigterm_ends_a_study_as_ctrl_c_does():
    before = signal.getsignal(signal.SIGTERM)

    def curve(trial_id: int, config: object, resource: int) -> float:
        if (trial_id, resource) == (1, 2):
            os.kill(os.getpid(), signal.SIGTERM)
        return by_number(trial_id, config, resource)

    session = Session(fifo, curve, Budget(n_trials=2))
    assert session.end == End("interrupted", "stopped by Ctrl-C")
    assert session.view.trials[1].state is State.INTERRUPTED
    assert signal.getsignal(signal.SIGTERM) == before


def test_what_was_in_flight_is_handed_out_again_from_where_its_records_end():
    Session(fifo, by_number, Budget(n_trials=1), dies_after=2)
    resumed = Session(fifo, by_number, Budget(n_trials=1))
    assert resumed.executor.started_at == [2]
    assert [at for at, _, _ in resumed.view.trials[0].curve] == [1, 2, 3, 4]


def test_a_journal_that_another_scheduler_wrote_is_refused():
    Session(halving, by_number, Budget(n_trials=4))
    with pytest.raises(StudyError, match=r"trial 0 sent to resource 1 where the scheduler now answers .*resource=4"):
        Session(fifo, by_number, Budget(n_trials=4))
