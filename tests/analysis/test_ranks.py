"""Average ranks, and how far apart they must be: Demšar 2006."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hpo_pipeline.analysis.ranks import Ranks, average_ranks, critical_difference


def test_critical_differences_are_those_of_demsar():
    assert critical_difference(4, 14) == pytest.approx(1.25, abs=0.005)  # his example
    # q_0.05 of his table 5(a), for 2 to 10 methods
    q = [1.960, 2.343, 2.569, 2.728, 2.850, 2.949, 3.031, 3.102, 3.164]
    found = [critical_difference(k, 1) / math.sqrt(k * (k + 1) / 6) for k in range(2, 11)]
    assert found == pytest.approx(q, abs=0.002)


def test_ranks_are_counted_by_task_and_shared_where_scores_are_equal():
    ranks = average_ranks([[1.0, 2.0, 3.0], [5.0, 5.0, 1.0]])
    assert ranks.average.tolist() == [1.75, 2.25, 2.0]
    assert ranks.n_tasks == 2


def test_what_has_no_value_yet_is_worst_and_as_bad_as_another():
    ranks = average_ranks([[math.inf, 0.5, math.inf]])
    assert ranks.average.tolist() == [2.5, 1.0, 2.5]
    assert ranks.p is None  # Friedman's test takes two tasks


def test_friedmans_statistic_is_that_of_a_hand_count():
    # Rank sums 4, 5, 9 on 3 tasks: chi² = 12 / (3·3·4) · (16 + 25 + 81) - 3·3·4 = 4.667, of 2 degrees: exp(-chi²/2)
    ranks = average_ranks([[1.0, 2.0, 3.0], [2.0, 1.0, 3.0], [1.0, 2.0, 3.0]])
    assert ranks.p == pytest.approx(math.exp(-(12 / 36 * 122 - 36) / 2))


def test_equal_methods_have_equal_ranks_and_no_test():
    ranks = average_ranks([[0.5, 0.5, 0.5], [0.1, 0.1, 0.1]])
    assert ranks.average.tolist() == [2.0, 2.0, 2.0]
    assert ranks.p is None


@pytest.mark.parametrize(("k", "fewest"), [(2, 4), (3, 3), (4, 3), (5, 3)])
def test_too_few_tasks_can_tell_nothing_whatever_comes_out(k, fewest):
    """q √(k (k + 1) / 6 n) <= k - 1, with q of table 5(a): n >= 3.84, 2.74, 2.44, 2.33."""
    told = [average_ranks(np.tile(np.arange(float(k)), (n, 1))).can_tell for n in (fewest - 1, fewest)]
    assert told == [False, True]


def test_cliques_are_the_bars_of_the_diagram():
    ranks = Ranks(np.array([3.0, 1.0, 2.0, 4.5]), 9, 1.5, None)
    assert ranks.cliques() == [(1, 2), (2, 0)]  # 1.0 and 2.0; 2.0 and 3.0; 4.5 is a critical difference from all
    assert Ranks(np.array([1.0, 3.0]), 9, 2.0, None).cliques() == []  # exactly as far apart: they differ
    assert Ranks(np.array([1.0, 1.5, 2.0]), 9, 2.0, None).cliques() == [(0, 1, 2)]  # one bar, and none within it
