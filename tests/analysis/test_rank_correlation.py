"""Whether the order of trials lasts from rung to rung."""

from __future__ import annotations

import math

import numpy as np
import pytest
from written_journal import Written

from hpo_pipeline.analysis.rank_correlation import (
    average_ranks,
    compared_resources,
    correlation,
    rank_correlations,
)


def test_equal_values_share_the_mean_of_their_ranks():
    np.testing.assert_array_equal(average_ranks(np.array([0.3, 0.1, 0.3, 0.2])), [3.5, 1, 3.5, 2])


def test_it_is_pearsons_coefficient_of_the_ranks():
    # Ranks 1.5, 1.5, 3, 4 and 1, 2, 3, 4: deviations -1, -1, 0.5, 1.5 and -1.5, -0.5, 0.5, 1.5. ρ = 4.5 / √(4.5 · 5).
    found = correlation(np.array([0.1, 0.1, 0.2, 0.3]), np.array([1.0, 2.0, 3.0, 1e9]))
    assert found is not None
    assert found[1] == pytest.approx(4.5 / math.sqrt(22.5))


def test_four_trials_with_one_exchange():
    # Ranks 1, 2, 3, 4 and 1, 3, 2, 4: ρ = 1 - 6 · (0 + 1 + 1 + 0) / (4 · 15) = 0.8. z = artanh 0.8 = 1.0986, and its
    # standard error √((1 + 0.32) / 1) = 1.1489: from tanh(-1.1532) to tanh(3.3504).
    found = correlation(np.array([0.1, 0.2, 0.3, 0.4]), np.array([0.1, 0.3, 0.2, 0.4]))
    assert found is not None
    n, rho, low, high, best_was = found
    assert (n, best_was) == (4, 1)
    assert (rho, low, high) == pytest.approx((0.8, math.tanh(-1.1532), math.tanh(3.3504)), abs=1e-4)


def test_equal_values_have_no_order():
    assert correlation(np.ones(5), np.arange(5.0)) is None


def climbed(values: list[list[float]]) -> Written:
    study = Written()
    for trial, own in enumerate(values):
        for rung, value in enumerate(own):
            study.job(trial, 3**rung, rung)
            study.report(trial, 3**rung, value, rung)
    return study


def test_each_two_rungs_are_compared_by_the_trials_that_came_to_both():
    study = climbed([[0.4, 0.1], [0.3, 0.2], [0.2, 0.3], [0.1, 0.4], [0.9], [0.8, math.nan]])
    (found,) = rank_correlations(study.view)
    assert (found.before, found.after, found.n, found.rho) == (1, 3, 4, pytest.approx(-1))
    assert found.best_was == 4


def test_failed_trials_further_seeds_and_changed_ones_are_left_out():
    study = climbed([[0.4, 0.1], [0.3, 0.2], [0.2, 0.3], [0.1, 0.4]])
    study.add("decision", trial=0, state="FAILED", reason="")
    assert rank_correlations(study.view) == []


def test_trials_with_one_rung_are_compared_on_the_way_to_it():
    study = Written()
    for trial in range(5):
        study.trial(trial, [trial + 1.0 / epoch for epoch in range(1, 9)], {"x": 1.0})
    assert compared_resources(study.view) == [1, 2, 4, 8]
    assert {(c.before, c.after, round(c.rho, 9)) for c in rank_correlations(study.view)} == {
        *((1, 2, 1.0), (1, 4, 1.0), (1, 8, 1.0), (2, 4, 1.0), (2, 8, 1.0), (4, 8, 1.0)),
    }


def test_of_very_many_rungs_eight_are_compared():
    study = Written()
    for epoch in range(1, 41):
        study.job(0, epoch, epoch - 1)
        study.report(0, epoch, 0.5, epoch - 1)
    levels = compared_resources(study.view)
    assert (len(levels), levels[0], levels[-1]) == (8, 1, 40)
