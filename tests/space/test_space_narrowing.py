"""A space narrowed around a winner: what each type of domain becomes, by hand."""

from __future__ import annotations

import copy

import pytest

pytest.importorskip("hypothesis")

from hypothesis import given, settings
from hypothesis import strategies as st

from hpo_pipeline.errors import ConfigError
from hpo_pipeline.space import SearchSpace
from hpo_pipeline.space.narrowing import narrowing


def narrowed(tree, values, factor=4.0, own=None):
    change = narrowing(tree, values, set(values) if own is None else own, factor)
    return change.applied(tree), change


def one(node, winner, factor=4.0):
    """What a single domain becomes."""
    tree, _ = narrowed({"x": node}, {"x": winner}, factor)
    return tree["x"]


LOG = {"type": "float", "low": 1e-4, "high": 1.0, "log": True}
STEPS = {"type": "float", "low": 0.0, "high": 1.0, "step": 0.125}
WIDTHS = {"type": "int", "low": 4, "high": 1024}
POWERS = {"type": "int", "low": 8, "high": 1024, "base": 2}
DECADES = {"type": "float", "low": 1e-6, "high": 1.0, "log": True, "n": 7}


@pytest.mark.parametrize(
    ("node", "winner", "factor", "becomes"),
    [
        (LOG, 0.01, 4, {"low": 0.0025, "high": 0.04}),
        (LOG, 0.5, 4, {"low": 0.125, "high": 1.0}),
        (LOG, 1.0, 4, {"low": 0.25, "high": 1.0}),
        (LOG, 1e-4, 2, {"low": 1e-4, "high": 2e-4}),
        ({"type": "float", "low": 0.0, "high": 0.8}, 0.5, 4, {"low": 0.4, "high": 0.6}),
        ({"type": "float", "low": 0.0, "high": 0.8}, 0.75, 2, {"low": 0.55, "high": 0.8}),
        ({"type": "float", "low": -1e300, "high": 1e300}, 0.0, 4, {"low": -2.5e299, "high": 2.5e299}),
        (WIDTHS, 500, 4, {"low": 373, "high": 627}),  # a quarter of 1020 is 255: 372.5 to 627.5
        (WIDTHS | {"log": True}, 100, 4, {"low": 25, "high": 400}),
        (WIDTHS | {"log": True}, 101, 2, {"low": 51, "high": 202}),
        (WIDTHS | {"step": 20}, 504, 4, {"low": 384, "high": 624}),
        (POWERS, 64, 4, {"low": 16, "high": 256}),
        (POWERS, 1024, 4, {"low": 256, "high": 1024}),
        (STEPS, 0.5, 4, {"low": 0.375, "high": 0.625}),
        (STEPS, 0.5, 2, {"low": 0.25, "high": 0.75}),
        (DECADES, 1e-3, 100, {"low": 1e-5, "high": 1e-1, "n": 5}),
        # the neighbours stay
        ({"type": "int", "low": 1, "high": 3}, 2, 4, {"low": 1, "high": 3}),
        ({"type": "int", "low": 1, "high": 3}, 3, 4, {"low": 2, "high": 3}),
        (POWERS, 64, 1.5, {"low": 32, "high": 128}),
        (DECADES, 1e-3, 4, {"low": 1e-4, "high": 1e-2, "n": 3}),
        # beyond the bounds
        (LOG, 3.0, 4, {"low": 0.25, "high": 1.0}),
        (LOG, -3.0, 4, {"low": 1e-4, "high": 4e-4}),
        (WIDTHS, 10**30, 4, {"low": 897, "high": 1024}),
        (POWERS, 70, 4, {"low": 16, "high": 256}),
    ],
)
def test_a_range_becomes(node, winner, factor, becomes):
    found = one(node, winner, factor)
    assert {key: found[key] for key in becomes} == pytest.approx(becomes)
    assert {**found, **becomes} == {**node, **becomes}
    assert list(found) == list(node)  # so that a diff of two files shows the numbers alone


@pytest.mark.parametrize(
    ("node", "winner", "factor", "choices"),
    [
        ({"choices": [16, 32, 64, 128, 256, 512, 1024, 2048]}, 64, 4, [32, 64, 128]),
        ({"choices": [1, 2, 3, 10, 20, 40], "encoding": "nearest"}, 10, 2, [1, 2, 3, 10, 20]),
        ({"choices": [1, 2, 4, 8, 16, 32], "encoding": "nearest", "log": True}, 4, 2, [2, 4, 8]),
        ({"choices": ["small", "middle", "large"]}, "large", 4, ["middle", "large"]),
    ],
)
def test_an_ordinal_keeps_what_is_around(node, winner, factor, choices):
    assert one({"type": "ordinal", **node}, winner, factor) == {"type": "ordinal", **node, "choices": choices}


def test_values_that_are_rounded_are_listed_where_a_part_of_them_is_not_evenly_spaced():
    node = {"type": "int", "low": 1, "high": 100, "log": True, "n": 9}
    space = SearchSpace.parse({"x": node}).parameters[0].domain
    assert list(space.values()) == [1, 2, 3, 6, 10, 18, 32, 56, 100]
    for winner in space.values():
        kept = SearchSpace.parse({"x": one(node, winner, 3)}).parameters[0].domain.values()
        assert list(kept) == [v for v in space.values() if winner / 3 <= v <= winner * 3]


@pytest.mark.parametrize(
    ("node", "why"),
    [
        ({"type": "choice", "choices": ["relu", "tanh"]}, "a choice"),
        ({"type": "scipy", "distribution": "norm"}, "a distribution"),
        ({"type": "float", "low": 0.5, "high": 1.0, "log": True}, "is within the factor already"),
    ],
)
def test_what_has_no_bounds_to_be_moved_stays(node, why):
    winner = "relu" if "choices" in node else 0.75
    tree, change = narrowed({"x": node}, {"x": winner})
    assert tree == {"x": node}
    assert change.kept == {"x": why}
    assert change.point == {"x": winner}


def test_an_option_that_is_none_is_no_value_of_the_winner():
    tree = {"x": {"type": "choice", "choices": ["relu", "tanh"]}, "y": LOG}
    _, change = narrowed(tree, {"x": "gelu", "y": 0.1})
    assert change.kept == {"x": "has gelu, which is no option"}
    assert change.point == {"y": 0.1}


def test_a_constant_stays_and_is_no_part_of_the_point():
    tree, change = narrowed({"x": 3, "y": LOG}, {"x": 4, "y": 0.1})
    assert tree["x"] == 3
    assert change.point == {"y": 0.1}


def test_what_the_winner_merely_has_is_tried_and_nothing_is_narrowed_around_it():
    tree, change = narrowed({"x": LOG, "y": WIDTHS, "z": WIDTHS}, {"x": 0.1, "y": 20, "z": 5000}, own={"x"})
    assert (tree["y"], tree["z"]) == (WIDTHS, WIDTHS)
    assert change.point == {"x": 0.1, "y": 20}
    assert set(change.kept) == {"y", "z"}


@pytest.mark.parametrize("value", ["0.1", None, True, float("nan"), float("inf"), [0.1], "${oc.env:HOME}"])
def test_a_winner_that_is_no_number_is_refused(value):
    with pytest.raises(ConfigError, match=r"^x: must be a number, got"):
        one(LOG, value)


CONDITIONAL = {
    "optimizer": {
        "type": "choice",
        "choices": {"sgd": {"lr": LOG, "momentum": {"type": "float", "low": 0.0, "high": 1.0}}, "adam": {"lr": LOG}},
    },
    "model": {
        "n_layers": {"type": "int", "low": 1, "high": 3},
        "n_units_1": {"type": "int", "low": 4, "high": 64},
        "n_units_2": {"type": "int", "low": 4, "high": 64, "when": {"model.n_layers": [2, 3]}},
        "n_units_3": {"type": "int", "low": 4, "high": 64, "when": {"model.n_layers": 3}},
    },
}


def test_only_what_exists_where_the_winner_is_becomes_narrower():
    values = {"optimizer": "adam", "optimizer.lr": 0.01, "optimizer.momentum": 0.9}
    values |= {"model.n_layers": 2, "model.n_units_1": 8, "model.n_units_2": 16, "model.n_units_3": 32}
    before = copy.deepcopy(CONDITIONAL)
    tree, change = narrowed(CONDITIONAL, values)
    assert before == CONDITIONAL
    options = tree["optimizer"]["choices"]
    assert options["sgd"] == CONDITIONAL["optimizer"]["choices"]["sgd"]
    assert options["adam"]["lr"] == LOG | {"low": 0.0025, "high": 0.04}
    assert (tree["model"]["n_units_1"]["low"], tree["model"]["n_units_1"]["high"]) == (4, 15)
    assert tree["model"]["n_units_2"]["when"] == {"model.n_layers": [2, 3]}
    assert tree["model"]["n_units_3"] == CONDITIONAL["model"]["n_units_3"]
    assert [each.path for each in change.narrowed] == ["optimizer.lr", "model.n_units_1", "model.n_units_2"]
    assert "model.n_units_3" not in change.point
    assert "optimizer.momentum" not in change.point


def test_an_ordinal_whose_options_conditions_refer_to_keeps_them():
    tree = {
        "n": {"type": "ordinal", "choices": [1, 2, 3, 4]},
        "x": LOG | {"when": {"n": 4}},
    }
    found, change = narrowed(tree, {"n": 1})
    assert found == tree
    assert change.kept == {"n": "conditions refer to its options"}


def test_a_prior_outside_of_the_narrower_range_is_about_the_winner():
    node = LOG | {"prior": {"center": 1e-3, "confidence": "high"}}
    assert one(node, 0.1)["prior"] == {"center": 0.1, "confidence": "high"}
    assert one(node, 0.002)["prior"] == {"center": 1e-3, "confidence": "high"}


@pytest.mark.parametrize(
    ("winner", "line"),
    [
        (0.01, "x: log-uniform [0.0025, 0.04] around 0.01 (before: log-uniform [0.0001, 1])"),
        (1.0, "x: log-uniform [0.25, 1] around 1, its upper bound (before: log-uniform [0.0001, 1])"),
        (3.0, "x: log-uniform [0.25, 1] around 1, which is the nearest to 3 (before: log-uniform [0.0001, 1])"),
    ],
)
def test_each_says_what_became_of_it(winner, line):
    _, change = narrowed({"x": LOG}, {"x": winner})
    assert list(map(str, change.narrowed)) == [line]


ANY = {
    "lr": LOG,
    "dropout": {"type": "float", "low": 0.0, "high": 0.9},
    "steps": STEPS,
    "decades": DECADES,
    "width": WIDTHS,
    "batch": {"type": "int", "low": 8, "high": 512, "log": True},
    "powers": POWERS,
    "rounded": {"type": "int", "low": 1, "high": 100, "log": True, "n": 9},
    "size": {"type": "ordinal", "choices": [16, 32, 64, 128]},
    "far": {"type": "ordinal", "choices": [1, 2, 100], "encoding": "nearest"},
    "optimizer": {"type": "choice", "choices": {"sgd": {"momentum": STEPS}, "adam": {"beta": STEPS}}},
}


@settings(max_examples=60, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10_000), factor=st.floats(1.001, 1e6))
def test_the_winner_is_within_and_nothing_is_wider(seed, factor):
    import numpy as np

    space = SearchSpace.parse(ANY)
    winner = space.sample(np.random.default_rng(seed))
    tree, change = narrowed(ANY, winner, factor)
    after = SearchSpace.parse(tree)
    assert change.point == winner
    assert after.contains(winner) == []
    for point in (0.0, 0.3, 0.999):
        inside = after.from_unit([point] * after.dim)
        assert all(
            p.domain.contains(inside[p.path]) for p in space.parameters if p.path in inside and p.is_active(inside)
        )
