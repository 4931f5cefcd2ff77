"""A study cut off anywhere, by a crash, a signal or a limit, goes on to the same end."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sessions import MAKERS, RecordingExecutor, Session, by_number, fifo, halving

from hpo_pipeline.budget import Budget, End
from hpo_pipeline.errors import StudyError
from hpo_pipeline.journal import Journal, Record
from hpo_pipeline.scheduler import Scheduler
from hpo_pipeline.searcher.trial_generator import TrialGenerator
from hpo_pipeline.simulation import Curve, random_world, simulate
from hpo_pipeline.trial import State
from hpo_pipeline.view import StudyView


@pytest.mark.parametrize("name", MAKERS)
def test_a_study_cut_off_after_any_record_goes_on_to_the_same_end(name):
    curve, _ = random_world(0)
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
def test_a_study_cut_off_after_any_record_can_be_given_fewer_trials(name):
    curve, _ = random_world(3)
    Session(MAKERS[name], curve, Budget(n_trials=6), max_failures=99)
    path = Path("journal.jsonl")
    lines = path.read_bytes().splitlines(keepends=True)
    for k in range(1, len(lines) + 1):
        path.write_bytes(b"".join(lines[:k]))
        before = sum(b'"suggested"' in line for line in lines[:k])
        shorter = Session(MAKERS[name], curve, Budget(n_trials=3), max_failures=99)
        assert shorter.end.state == "completed", f"cut after record {k}: {shorter.end}"
        assert len(shorter.view.trials) == max(3, before)
        shorter.outcome()
        # a synchronous rung that can't be filled any more is halved as it is
        states = {trial.state for trial in shorter.view.trials.values()}
        assert State.PAUSED not in states or "asha" in name or "pasha" in name, f"cut after record {k}: {states}"


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


class Interrupts:
    """Raises KeyboardInterrupt at one of the calls out of the tuner, before or after its effect."""

    def __init__(self, at: int, *, after: bool) -> None:
        self.at, self.after, self.count = at, after, 0

    def around(self, target: Any, *methods: str) -> None:
        for name in methods:
            setattr(target, name, self._around(getattr(target, name)))

    def _around(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            number, self.count = self.count, self.count + 1
            if number == self.at and not self.after:
                raise KeyboardInterrupt
            answer = method(*given, **named)
            if number == self.at:
                raise KeyboardInterrupt
            return answer

        return call

    def session(self, name: str, curve: Curve) -> Session:
        """A study in which every call out of the tuner is counted."""

        def make(trials: TrialGenerator) -> Scheduler:
            self.around(trials, "new")
            self.around(trials.searcher, "on_submitted", "on_evaluation", "on_state")
            scheduler = MAKERS[name](trials)
            self.around(scheduler, "next_job", "on_report", "on_result")
            return scheduler

        def executor(*given: Any, **named: Any) -> RecordingExecutor:
            made = RecordingExecutor(*given, **named)
            self.around(made, "submit", "wait", "cancel", "discard")
            return made

        def journal(path: Path) -> Journal:
            made = Journal(path)
            self.around(made, "append")
            return made

        class Listens:
            def update(self, record: Record) -> None: ...

            def say(self, notice: str) -> None: ...

        listens = Listens()
        self.around(listens, "update")
        parts: dict[str, Any] = {"executor": executor, "journal": journal, "listener": listens}
        return Session(make, curve, Budget(n_trials=3), max_failures=99, **parts)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("name", ["asha stopping", "successive_halving", "median_stopping", "pbt"])
def test_an_interrupt_at_any_call_out_of_the_tuner_loses_and_changes_nothing(name, after):
    curve, _ = random_world(2)
    counted = Interrupts(-1, after=after)
    expected = counted.session(name, curve).outcome()
    path = Path("journal.jsonl")
    interrupted = 0
    for at in range(1, counted.count):  # 0 is the header, which the tuner has no part in
        path.unlink()
        try:
            session = Interrupts(at, after=after).session(name, curve)
        except KeyboardInterrupt:  # at the last words of a session that was over
            assert at > counted.count - 5
        else:
            interrupted += 1
            assert session.end == End("interrupted", "stopped by Ctrl-C")
            folded = StudyView()
            for record in session.records:
                folded.apply(record)
            assert {i: (t.state, t.resource) for i, t in folded.trials.items()} == {
                i: (t.state, t.resource) for i, t in session.view.trials.items()
            }
            assert State.RUNNING not in {trial.state for trial in folded.trials.values()}
        resumed = Session(MAKERS[name], curve, Budget(n_trials=3), max_failures=99)
        assert resumed.outcome() == expected, f"interrupted at call {at}"
        assert State.INTERRUPTED not in {trial.state for trial in resumed.view.trials.values()}
    assert interrupted > 30


@pytest.mark.parametrize("name", ["fifo", "asha stopping", "successive_halving"])
def test_checkpoints_that_a_crash_kept_from_being_dropped_are_dropped_when_the_study_goes_on(name):
    curve, _ = random_world(3)
    whole = Session(MAKERS[name], curve, Budget(n_trials=6), max_failures=99)
    dropped, lines = set(whole.executor.discarded), whole.path.read_bytes().splitlines(keepends=True)
    assert dropped
    for k in range(1, len(lines) + 1):
        whole.path.write_bytes(b"".join(lines[:k]))
        resumed = Session(MAKERS[name], curve, Budget(n_trials=6), max_failures=99)
        assert set(resumed.executor.discarded) == dropped, f"cut after record {k}"
