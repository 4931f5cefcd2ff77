"""Trials that finish by themselves, before their jobs: every scheduler counts them as if their curves stayed flat."""

import math

import pytest
from components import SCHEDULERS

from hpo_pipeline.budget import Budget
from hpo_pipeline.scheduler.asha import ASHA
from hpo_pipeline.scheduler.fifo import FIFO
from hpo_pipeline.scheduler.pbt import PBT
from hpo_pipeline.seeding import generator
from hpo_pipeline.simulation import SPACE, random_world, simulate
from hpo_pipeline.trial import FINAL, State


def last_of(seed, trial_id):
    """Where trials finish: some at once, some in the middle of a job, some at a rung, some never."""
    return int(generator(seed, "last", trial_id).integers(1, 7)) if trial_id % 3 else math.inf


def worlds(seed, failures=0.1):
    """(curve, flat curve, where trials finish) of which the flat one is what the finished ones are counted as."""
    curve, _ = random_world(seed, failures)

    def flat(trial_id, config, resource):
        return curve(trial_id, config, min(resource, last_of(seed, trial_id)))

    return curve, flat, lambda trial_id, resource: resource >= last_of(seed, trial_id)


POPULATION = [name for name in SCHEDULERS if name.startswith("pbt")]
OTHERS = [name for name in SCHEDULERS if name not in POPULATION]


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("seed", range(3))
def test_a_study_goes_as_if_finished_trials_had_gone_on_with_the_same_score(name, seed):
    curve, flat, finishes = worlds(seed)
    whole = simulate(SCHEDULERS[name], flat, budget=Budget(60), seed=seed)
    ended = simulate(SCHEDULERS[name], curve, budget=Budget(60), seed=seed, finishes=finishes)
    assert ended.end.state == "completed"
    for trial in ended.view.trials.values():
        assert trial.resource <= last_of(seed, trial.id)
    assert any(trial.has_finished for trial in ended.view.trials.values())
    assert ended.suggested() == whole.suggested()
    assert ended.rung_table() == whole.rung_table()
    for trial, flat_trial in zip(ended.view.trials.values(), whole.view.trials.values(), strict=True):
        assert trial.state is (State.COMPLETED if trial.has_finished else flat_trial.state)


@pytest.mark.parametrize("name", SCHEDULERS)
@pytest.mark.parametrize("seed", range(2))
def test_a_study_that_is_cut_off_and_resumed_counts_finished_trials_the_same(name, seed):
    curve, _, finishes = worlds(seed)
    runs = [
        simulate(SCHEDULERS[name], curve, budget=Budget(30), seed=seed, finishes=finishes, interrupt_after=cuts)
        for cuts in ((), (7, 3, 1, 12 + seed))
    ]
    assert runs[0].suggested() == runs[1].suggested()
    assert runs[0].rung_table() == runs[1].rung_table()
    assert [t.state for t in runs[0].view.trials.values()] == [t.state for t in runs[1].view.trials.values()]


@pytest.mark.parametrize("name", SCHEDULERS)
@pytest.mark.parametrize("n_workers", [2, 5])
def test_a_finished_trial_is_completed_once_and_trained_no_more(name, n_workers):
    curve, _, finishes = worlds(n_workers)
    _, seconds = random_world(n_workers)
    study = simulate(SCHEDULERS[name], curve, n_workers, Budget(30), seconds=seconds, finishes=finishes)
    finished: set[int] = set()
    final: set[int] = set()
    for record in study.records:
        match record["event"]:
            case "report":
                assert record["trial"] not in finished
                finished |= {record["trial"]} if record.get("finished") else set()
            case "submitted":
                assert record["trial"] not in finished
            case "decision" if State(record["state"]) in FINAL:
                assert record["trial"] not in final
                final.add(record["trial"])
    assert finished
    assert study.end.state == "completed"
    spent = sum(min(trial.resource, last_of(n_workers, trial.id)) for trial in study.view.trials.values())
    assert study.view.total_resource == spent


def test_a_trial_that_finishes_at_5_counts_on_the_rungs_at_9_and_27():
    def curve(trial_id, _config, _resource):
        return 0.1 * (trial_id + 1)

    study = simulate(
        lambda trials: ASHA(trials, 3, 1, 27), curve, budget=Budget(27), finishes=lambda trial, r: trial == 0 and r >= 5
    )
    best = study.view.trials[0]
    assert (best.state, best.reason, best.resource) == (State.COMPLETED, "the curve is over", 5)
    assert [(rung.rung, rung.resource) for rung in best.rungs] == [(0, 1), (1, 3), (2, 9), (3, 27)]
    counted = [record for record in study.records if record["event"] == "counted"]
    assert [(record["trial"], record["resource"]) for record in counted] == [(0, 27)]
    assert study.view.total_resource == 5 + 2 * 9 + 6 * 3 + 18 * 1


def test_under_fifo_the_next_trial_begins_when_one_finishes():
    study = simulate(
        lambda trials: FIFO(trials, 10), lambda i, _c, r: i + 1 / r, budget=Budget(3), finishes=lambda i, r: r == 2 + i
    )
    assert [trial.resource for trial in study.view.trials.values()] == [2, 3, 4]
    assert {trial.state for trial in study.view.trials.values()} == {State.COMPLETED}


def test_a_member_of_a_population_that_has_finished_is_copied_no_more():
    def make(trials):
        return PBT(trials, SPACE, seed=0, max_resource=6, population=4, interval=2)

    study = simulate(make, lambda i, _c, r: i + 1 / r, budget=Budget(4), finishes=lambda i, r: i == 0 and r == 3)
    assert study.view.trials[0].state is State.COMPLETED
    at = next(n for n, record in enumerate(study.records) if record.get("finished"))
    sources = [record["source"][0] for record in study.records[at:] if "source" in record]
    assert sources
    assert 0 not in sources
    assert [trial.resource for trial in study.view.trials.values()] == [3, 6, 6, 6]
