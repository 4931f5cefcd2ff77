"""Every scheduler is held to the contract that anyone's own one is held to."""

import re
from dataclasses import replace

import pytest
from components import SCHEDULERS
from sessions import Session, by_number

from hpo_pipeline.budget import Budget
from hpo_pipeline.evaluation import Status
from hpo_pipeline.scheduler import DONE, WAIT
from hpo_pipeline.scheduler.asha import ASHA
from hpo_pipeline.scheduler.fifo import FIFO
from hpo_pipeline.simulation import ContractError, random_world, simulate
from hpo_pipeline.testing import check_scheduler
from hpo_pipeline.trial import CONTINUE, FINAL, Decision, Job, State, StateChange, Trial


@pytest.mark.parametrize("name", SCHEDULERS)
@pytest.mark.parametrize("n_workers", [1, 3, 16])  # test_combinations.py has those between
def test_schedulers_keep_the_contract_with_any_number_of_workers(name, n_workers):
    check_scheduler(SCHEDULERS[name], n_workers, seed=n_workers)


@pytest.mark.parametrize("name", SCHEDULERS)
@pytest.mark.parametrize("seed", range(6))
def test_no_trial_gets_a_job_after_a_final_decision_whatever_n_trials_each_session_has(name, seed):
    rounds = [[8, 16, 40], [20, 9, 40], [12, 12, 30], [30, 15, 7]][seed % 4]
    curve, seconds = random_world(seed, failures=0.05)
    outcome = simulate(
        SCHEDULERS[name], curve, 1 + seed % 3, seconds=seconds, interrupt_after=[seed + 9, 30], n_trials=rounds
    )
    over: dict[int, str] = {}
    for record in outcome.records:
        if record["event"] == "submitted":
            assert record["trial"] not in over, (record, over[record["trial"]])
        elif record["event"] == "decision" and State(record["state"]) in FINAL:
            assert record["trial"] not in over
            over[record["trial"]] = record["state"]
    assert outcome.end.state == "completed"
    assert len(over) >= 4
    assert State.INTERRUPTED not in {trial.state for trial in outcome.view.trials.values()}


# -- bad schedulers: one sentence each, from the suite and from a real study ---------------------------------------


class Bad(FIFO):
    """Trials to 4 epochs one after the other, with one answer of trial 2 replaced."""

    def __init__(self, trials):
        super().__init__(trials, max_resource=4)
        self.trials = trials

    def next_job(self):
        job = super().next_job()
        return self.job(job) if isinstance(job, Job) and job.trial.id == 2 else job

    def on_report(self, job, evaluation):
        decision = super().on_report(job, evaluation)
        return self.decision(decision, evaluation.resource) if job.trial.id == 2 else decision

    def on_result(self, job, evaluation):
        changes = super().on_result(job, evaluation)
        failed = evaluation.status is Status.FAILED
        return self.changes(changes, failed) if job.trial.id == 2 else changes

    def job(self, job):
        return job

    def decision(self, decision, resource):
        return decision

    def changes(self, changes, failed):
        return changes


def raising(*_):
    return {}["gone"]


BAD_JOBS = {
    "None": (lambda _s, _job: None, "answered None; the interface asks for a Job, WAIT or DONE"),
    "trial": (lambda _s, job: replace(job, trial=2), "answered a job of 2; the interface asks for a Trial"),
    "resource": (
        lambda _s, job: replace(job, resource=4.0),
        "a job of resource 4.0; the interface asks for an integer",
    ),
    "bool": (lambda _s, job: replace(job, resource=True), "a job of resource True"),
    "zero": (lambda _s, job: replace(job, resource=0), "a job of resource 0"),
    "rung": (lambda _s, job: replace(job, rung=None), "a job of rung None"),
    "bracket": (lambda _s, job: replace(job, bracket=-1), "a job of bracket -1"),
    "late milestones": (lambda _s, job: replace(job, milestones=(1, 4)), "resources before the job's end, 4"),
    "early milestones": (
        lambda _s, job: replace(job, milestones=range(3)),
        "asks for resources before the job's end, 4",
    ),
    "milestones 3": (lambda _s, job: replace(job, milestones=3), "a job of milestones 3"),
    "unknown": (lambda _s, job: replace(job, trial=Trial(9, {"x": 0.5})), "sent trial 9 to work; .* trial 2 first"),
    "final": (lambda _s, job: replace(job, trial=Trial(0, {"x": 0.5})), "sent trial 0 to work after it was"),
    "source": (lambda _s, job: replace(job, source=(7, 1)), r"gave a job the source \(7, 1\)"),
    "source to come": (lambda _s, job: replace(job, source=(2, 1)), r"gave a job the source \(2, 1\)"),
    "raises": (raising, r"Bad.next_job raised KeyError: 'gone' \(.*test_contract.py, line \d+\)"),
    "skips": (lambda s, job: replace(job, trial=s.trials.new()), "sent trial 3 to work; .* trial 2 first"),
    "waits": (lambda _s, _job: WAIT, "answers WAIT while no job is at work"),
}
BAD_DECISIONS = {
    "None": (lambda *_: None, "answered None to a report of trial 2; the interface asks for a Decision"),
    "stop": (lambda *_: Decision(stop=1), "asks for a Decision: stop is a bool"),
    "rung": (lambda *_: Decision(rung="0"), "asks for a Decision: .* rung an integer or None"),
    "reason": (lambda *_: Decision(reason=None), "asks for a Decision"),
    "stops anywhere": (
        lambda *_: Decision(stop=True),
        "stopped trial 2 at 1; .* where its milestones says, here nowhere",
    ),
    "stops at the end": (
        lambda _s, decision, resource: Decision(stop=True, rung=0) if resource == 4 else decision,
        "stopped trial 2 at 4; .*at its end, on_result says what becomes of the trial",
    ),
    "raises": (raising, "Bad.on_report raised KeyError: 'gone'"),
}
BAD_CHANGES = {
    "None": (
        lambda *_: None,
        "answered None to the result of trial 2; .* a sequence of StateChange",
    ),
    "nothing": (lambda *_: [], "says nothing of trial 2, whose job has ended"),
    "strings": (lambda *_: ["COMPLETED"], "asks for a sequence of StateChange"),
    "words": (lambda *_: [StateChange(2, "COMPLETED")], "asks for a sequence of StateChange"),
    "reason": (lambda *_: [StateChange(2, State.COMPLETED, 5)], "asks for a sequence of StateChange"),
    "unknown": (
        lambda _s, given, _f: [*given, StateChange(9, State.STOPPED)],
        "says STOPPED of trial 9, which isn't there",
    ),
    "final": (lambda _s, given, _f: [*given, StateChange(0, State.STOPPED)], "of trial 0, which is (COMPLETED|FAILED)"),
    "running": (lambda *_: [StateChange(2, State.RUNNING)], "says RUNNING of trial 2, whose job"),
    "the opposite": (
        lambda _s, _given, failed: [StateChange(2, State.COMPLETED if failed else State.FAILED)],
        "says (COMPLETED|FAILED) of trial 2, whose job (failed|went well)",
    ),
    "twice": (lambda _s, given, _f: [*given, *given], "gave two changes on one trial"),
    "raises": (raising, "Bad.on_result raised KeyError: 'gone'"),
}
BAD = [
    *(pytest.param("job", *what, id=f"job: {name}") for name, what in BAD_JOBS.items()),
    *(pytest.param("decision", *what, id=f"decision: {name}") for name, what in BAD_DECISIONS.items()),
    *(pytest.param("changes", *what, id=f"changes: {name}") for name, what in BAD_CHANGES.items()),
]


@pytest.mark.parametrize(("method", "answer", "told"), BAD)
def test_what_a_bad_scheduler_does_is_one_sentence_in_the_suite_and_in_a_study(method, answer, told):
    make = type("Bad", (Bad,), {method: answer})
    with pytest.raises(ContractError, match=told) as caught:
        check_scheduler(make, 1, seed=4)
    assert "\n" not in str(caught.value)
    study = Session(make, by_number, Budget(n_trials=5))
    assert study.end.state == "failed"
    assert re.search(told, study.end.reason)
    assert study.records[-1]["traceback"].startswith("Traceback" if "raised" in told else "")
    assert study.view.trials[0].state is State.COMPLETED
    mended = Session(lambda trials: FIFO(trials, 4), by_number, Budget(n_trials=5))
    assert mended.end.state == "completed"
    assert {trial.state for trial in mended.view.trials.values()} == {State.COMPLETED}


def test_a_job_for_a_trial_that_has_one_is_refused():
    class Double(FIFO):
        last = None

        def next_job(self):
            self.last = self.last or super().next_job()
            return self.last

    with pytest.raises(ContractError, match="sent trial 0 to work while it has a job"):
        check_scheduler(lambda trials: Double(trials, 4), 2, seed=0)


def test_the_suite_catches_a_scheduler_that_goes_backwards():
    class Backwards(ASHA):
        def next_job(self):
            job = super().next_job()
            return replace(job, resource=1) if isinstance(job, Job) else job

    with pytest.raises(ContractError, match=r"sent trial \d+ to resource 1, and it has 1 already"):
        check_scheduler(lambda trials: Backwards(trials, 3, 1, 9), 2, seed=0)


def test_the_suite_catches_a_scheduler_that_is_not_deterministic():
    calls = []

    class Moody(FIFO):
        def __init__(self, trials):
            calls.append(None)
            super().__init__(trials, max_resource=len(calls))

    with pytest.raises(ContractError, match="same seed"):
        check_scheduler(Moody, 2, seed=0)


def test_the_suite_catches_a_scheduler_whose_waiting_changes_something():
    class Impatient(FIFO):
        """Leaves out a trial for each time that it has none."""

        waited = 0

        def next_job(self):
            self.waited += 1
            return WAIT if self.waited % 5 == 1 and self.waited > 1 else super().next_job()

    with pytest.raises(ContractError, match="next_job"):
        check_scheduler(lambda trials: Impatient(trials, 4), 2, seed=0)


def test_the_suite_catches_a_description_that_is_no_text():
    class Mute(FIFO):
        def describe(self):
            return None

    with pytest.raises(ContractError, match="describe answers a str, not None"):
        check_scheduler(lambda trials: Mute(trials, 4), 2, seed=0)


def test_done_is_the_only_completion():
    class Lazy:
        """Has nothing to do, and says either that it is done or that it waits."""

        def __init__(self, answer):
            self.answer = answer

        def next_job(self):
            return self.answer

        def on_report(self, *_):
            return CONTINUE

    done = Session(lambda _trials: Lazy(DONE), by_number, Budget(n_trials=3))
    assert (done.end.state, done.end.reason) == ("completed", "the search is complete")
    waits = Session(lambda _trials: Lazy(WAIT), by_number, Budget(n_trials=3))
    assert waits.end.state == "failed"
    assert waits.end.reason.startswith("Lazy.next_job answers WAIT while no job is at work")
