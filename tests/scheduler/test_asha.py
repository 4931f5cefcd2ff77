import math
from collections import Counter

import pytest

from hpo_pipeline.budget import Budget
from hpo_pipeline.errors import ConfigError
from hpo_pipeline.scheduler.asha import ASHA
from hpo_pipeline.simulation import random_world, simulate
from hpo_pipeline.trial import State


def promotion(trials):
    return ASHA(trials, eta=3, min_resource=1, max_resource=9)


def stopping(trials):
    return ASHA(trials, eta=3, min_resource=1, max_resource=9, type="stopping")


def test_a_free_worker_promotes_the_best_of_the_highest_rung_before_it_starts_a_trial():
    # Li et al. 2020, Algorithm 2, by hand: trials get worse with their number, one worker.
    outcome = simulate(promotion, lambda i, _c, _r: float(i), budget=Budget(n_trials=9))
    jobs = [(job.trial.id, job.resource) for job in outcome.jobs]
    assert jobs == [
        *[(0, 1), (1, 1), (2, 1), (0, 3)],
        *[(3, 1), (4, 1), (5, 1), (1, 3)],
        *[(6, 1), (7, 1), (8, 1), (2, 3), (0, 9)],
    ]


@pytest.mark.parametrize("n_workers", [1, 4, 16])
def test_never_more_than_a_third_of_a_rung_is_promoted(n_workers):
    curve, seconds = random_world(seed=n_workers)
    records = simulate(promotion, curve, n_workers, Budget(n_trials=60), seconds=seconds).records
    members, promoted, at = Counter(), Counter(), {}
    for record in records:
        if record["event"] == "submitted":
            at[record["trial"]] = record["rung"]
            promoted[record["rung"] - 1] += 1
        elif record["event"] == "result":
            members[at[record["trial"]]] += 1
        assert all(promoted[rung] <= members[rung] // 3 for rung in (0, 1))
    assert promoted[0] > 0


def test_a_diverged_trial_is_stopped_and_never_promoted():
    outcome = simulate(promotion, lambda _i, _c, _r: math.nan, budget=Budget(n_trials=9))
    assert {trial.state for trial in outcome.view.trials.values()} == {State.STOPPED}
    assert max(job.resource for job in outcome.jobs) == 1


def test_who_can_not_be_promoted_any_more_is_stopped_and_the_others_stay_paused():
    # By hand: each trial is better than those before. Of 3, 6 and 9 trials the newest is promoted (2, 5, 8), of the
    # three at 3 epochs the newest again. 0, 1, 3, 4 fall behind rank 3 of at most 9; 2 and 5 behind rank 1 of 3.
    outcome = simulate(promotion, lambda i, _c, _r: float(-i), budget=Budget(n_trials=9))
    states = {state: [i for i, t in outcome.view.trials.items() if t.state is state] for state in State}
    assert states[State.COMPLETED] == [8]
    assert states[State.PAUSED] == [6, 7]
    assert states[State.STOPPED] == [0, 1, 2, 3, 4, 5]
    assert outcome.view.trials[0].reason == "rung 0: rank 4 of 4, at most 3 can be promoted"


def test_who_was_stopped_stays_so_when_a_later_session_allows_more_trials():
    # By hand, trials get worse with their number. Of 3 trials one can be promoted: 1 and 2 are stopped, and at 3
    # epochs 0 as well, since nobody can go to 9. Of 9 trials three could be promoted, but those are 0, 1 and 2.
    outcome = simulate(promotion, lambda i, _c, _r: float(i), interrupt_after=[99], n_trials=[3, 9])
    assert [(job.trial.id, job.resource) for job in outcome.jobs] == [(i, 1) for i in range(3, 9)]
    assert {trial.state for trial in outcome.view.trials.values()} == {State.STOPPED}
    assert outcome.view.trials[1].reason == "rung 0: rank 2 of 2, at most 1 can be promoted"
    # Better ones than those take the places: of 6 and 9 trials the best are 3 and 6.
    outcome = simulate(promotion, lambda i, _c, _r: float(i % 3 - i), interrupt_after=[99], n_trials=[3, 9])
    assert [job.trial.id for job in outcome.jobs if job.resource == 3] == [3, 6]


def test_a_session_that_allows_fewer_trials_than_there_are_stops_who_has_no_hope_among_those():
    # Six trials, better and better, are at 1 epoch before the break: of 9, three could have been promoted; now two.
    outcome = simulate(promotion, lambda i, _c, _r: -float(i), interrupt_after=[7], n_trials=[9, 1])
    assert len(outcome.view.trials) == 6
    assert outcome.end.state == "completed"
    assert [i for i, t in outcome.view.trials.items() if t.resource == 3] == [2, 5]


def test_stopping_lets_the_first_go_on_and_stops_what_is_worse():
    outcome = simulate(stopping, lambda i, _c, _r: float(i + 1), budget=Budget(n_trials=3))
    assert [outcome.view.trials[i].resource for i in range(3)] == [9, 1, 1]
    assert [outcome.view.trials[i].state for i in range(3)] == [State.COMPLETED, State.STOPPED, State.STOPPED]
    assert outcome.view.trials[2].reason == "rung 0: rank 3 of 3, kept 1"


def test_stopping_stops_a_diverged_trial_even_if_it_comes_first():
    outcome = simulate(stopping, lambda _i, _c, _r: math.inf, budget=Budget(n_trials=2))
    assert [outcome.view.trials[i].resource for i in range(2)] == [1, 1]


def test_an_unknown_type_is_refused_with_the_nearest_name():
    with pytest.raises(ConfigError, match="did you mean 'stopping'"):
        ASHA(None, 3, 1, 9, type="stoping")


def test_brackets_leave_out_the_lowest_rungs_and_share_the_budget_as_hyperband_does():
    # n of Hyperband's brackets for R = 9, eta = 3: 9, 5 and 3 trials.
    scheduler = ASHA(None, 3, 1, 9, brackets=3)
    assert scheduler.describe().splitlines()[0].startswith("bracket 0: rungs at 1, 3, 9; 53% of the trials")
    outcome = simulate(
        lambda trials: ASHA(trials, 3, 1, 9, brackets=3), lambda i, _c, _r: float(i), budget=Budget(n_trials=600)
    )
    first = {}
    for job in outcome.jobs:
        first.setdefault(job.trial.id, (job.bracket, job.resource))
    counts = Counter(first.values())
    assert set(counts) == {(0, 1), (1, 3), (2, 9)}
    # 600 draws with probabilities 9/17, 5/17, 3/17: five standard deviations are 61, 56 and 47.
    assert abs(counts[0, 1] - 600 * 9 / 17) < 61
    assert abs(counts[1, 3] - 600 * 5 / 17) < 56
    assert abs(counts[2, 9] - 600 * 3 / 17) < 47


def test_more_brackets_than_rungs_are_refused():
    with pytest.raises(ConfigError, match="brackets: must be at most 3, the number of rungs"):
        ASHA(None, 3, 1, 9, brackets=4)
