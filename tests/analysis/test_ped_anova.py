"""PED-ANOVA: what the best trials have in common."""

from __future__ import annotations

import numpy as np
import pytest

from hpo_pipeline.analysis.axes import Axis
from hpo_pipeline.analysis.ped_anova import GRID, PedAnova, pearson_divergence, ped_anova

NUMBER, CHOICE = Axis("x"), Axis("c", values=("a", "b"), is_ordered=False)


def importance(axes: list[Axis], points: np.ndarray, places: np.ndarray, n_bad: int = 0) -> PedAnova:
    found = ped_anova(axes, points, places, np.random.default_rng(0), n_bad)
    assert found is not None
    return found


def test_the_divergence_of_a_uniform_density_on_half_of_a_uniform_one_is_1():
    # ∫ q (p/q - 1)² = 1/2 (2 - 1)² + 1/2 (0 - 1)²
    p = np.array([[0.5, 0.5, 0.0, 0.0]])
    q = np.full((1, 4), 0.25)
    assert pearson_divergence(p, q) == pytest.approx([1.0])


def test_equal_densities_have_no_divergence_and_empty_cells_count_nothing():
    q = np.array([[0.25, 0.75, 0.0]])
    assert pearson_divergence(q, q) == pytest.approx([0.0])


def test_choices_give_their_frequencies_alone():
    # The ten best of 100 all have "a", which half of all have: D = 1/2 (2 - 1)² + 1/2 (0 - 1)² = 1.
    # Of the other choice they have both options as often as all: D = 0.
    places = np.arange(100.0)
    first = np.where(np.arange(100) < 10, 0.25, np.where(np.arange(100) < 50, 0.25, 0.75))
    second = np.where(np.arange(100) % 2, 0.25, 0.75)
    found = importance([CHOICE, CHOICE], np.column_stack([first, second]), places)
    np.testing.assert_allclose(found.share, [1.0, 0.0], atol=1e-12)
    assert found.n_best == 10
    # The shares of three choices are in proportion to their divergences: 9/10 of the best against 1/2 of all is
    # 1/2 (9/5 - 1)² + 1/2 (1/5 - 1)² = 0.64.
    third = np.repeat([0.25, 0.75, 0.25, 0.75], [9, 1, 41, 49])
    found = importance([CHOICE, CHOICE], np.column_stack([first, third]), places)
    np.testing.assert_allclose(found.share, [1 / 1.64, 0.64 / 1.64], atol=1e-12)


def test_the_order_of_the_rows_does_not_matter():
    rng = np.random.default_rng(1)
    points, places = rng.random((60, 2)), rng.permutation(60).astype(float)
    order = rng.permutation(60)
    one, other = importance([NUMBER] * 2, points, places), importance([NUMBER] * 2, points[order], places[order])
    np.testing.assert_allclose(one.share, other.share)


def test_what_decides_stands_out_and_what_does_nothing_stays_about_chance():
    rng = np.random.default_rng(2)
    points = rng.random((400, 3))
    found = importance([NUMBER] * 3, points, (points[:, 0] - 0.5) ** 2)
    assert found.share[0] > 0.8
    assert found.low[0] > found.chance[0]
    assert (found.share[1:] < 0.1).all()
    assert (found.low <= found.share + 0.05).all()
    assert (found.high >= found.share - 0.05).all()


def test_it_agrees_with_another_implementation():
    # Optuna 5.0's PedAnovaImportanceEvaluator(evaluate_on_local=True) says 0.641, 0.352 and 0.007 of these trials; its
    # bandwidths and grid are others.
    rng = np.random.default_rng(3)
    points = rng.random((300, 3))
    values = 4 * (points[:, 0] - 0.3) ** 2 + (points[:, 1] - 0.6) ** 2 + 0.02 * points[:, 2]
    found = importance([NUMBER] * 3, points, values)
    np.testing.assert_allclose(found.share, [0.641, 0.352, 0.007], atol=0.06)
    assert (found.low < [0.641, 0.352, 0.0071]).all()
    assert (found.high > [0.641, 0.352, 0.0070]).all()


def test_equally_good_trials_tell_nothing():
    points = np.random.default_rng(4).random((40, 2))
    assert ped_anova([NUMBER] * 2, points, np.zeros(40), np.random.default_rng(0)) is None


def test_a_conditional_hyperparameter_counts_by_the_share_of_the_best_that_have_it():
    # Half of the trials have it. Those among the best have it below, all others evenly: the same divergence as of one
    # that all have, times the share of the best that have it, one half.
    places = np.arange(200.0)
    always = np.where(np.arange(200) < 20, 0.25, 0.25 + 0.5 * (np.arange(200) // 2 % 2))
    sometimes = np.where(np.arange(200) % 2, always, np.nan)
    found = importance([CHOICE, CHOICE], np.column_stack([always, sometimes]), places)
    p, q = np.array([[1.0, 0.0]]), np.bincount(((always - 0.25) * 2).astype(int)) / 200
    whole = pearson_divergence(p, q[None])[0]
    has = sometimes[np.isfinite(sometimes)]
    half = 0.5 * pearson_divergence(p, (np.bincount(((has - 0.25) * 2).astype(int)) / 100)[None])[0]
    np.testing.assert_allclose(found.share, np.array([whole, half]) / (whole + half))


def test_failed_trials_are_never_among_the_best():
    points = np.random.default_rng(5).random((12, 1))
    places = np.arange(12.0)
    assert ped_anova([NUMBER], points, places, np.random.default_rng(0), n_bad=8) is None
    assert importance([NUMBER], points, places, n_bad=6).n_best == 5


@pytest.mark.parametrize("n", [0, 1, 9])
def test_few_trials_tell_nothing(n: int):
    assert ped_anova([NUMBER], np.zeros((n, 1)), np.arange(n) * 1.0, np.random.default_rng(0)) is None


def test_the_density_of_a_number_is_within_its_bounds():
    # All of the best at the lower bound, all others evenly: the densities are those of truncated kernels, so that
    # nothing is lost beyond the bound, and the divergence is that of the frequencies as the bandwidth goes to a cell.
    places = np.arange(1000.0)
    column = np.where(np.arange(1000) < 100, 0.0, (np.arange(1000) * 0.618034) % 1)
    found = importance([NUMBER, CHOICE], np.column_stack([column, np.where(np.arange(1000) % 2, 0.25, 0.75)]), places)
    assert GRID == 64
    assert found.share[0] == pytest.approx(1.0, abs=1e-6)
