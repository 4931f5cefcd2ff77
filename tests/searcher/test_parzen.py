"""Parzen estimators, against scipy's truncated normals, counts by hand and numerical integration."""

import itertools

import numpy as np
import pytest
from scipy.stats import norm, truncnorm

from hpo_pipeline.searcher.parzen import ParzenEstimator
from hpo_pipeline.space import SearchSpace
from hpo_pipeline.space.unit_cube import UnitCube

UNIT = {"type": "float", "low": 0.0, "high": 1.0}
SPACES = {
    "continuous": {"x": UNIT, "y": UNIT},
    "integers": {"x": {"type": "int", "low": 1, "high": 7}, "y": {"type": "float", "low": 0.0, "high": 1.0, "n": 4}},
    "log integers": {"x": {"type": "int", "low": 1, "high": 50, "log": True}, "y": UNIT},
    "categories": {"x": {"type": "choice", "choices": ["a", "b", "c"]}, "y": UNIT},
    "conditional": {
        "x": {"type": "choice", "choices": {"a": {"u": UNIT}, "b": {"k": {"type": "int", "low": 1, "high": 5}}}}
    },
    "distribution": {"x": {"type": "scipy", "distribution": "binom", "n": 4, "p": 0.3}, "y": UNIT},
}


def cube_of(tree):
    return UnitCube(SearchSpace.parse(tree))


def estimator(cube, points, bandwidths):
    made = ParzenEstimator(cube, np.asarray(bandwidths, dtype=float))
    made.add(cube.canonical(np.asarray(points, dtype=float)))
    return made


def normal(x, mean, sigma):
    return truncnorm.pdf(x, -mean / sigma, (1 - mean) / sigma, loc=mean, scale=sigma)


@pytest.mark.parametrize("sigma", [0.02, 0.2, 1.5])
@pytest.mark.parametrize("name", SPACES)
def test_a_density_integrates_to_1(name, sigma):
    cube = cube_of(SPACES[name])
    made = estimator(cube, np.random.default_rng(0).random((9, cube.dim)), [min(sigma, 0.9)] * cube.dim)
    # The mean over a grid of the whole cube: what doesn't exist at a point has no influence there. 420 is a multiple
    # of each number of equally wide cells.
    m = 420 if cube.dim == 2 else 60
    grid = np.array(list(itertools.product((np.arange(m) + 0.5) / m, repeat=cube.dim)))
    density = np.exp(made.log_density(cube.canonical(grid), np.linspace(0.2, 2.0, 9)))
    assert np.mean(density) == pytest.approx(1.0, abs=0.02 if name in ("log integers", "distribution") else 2e-3)


def test_a_mixture_is_that_of_scipys_truncated_normals_with_a_uniform_part():
    cube = cube_of(SPACES["continuous"])
    points, sigma, weights = (
        np.array([[0.1, 0.9], [0.0, 0.4], [1.0, 0.45]]),
        np.array([0.03, 0.3]),
        np.array([1, 2, 0.5]),
    )
    at = np.random.default_rng(1).random((50, 2))
    kernels = [np.prod(normal(at, point, sigma), axis=1) for point in points]
    expected = (1 + weights @ np.array(kernels)) / (1 + 3.5)
    assert np.exp(estimator(cube, points, sigma).log_density(at, weights)) == pytest.approx(expected, rel=1e-9)


def test_the_mass_of_an_integer_is_the_integral_over_its_cell():
    cube = cube_of({"n": {"type": "int", "low": 1, "high": 4}})  # encoded at 0, 1/3, 2/3, 1; cells a quarter wide
    density = np.exp(estimator(cube, [[1 / 3]], [0.2]).log_density(cube.cells[0].centres[:, None], np.ones(1)))
    law = truncnorm(-1 / 3 / 0.2, 2 / 3 / 0.2, loc=1 / 3, scale=0.2)
    masses = np.diff(law.cdf([0, 0.25, 0.5, 0.75, 1]))
    assert density / 4 == pytest.approx((masses + 0.25) / 2, rel=1e-9)


def test_where_cells_are_narrow_the_density_takes_the_place_of_the_mass():
    cube = cube_of({"n": {"type": "int", "low": 1, "high": 400}})
    sigma, near, at = np.array([0.05]), np.array([[0.3]]), np.linspace(0.15, 0.45, 30)
    density = np.exp(estimator(cube, near, sigma).log_density(cube.canonical(at[:, None]), np.ones(1)))
    cells = cube.cells[0]
    centre, index = cells.centres[cells.index(near[0])], cells.index(at)
    masses = norm.cdf(cells.edges[index + 1], centre, 0.05) - norm.cdf(cells.edges[index], centre, 0.05)
    assert density == pytest.approx((1 + masses * 400) / 2, rel=0.05)


def test_categories_are_kept_or_left_for_one_of_all():
    cube = cube_of({"x": {"type": "choice", "choices": ["a", "b", "c", "d"]}})
    density = np.exp(estimator(cube, [[0.3]], [0.2]).log_density(cube.cells[0].centres[:, None], np.array([3.0])))
    # b: 1 - 0.2 + 0.2 / 4 = 0.85, the others 0.05; the uniform part has one weight of four
    assert density / 4 == pytest.approx([(1 / 4 + 3 * p) / 4 for p in (0.05, 0.85, 0.05, 0.05)])


def test_far_from_all_points_the_density_is_that_of_the_uniform_part():
    cube = cube_of(SPACES["continuous"])
    made = estimator(cube, [[0.0, 0.0]] * 3, [1e-3, 1e-3])
    assert made.log_density(np.array([[1.0, 1.0]]), np.ones(3)) == pytest.approx(np.log(1 / 4))


def test_points_without_a_weight_and_points_added_later_count_as_they_should():
    cube = cube_of(SPACES["conditional"])
    points, at = (cube.canonical(np.random.default_rng(i).random((6, cube.dim))) for i in (0, 1))
    few, all_at_once = estimator(cube, points[:2], [0.2] * 3), estimator(cube, points, [0.2] * 3)
    expected = few.log_density(at, np.ones(2))
    assert all_at_once.log_density(at, np.array([1.0, 1, 0, 0, 0, 0])) == pytest.approx(expected)
    few.add(points[2:])
    assert few.log_density(at, np.ones(6)) == pytest.approx(all_at_once.log_density(at, np.ones(6)))


@pytest.mark.parametrize("name", SPACES)
def test_samples_follow_the_density(name):
    """A sample's expected weight p0 / p, with the uniform density p0 = 1, is 1; so is that of any part of the space."""
    cube = cube_of(SPACES[name])
    made = estimator(cube, np.random.default_rng(0).random((4, cube.dim)), [0.15] * cube.dim)
    weights = np.array([1.0, 0.5, 2.0, 0.1])
    sample, around = made.sample(np.random.default_rng(1), 20_000, weights)
    assert np.array_equal(sample, cube.canonical(sample))
    inverse = np.exp(-made.log_density(sample, weights))
    assert inverse.mean() == pytest.approx(1.0, abs=0.05)
    uniform = cube.canonical(np.random.default_rng(2).random((20_000, cube.dim)))
    for part in (lambda u: u[:, 0] < 0.5, lambda u: u[:, -1] < 0.45):
        assert np.mean(inverse * part(sample)) == pytest.approx(np.mean(part(uniform)), abs=0.03)
    assert np.bincount(around) / 20_000 == pytest.approx(np.append(weights, 1.0) / 4.6, abs=0.02)
