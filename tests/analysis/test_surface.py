"""How good trials are over two hyperparameters."""

from __future__ import annotations

import numpy as np
import pytest

from hpo_pipeline.analysis.surface import CELLS, surface


def grid(n: int = 15) -> np.ndarray:
    side = (np.arange(n) + 0.5) / n
    return np.array([(x, y) for x in side for y in side])


def test_a_plane_is_found_again():
    points = grid()
    found = surface(points, points[:, 0] + 2 * points[:, 1])
    assert found is not None
    assert found.explained > 0.98
    middle = CELLS // 2
    expected = found.x[middle] + 2 * found.y[middle]
    assert found.mean[middle, middle] == pytest.approx(expected, abs=0.05)
    assert found.mean[-5, 5] > found.mean[5, -5]  # rows are y, columns x


def test_noise_is_not_explained():
    rng = np.random.default_rng(0)
    found = surface(rng.random((100, 2)), rng.random(100))
    assert found is not None
    assert found.explained < 0.1


def test_where_there_are_no_trials_there_is_nothing():
    points = grid() * [0.4, 0.4]
    found = surface(points, points[:, 0] * points[:, 1])
    assert found is not None
    assert np.isnan(found.mean[-1, -1])
    assert np.isfinite(found.mean[5, 5])


def test_options_are_not_mixed_with_their_neighbours():
    options = np.array([1 / 6, 0.5, 5 / 6])
    points = np.array([(option, y) for option in options for y in np.linspace(0, 1, 10)])
    values = np.repeat([0.0, 1.0, 0.2], 10)
    found = surface(points, values, x=options)
    assert found is not None
    np.testing.assert_allclose(found.mean[CELLS // 2], [0.0, 1.0, 0.2], atol=1e-6)


def test_trials_that_lack_one_of_the_two_are_left_out_and_few_tell_nothing():
    points = grid(4)
    points[:3, 0] = np.nan
    assert surface(points, np.arange(16.0)) is None
    assert surface(grid(), np.zeros(225)) is None
