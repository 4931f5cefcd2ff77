"""The search for the highest utility, and the neighbours that it looks at."""

from __future__ import annotations

import numpy as np
import pytest
from components import SPACES

from hpo_pipeline.searcher.local_search import highest, perturbed
from hpo_pipeline.seeding import generator
from hpo_pipeline.space import SearchSpace
from hpo_pipeline.space.unit_cube import UnitCube

SQUARE = UnitCube(SearchSpace.parse({axis: {"type": "float", "low": 0.0, "high": 1.0} for axis in ("x", "y")}))


def test_the_top_of_a_hill_is_found_to_three_digits():
    top = np.array([0.123, 0.987])
    points = highest(
        SQUARE, lambda points: -((points - top) ** 2).sum(axis=1), np.array([[0.5, 0.5]]), 400, generator(0)
    )
    np.testing.assert_allclose(points[0], top, atol=1e-3)


def test_what_is_worth_nothing_is_left_out_and_the_rest_is_in_order():
    def utility(points):
        return np.where(points[:, 0] < 0.5, -np.inf, points[:, 1])

    points = highest(SQUARE, utility, np.array([[0.2, 0.2]]), 200, generator(0))
    assert np.all(points[:, 0] >= 0.5)
    assert np.all(np.diff(points[:, 1]) <= 0)
    assert (
        len(highest(SQUARE, lambda points: np.full(len(points), -np.inf), np.array([[0.2, 0.2]]), 200, generator(0)))
        == 0
    )


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_neighbours_are_canonical_and_every_point_is_within_reach(space):
    cube, rng = UnitCube(space), generator(0)
    points = cube.uniform(rng, 1)
    for _ in range(30):  # small steps: what is finite is reached by its cells, categories by uniform draws
        points = perturbed(cube, np.repeat(points, 40, axis=0)[:400], 0.01, rng)
    np.testing.assert_array_equal(points, cube.canonical(points))
    for column, cells in enumerate(cube.cells):
        if cells is not None:
            active = points[cube.active(points)[:, column], column]
            assert set(cells.index(active)) == set(range(len(cells.centres)))


def test_where_there_are_constraints_the_points_meet_them():
    cube = UnitCube(SPACES["constrained"])
    points = highest(cube, lambda points: points[:, 1] - points[:, 0], cube.uniform(generator(0), 2), 100, generator(1))
    assert all(cube.allows(point) for point in points)
    best = cube.config(points[0])
    assert best["first"] == best["second"]
