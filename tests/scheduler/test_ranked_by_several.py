"""Schedulers with two metrics and a constraint: the same promises as with one."""

from __future__ import annotations

import math
from functools import partial

import pytest

from hpo_pipeline.budget import Budget
from hpo_pipeline.errors import ConfigError
from hpo_pipeline.evaluation import Metric
from hpo_pipeline.ranking import ranking_of
from hpo_pipeline.scheduler.asha import ASHA
from hpo_pipeline.scheduler.hyperband import Hyperband
from hpo_pipeline.scheduler.median_stopping import MedianStopping
from hpo_pipeline.scheduler.pasha import PASHA
from hpo_pipeline.scheduler.pbt import PBT
from hpo_pipeline.scheduler.successive_halving import SuccessiveHalving
from hpo_pipeline.searcher.random import RandomSearch
from hpo_pipeline.searcher.trial_generator import TrialGenerator
from hpo_pipeline.seeding import generator
from hpo_pipeline.simulation import SPACE, Outcomes, simulate
from hpo_pipeline.trial import State

RANKING = ranking_of([Metric("error"), Metric("size")])
TWO = {"metrics": [{"name": "error", "mode": "min"}, {"name": "size", "mode": "max"}]}
BOUNDED = {**TWO, "constraints": [{"name": "memory", "max": 8.0}]}

SCHEDULERS = {
    "successive_halving": lambda trials: SuccessiveHalving(trials, 2, 1, 8, ranking=RANKING),
    "hyperband": lambda trials: Hyperband(trials, 3, 1, 9, ranking=RANKING),
    "asha promotion": lambda trials: ASHA(trials, 3, 1, 9, ranking=RANKING),
    "asha stopping": lambda trials: ASHA(trials, 2, 1, 8, type="stopping", ranking=RANKING),
    "asha eager": lambda trials: ASHA(
        trials, 2, 1, 8, fill_rungs=True, early_eta=[4, 3], early_trials=12, leaders=[4, 2], ranking=RANKING
    ),
    "async hyperband": lambda trials: ASHA(trials, 3, 1, 9, brackets=3, ranking=RANKING),
    "pbt": lambda trials: PBT(trials, SPACE, 0, 4, population=6, ranking=RANKING),
}


def world(trial_id, _config, resource):
    """Two metrics with ties, each of which is NaN now and then, and failures."""
    rng = generator(1, "two", trial_id, resource)
    if rng.random() < 0.05:
        return None
    a, b, memory = (float(value) for value in rng.integers(12, size=3))
    if rng.random() < 0.1:
        a, b = (math.nan, b) if rng.random() < 0.5 else (a, math.inf)
    return {"error": a / resource, "size": b, "memory": memory}


@pytest.mark.parametrize("compared", [TWO, BOUNDED], ids=["free", "bounded"])
@pytest.mark.parametrize("make", SCHEDULERS.values(), ids=SCHEDULERS)
def test_a_study_that_is_cut_off_and_resumed_comes_to_the_same_end(make, compared):
    study = partial(simulate, make, world, 1, Budget(20), compared=compared)
    whole, pieces = study(), study(interrupt_after=[3, 5, 11])
    assert whole.suggested() == pieces.suggested()
    assert [(p.trial_id, p.resource, p.scores) for p in whole.view.front.points] == [
        (p.trial_id, p.resource, p.scores) for p in pieces.view.front.points
    ]
    states = [{i: t.state for i, t in outcome.view.trials.items()} for outcome in (whole, pieces)]
    assert states[0] == states[1]
    assert whole.end.state == "completed"


@pytest.mark.parametrize("make", SCHEDULERS.values(), ids=SCHEDULERS)
def test_several_workers_are_all_given_work_until_the_end(make):
    assert simulate(make, world, 4, Budget(30), compared=BOUNDED).end.state == "completed"


def rung_members(outcome: Outcomes, rung: int) -> set[int]:
    return {trial.id for trial in outcome.view.trials.values() if any(r.rung == rung for r in trial.rungs)}


def test_of_nine_trials_the_three_that_none_dominates_go_on():
    points = {0: (0, 4), 1: (3, 3), 2: (2, 2), 3: (5, 5), 4: (4, 0), 5: (6, 6), 6: (4, 5), 7: (9, 9), 8: (5, 3)}

    def curve(trial_id, _config, _resource):
        error, size = points[trial_id]
        return {"error": float(error), "size": -float(size)}

    outcome = simulate(SCHEDULERS["hyperband"], curve, 1, Budget(9), compared=TWO)
    assert rung_members(outcome, 1) == {0, 2, 4}
    assert [point.trial_id for point in outcome.view.front.points] == [0, 2, 4]


def test_a_trial_outside_the_constraints_goes_on_only_where_too_few_are_within():
    def curve(trial_id, _config, _resource):
        return {"loss": float(trial_id), "size": 8.0 if trial_id in (6, 7) else 20.0 - trial_id}

    bounded = {"metrics": [{"name": "loss", "mode": "min"}], "constraints": [{"name": "size", "max": 8.0}]}
    outcome = simulate(lambda trials: Hyperband(trials, 3, 1, 9), curve, 1, Budget(9), compared=bounded)
    assert rung_members(outcome, 1) == {6, 7, 8}
    assert outcome.view.best is outcome.view.trials[6]
    assert [trial.id for trial in outcome.view.ranking()][:4] == [6, 7, 8, 5]


def test_an_early_point_of_a_curve_within_the_constraints_is_better_than_a_later_one_outside():
    def curve(trial_id, _config, resource):
        return {"loss": 1.0 / resource, "seconds_so_far": 3.0 * resource}

    bounded = {"metrics": [{"name": "loss", "mode": "min"}], "constraints": [{"name": "seconds_so_far", "max": 7.0}]}
    outcome = simulate(lambda trials: Hyperband(trials, 3, 1, 9), curve, 1, Budget(3), compared=bounded)
    assert outcome.view.best is not None
    assert outcome.view.best.best_resource == 2  # the next unit takes 9
    aim = Budget(3, target=0.4)  # which only what is outside reaches
    outcome = simulate(lambda trials: Hyperband(trials, 3, 1, 9), curve, 1, aim, compared=bounded)
    assert outcome.end.reason == "the search is complete"


def test_the_median_rule_stops_who_violates_more_than_half_of_the_others():
    def curve(trial_id, _config, resource):
        return {"loss": float(trial_id), "size": 4.0 if trial_id < 4 else 12.0}

    bounded = {"metrics": [{"name": "loss", "mode": "max"}], "constraints": [{"name": "size", "max": 8.0}]}
    outcome = simulate(lambda trials: MedianStopping(trials, 4), curve, 1, Budget(6), compared=bounded)
    states = [trial.state for trial in outcome.view.trials.values()]
    assert states == [State.COMPLETED] * 4 + [State.STOPPED] * 2


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda trials: PASHA(trials, 3, 1, 9, ranking=RANKING), "PASHA compares trials by one score"),
        (lambda trials: MedianStopping(trials, 9, ranking=RANKING), "the median rule compares trials by one score"),
        (lambda trials: ASHA(trials, 3, 1, 9, probes=4, ranking=RANKING), "probes: needs one metric"),
    ],
)
def test_what_compares_by_one_score_is_refused_with_several(make, told):
    with pytest.raises(ConfigError, match=told):
        make(TrialGenerator(RandomSearch(SPACE, 0), SPACE, 5))
