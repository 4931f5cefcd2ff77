"""The lazily grown tree, against one grown whole, and against splits by hand."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hpo_pipeline.searcher.extra_tree import _split, lowest_leaves


@given(st.integers(0, 10_000), st.integers(1, 30), st.integers(1, 4), st.integers(1, 20))
def test_leaves_come_lowest_first_each_candidate_in_one_and_data_of_one_target_in_each(seed, n, dim, m):
    rng = np.random.default_rng(seed)
    # few values and few targets, so that there are ties and points that can't be told apart
    features, targets = rng.integers(0, 4, (n, dim)) / 3, rng.integers(0, 3, n).astype(float)
    candidates = rng.random((m, dim))
    leaves = list(lowest_leaves(features, targets, candidates, rng))
    assert sorted(np.concatenate([inside for inside, _ in leaves])) == list(range(m))
    lowest = [targets[data].min() for _, data in leaves]
    assert lowest == sorted(lowest)
    for _, data in leaves:
        assert np.ptp(targets[data]) == 0 or np.ptp(features[data], axis=0).max() == 0


def test_a_candidate_at_a_point_of_the_data_is_in_that_points_leaf():
    rng = np.random.default_rng(0)
    features, targets = rng.random((40, 3)), np.arange(40.0)
    for (inside, data), row in zip(lowest_leaves(features, targets, features, rng), range(40), strict=True):
        assert inside.tolist() == data.tolist() == [row]


def test_a_split_is_by_the_feature_that_leaves_the_least_variance_in_its_sides():
    # Whatever the thresholds, the first feature parts 0, 0 from 1, 1, and the second can't: variance 0 against more.
    features = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    targets = np.array([0.0, 0.0, 1.0, 1.0])
    for seed in range(20):
        feature, threshold = _split(features, targets, np.random.default_rng(seed))
        assert feature == 0
        assert 0 <= threshold < 1


def test_thresholds_are_uniform_between_the_least_and_the_largest_value():
    features, targets = np.array([[2.0], [6.0]]), np.array([0.0, 1.0])
    thresholds = [_split(features, targets, np.random.default_rng(seed))[1] for seed in range(400)]
    assert 2 <= min(thresholds) < 2.2
    assert 5.8 < max(thresholds) < 6
    assert abs(np.mean(thresholds) - 4) < 4 * (4 / np.sqrt(12)) / np.sqrt(400)  # four standard errors


def test_equal_targets_or_equal_points_are_a_leaf():
    rng = np.random.default_rng(0)
    assert _split(np.array([[0.0], [1.0]]), np.zeros(2), rng) is None
    assert _split(np.zeros((2, 1)), np.array([0.0, 1.0]), rng) is None
