"""Permutation importance of a forest."""

from __future__ import annotations

import numpy as np
import pytest

from hpo_pipeline.analysis.axes import Axis
from hpo_pipeline.analysis.permutation import features, permutation_importance, predict

NUMBER, CHOICE = Axis("x"), Axis("c", values=("a", "b", "c"), is_ordered=False)


def test_a_forest_remembers_what_it_was_grown_on():
    rng = np.random.default_rng(0)
    inputs, targets = rng.random((50, 2)), rng.random(50)
    np.testing.assert_allclose(predict(inputs, targets, inputs, 3, rng), targets)


def test_a_choice_has_a_column_for_each_value_and_what_is_not_there_is_in_the_middle():
    points = np.array([[0.2, 1 / 6], [np.nan, 0.5], [1.0, np.nan]])
    np.testing.assert_array_equal(features([NUMBER, CHOICE], points), [[0.2, 1, 0, 0], [0.5, 0, 1, 0], [1.0, 0, 0, 0]])


def test_only_what_matters_is_important():
    rng = np.random.default_rng(1)
    points = np.column_stack([rng.random(300), rng.random(300), (rng.integers(3, size=300) + 0.5) / 3])
    found = permutation_importance([NUMBER, NUMBER, CHOICE], points, points[:, 0], rng)
    assert found is not None
    # Shuffled, a perfect prediction of x is off by the difference of two draws: twice the variance.
    assert found.explained > 0.9
    assert found.mean[0] == pytest.approx(2.0, abs=4 * found.error[0])
    assert np.abs(found.mean[1:]).max() < 0.2
    assert (found.error > 0).all()


def test_a_choice_can_matter():
    rng = np.random.default_rng(2)
    points = np.column_stack([rng.random(200), (rng.integers(3, size=200) + 0.5) / 3])
    places = np.array([0.3, 0.9, 0.1])[(points[:, 1] * 3).astype(int)]
    found = permutation_importance([NUMBER, CHOICE], points, places, rng)
    assert found is not None
    assert found.mean[1] > 1.5
    assert abs(found.mean[0]) < 0.1


def test_a_conditional_hyperparameter_is_shuffled_among_the_trials_that_have_it():
    rng = np.random.default_rng(3)
    x, has = rng.random(400), rng.random(400) < 0.5
    parent = Axis("p", values=(False, True), is_ordered=False)
    points = np.column_stack([np.where(has, 0.75, 0.25), np.where(has, x, np.nan)])
    found = permutation_importance([parent, NUMBER], points, np.where(has, x, 2.0), rng)
    assert found is not None
    # Without it all are 2: who has it decides most of the variance, and among those that do it decides the rest.
    assert found.mean[0] > found.mean[1] > 5 * found.error[1] / 10
    variance = np.where(has, x, 2.0).var()
    assert found.mean[1] == pytest.approx(has.mean() * 2 * x[has].var() / variance, rel=0.35)


def test_noise_explains_nothing():
    rng = np.random.default_rng(4)
    found = permutation_importance([NUMBER] * 2, rng.random((100, 2)), rng.random(100), rng)
    assert found is not None
    assert found.explained < 0.1


@pytest.mark.parametrize("n", [0, 19])
def test_few_trials_tell_nothing(n: int):
    rng = np.random.default_rng(0)
    assert permutation_importance([NUMBER], rng.random((n, 1)), rng.random(n), rng) is None


def test_equal_places_tell_nothing():
    rng = np.random.default_rng(0)
    assert permutation_importance([NUMBER], rng.random((30, 1)), np.full(30, 0.5), rng) is None
