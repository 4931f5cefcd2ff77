import pytest

from hpo_pipeline.budget import Budget
from hpo_pipeline.scheduler.pasha import PASHA, crossing_noise, percentile
from hpo_pipeline.simulation import simulate


def pasha(trials):
    return PASHA(trials, eta=3, min_resource=1, max_resource=81)


def highest(curve, n_trials=60):
    return max(job.resource for job in simulate(pasha, curve, budget=Budget(n_trials=n_trials)).jobs)


def test_while_the_ranking_is_stable_nobody_trains_beyond_the_second_rung():
    assert highest(lambda i, _c, r: i + 1 / r) == 3


def test_an_unstable_ranking_raises_the_maximum():
    # Every rung turns the ranking round: at 1 epoch low numbers are best, at 3 high ones, at 9 low ones ...
    signs = {1: 1, 3: -1, 9: 1, 27: -1, 81: 1}
    assert highest(lambda i, _c, r: signs.get(r, 0) * float(i)) > 3


def test_asha_in_the_same_place_trains_to_the_top():
    from hpo_pipeline.scheduler.asha import ASHA

    outcome = simulate(lambda trials: ASHA(trials, 3, 1, 81), lambda i, _c, r: i + 1 / r, budget=Budget(n_trials=250))
    assert max(job.resource for job in outcome.jobs) == 81
    assert highest(lambda i, _c, r: i + 1 / r, n_trials=250) == 3


@pytest.mark.parametrize(
    ("first", "second", "noise"),
    [
        ([1, 2, 3], [2, 3, 4], None),  # never cross
        ([1, 3, 3], [2, 2, 2], None),  # cross once
        ([1, 3, 1], [2, 2, 1.5], 0.5),  # cross and cross back: |1 - 1.5| at the last point
        ([1, 3, 1, 5], [2, 2, 2], 1.0),  # the last common point
        ([1, 2, 1], [1, 2, 1], None),  # equal curves don't cross
    ],
)
def test_noise_is_what_curves_differ_by_that_cross_and_cross_back(first, second, noise):
    assert crossing_noise(first, second) == noise


@pytest.mark.parametrize(
    ("first", "second", "third", "expected"),
    [
        # The first two cross and cross back, 0.3 apart at 3 epochs: ε is 0.3. Second and third change places from 1
        # epoch to 3, and are 0.05 apart at 1 epoch: within the noise.
        ([1.0, 1.4, 1.0], [1.2, 1.2, 1.3], [1.25, 1.5, 1.1], 3),
        # The same, but the two are 0.04 apart at 3 epochs: ε is 0.04, and 0.05 is more.
        ([1.0, 1.4, 1.0], [1.2, 1.2, 1.04], [1.25, 1.5, 1.02], 9),
        # The same as the first, but nobody crosses and crosses back: ε is 0.
        ([1.0, 1.0, 1.0], [1.2, 1.2, 1.3], [1.25, 1.5, 1.1], 9),
        # Nobody changes places.
        ([1.0, 1.0, 1.0], [1.2, 1.2, 1.2], [1.25, 1.5, 1.3], 3),
    ],
    ids=["within the noise", "more than the noise", "without noise", "stable"],
)
def test_trials_within_the_noise_count_as_equal(first, second, third, expected):
    # Nine trials, so that three come to the second rung, at 3 epochs: the first three, the best at 1 epoch, in this
    # order. Where the ranking is unstable then, one of the three goes on to 9.
    def curve(trial_id, _config, resource):
        good = (first, second, third)
        return good[trial_id][min(resource, 3) - 1] if trial_id < 3 else 10.0 + trial_id

    outcome = simulate(pasha, curve, budget=Budget(n_trials=9))
    assert sorted({job.trial.id for job in outcome.jobs if job.resource == 3}) == [0, 1, 2]
    assert max(job.resource for job in outcome.jobs) == expected


def test_the_percentile_interpolates():
    assert percentile([0.0, 1.0], 0.9) == pytest.approx(0.9)
    assert percentile([5.0], 0.9) == 5.0
    assert percentile([float(i) for i in range(11)], 0.9) == pytest.approx(9.0)
