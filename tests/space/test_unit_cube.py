"""The space as arrays says what the space itself says, point by point."""

import tracemalloc

import numpy as np
import pytest
from components import SPACES

from hpo_pipeline.space import SearchSpace
from hpo_pipeline.space.unit_cube import UnitCube

MIXED = SearchSpace.parse(
    {
        "layers": {"type": "int", "low": 1, "high": 6},
        "width": {"type": "int", "low": 3, "high": 40, "log": True},
        "wide": {"type": "int", "low": 1, "high": 100_000, "log": True},
        "step": {"type": "float", "low": 0.0, "high": 1.0, "step": 0.25},
        "base": {"type": "int", "low": 8, "high": 128, "base": 2},
        "flag": {"type": "choice", "choices": [True, False]},
        "near": {"type": "ordinal", "choices": [1, 2, 100], "encoding": "nearest"},
        "law": {"type": "scipy", "distribution": "binom", "n": 4, "p": 0.3},
        "third": {"type": "float", "low": 0.0, "high": 1.0, "when": {"layers": [3, 4, 5, 6], "flag": True}},
        "fourth": {"type": "float", "low": 0.0, "high": 1.0, "when": {"third": 1.0}},
    }
)


@pytest.mark.parametrize("space", [*SPACES.values(), MIXED], ids=[*SPACES, "mixed"])
def test_points_mean_what_the_space_says_they_mean(space):
    cube = UnitCube(space)
    drawn = np.random.default_rng(0).random((300, cube.dim))
    canonical = cube.canonical(drawn)
    for point, itself in zip(drawn, canonical, strict=True):
        config = space.from_unit(point)
        assert cube.config(itself) == pytest.approx(config)
        finite = [cells is not None for cells in cube.cells]
        assert space.to_unit(config)[finite] == pytest.approx(itself[finite], abs=1e-9)
    assert np.array_equal(cube.canonical(canonical), canonical)


@pytest.mark.parametrize("space", [*SPACES.values(), MIXED], ids=[*SPACES, "mixed"])
def test_dimensions_exist_where_the_configuration_has_them(space):
    cube = UnitCube(space)
    points = cube.canonical(np.random.default_rng(1).random((100, cube.dim)))
    for point, exists in zip(points, cube.active(points), strict=True):
        config = space.from_unit(point)
        tuned = [p for p in space.parameters if p.domain.size != 1]
        assert [p.is_active(config) for p in tuned] == exists.tolist()


def test_edges_are_where_the_value_changes():
    cube = UnitCube(MIXED)
    tuned = [p.domain for p in MIXED.parameters]
    for domain, cells in zip(tuned, cube.cells, strict=True):
        if cells is None:
            continue
        for value, low, high in zip(cells.values, cells.edges[:-1], cells.edges[1:], strict=True):
            inside = 1e-9
            assert domain.from_unit(low + inside) == value == domain.from_unit(high - inside)


def test_different_categories_are_one_apart_and_numbers_as_far_as_they_are():
    space = SearchSpace.parse(
        {"kind": {"type": "choice", "choices": ["a", "b", "c"]}, "x": {"type": "float", "low": 0.0, "high": 2.0}}
    )
    cube = UnitCube(space)
    points = np.array([cube.point({"kind": kind, "x": x}) for kind, x in (("a", 0.0), ("c", 0.0), ("c", 1.5))])
    expected = [[0, 1, 1.25], [1, 0, 0.75], [1.25, 0.75, 0]]
    assert cube.distances(points, points) == pytest.approx(np.array(expected), abs=1e-7)
    assert len(cube.feature_dimensions) == 4


def test_features_of_a_choice_of_thousands_take_no_more_than_their_own_room():
    cube = UnitCube(SearchSpace.parse({"seed": {"type": "choice", "choices": list(range(3000))}}))
    tracemalloc.start()
    features = cube.features(cube.uniform(np.random.default_rng(0), 3))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert features.nbytes == 3 * 3000 * 8
    assert peak < 2e6  # a row for each of 3,000 values would take 72e6


def test_uniform_points_meet_the_constraints_and_there_is_always_one():
    cube = UnitCube(SPACES["constrained"])
    points = cube.uniform(np.random.default_rng(0), 50)
    assert len(points) == 50
    assert all(cube.allows(point) for point in points)
    rare = SearchSpace.parse(
        {
            "x": {"type": "float", "low": 0.0, "high": 1.0},
            "y": {"type": "float", "low": 0.0, "high": 1.0},
            "constraints": ["x + y >= 1.97"],
        }
    )
    assert 1 <= len(UnitCube(rare).uniform(np.random.default_rng(0), 5)) <= 5


@pytest.mark.parametrize("space", [*SPACES.values(), MIXED], ids=[*SPACES, "mixed"])
def test_a_cell_is_all_that_means_the_same(space):
    cube, rng = UnitCube(space), np.random.default_rng(2)
    for point in cube.canonical(rng.random((50, cube.dim))):
        low, high = cube.cell(point)
        others = low + (high - low) * rng.uniform(1e-9, 1 - 1e-9, (8, cube.dim))
        assert all(cube.config(other) == pytest.approx(cube.config(point)) for other in others)


def test_a_cell_by_hand():
    space = {"n": {"type": "int", "low": 1, "high": 4}, "x": {"type": "float", "low": 0.0, "high": 1.0}}
    conditional = {"y": {"type": "float", "low": 0.0, "high": 1.0, "when": {"n": 1}}}
    cube = UnitCube(SearchSpace.parse({**space, **conditional}))
    low, high = cube.cell(cube.point({"n": 2, "x": 0.3}))
    np.testing.assert_allclose([low, high], [[0.25, 0.3, 0.0], [0.5, 0.3, 1.0]])
    low, high = cube.cell(cube.point({"n": 1, "x": 0.3, "y": 0.7}))
    np.testing.assert_allclose([low, high], [[0.0, 0.3, 0.7], [0.25, 0.3, 0.7]])


def test_only_what_does_not_exist_is_drawn():
    cube = UnitCube(SPACES["conditional"])
    points = cube.canonical(np.random.default_rng(0).random((200, cube.dim)))
    drawn = cube.drawn_where_inactive(points, np.random.default_rng(1))
    exists = cube.active(points)
    assert np.array_equal(drawn[exists], points[exists])
    assert np.array_equal(cube.canonical(drawn), points)
    filled = drawn[~exists]
    assert len(np.unique(filled)) == len(filled) > 100
    assert 0.4 < filled.mean() < 0.6
