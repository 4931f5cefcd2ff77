import pytest

from hpo_pipeline.scheduler.pasha import PASHA, crossing_noise, percentile
from hpo_pipeline.testing import simulate
from hpo_pipeline.trial import Budget


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


def test_trials_within_the_noise_count_as_equal():
    # Two curves 0.2 apart that cross at every epoch: swapped ranks on the top rung are noise, not instability.
    def curve(trial_id, _config, resource):
        wobble = 0.1 if (resource + trial_id) % 2 else -0.1
        return 0.0 + wobble if trial_id in (0, 1) else 10.0 + trial_id

    # 0 and 1 are promoted; at 1 epoch 0 is worse, at 3 epochs worse, with a crossing at 2: ε is 0.2.
    assert highest(curve, n_trials=6) == 3


def test_the_percentile_interpolates():
    assert percentile([0.0, 1.0], 0.9) == pytest.approx(0.9)
    assert percentile([5.0], 0.9) == 5.0
    assert percentile([float(i) for i in range(11)], 0.9) == pytest.approx(9.0)
