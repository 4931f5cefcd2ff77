"""Targets of models, counted by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import norm

from hpo_pipeline.searcher.targets import by_resource, half_warped, normal_scores, of_places

INF = math.inf


def places_of(evaluations):
    """`by_resource` of (row, resource, score), as places among all trials: probabilities."""
    rows, resources, scores = map(np.array, zip(*evaluations, strict=True))
    return norm.cdf(by_resource(rows, resources, scores.astype(float)))


def test_targets_are_the_normal_quantiles_of_places_and_bad_ones_share_their_mean():
    expected = norm.ppf([0.125, 0.375, 0.625, 0.875])
    assert of_places(4, 0) == pytest.approx(expected)
    assert of_places(4, 2) == pytest.approx([*expected[:2], *[expected[2:].mean()] * 2])


def test_normal_scores_are_quantiles_of_ranks_and_equal_scores_share_theirs():
    found = norm.cdf(normal_scores(np.array([3.0, 1.0, INF, 1.0, INF])))
    assert found == pytest.approx([2.5 / 5, 1 / 5, 4 / 5, 1 / 5, 4 / 5])
    assert np.all(normal_scores(np.ones(20)) == 0)


def test_below_the_median_scores_keep_their_distances():
    found = half_warped(np.array([-1.0, 2.0, 4.0, INF, 1e9]))
    # the median is 4; the distances 5 and 2 have the root mean square √14.5
    assert found[:2] == pytest.approx([-5 / math.sqrt(14.5), -2 / math.sqrt(14.5)])
    assert norm.cdf(found[2:]) == pytest.approx([0.5, 0.9, 0.7])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("scores", [[-1.5e308, 1.5e308, 1.6e308], [1e308, 1.1e308, 1.2e308, -1e308]])
def test_where_distances_are_beyond_floats_the_order_is_all_that_counts(scores):
    assert half_warped(np.array(scores)) == pytest.approx(normal_scores(np.array(scores)))


@pytest.mark.parametrize(
    "scores", [[INF] * 4, [1.0] * 4, [1.0, INF, INF, INF], [1e-300, 2e-300, 1e300], [-1e308, 0, 1e308]]
)
def test_half_warped_targets_are_finite_and_keep_the_order(scores):
    targets = half_warped(np.array(scores, dtype=float))
    assert np.isfinite(targets).all()
    assert [list(targets).index(t) for t in sorted(targets)] == [scores.index(s) for s in sorted(scores)]


def test_those_that_went_on_share_out_the_places_that_they_held():
    low = [(0, 1, 0.1), (1, 1, 0.2), (2, 1, 0.3), (3, 1, 0.4)]  # places 1, 3, 5, 7 of eighths
    high = [(0, 3, 0.09), (2, 3, 0.05)]  # trials 0 and 2 hold 1 and 5
    assert places_of(low + high) == pytest.approx([1 / 8, 3 / 8, 5 / 8, 7 / 8, 5 / 8, 1 / 8])
    top = [(2, 9, 0.04), (0, 9, 0.03)]
    assert places_of(low + high + top)[-2:] == pytest.approx([5 / 8, 1 / 8])


def test_a_trial_that_begins_higher_up_lies_between_its_neighbours_there():
    low = [(0, 1, 0.1), (1, 1, 0.2)]  # places 1/4 and 3/4
    high = [(0, 3, 0.05), (1, 3, 0.01), (2, 3, 0.03), (3, 3, 0.2), (4, 3, 0.3)]
    # 1, 2, 0, 3, 4: 1/4, then the middle of 1/4 and 3/4, 3/4, then a quarter and three quarters of what is left
    assert places_of(low + high)[2:] == pytest.approx([3 / 4, 1 / 4, 1 / 2, 13 / 16, 15 / 16])


def test_what_failed_is_last_wherever_it_failed_and_moves_nobody_else():
    low = [(0, 1, 0.1), (1, 1, 0.2), (2, 1, INF), (3, 1, 0.3)]
    high = [(0, 3, INF), (1, 3, 0.1)]
    # two of four trials failed and share the last half; the other evaluations at 1 share the first: sixths of it
    assert places_of(low + high) == pytest.approx([1 / 12, 3 / 12, 3 / 4, 5 / 12, 3 / 4, 3 / 12])


def test_one_resource_is_normal_scores():
    scores = np.array([0.3, 0.1, 0.3, 0.7, 0.2])
    assert by_resource(np.arange(5), np.ones(5, dtype=int), scores) == pytest.approx(normal_scores(scores))
