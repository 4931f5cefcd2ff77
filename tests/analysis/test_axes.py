"""Hyperparameters as positions in [0, 1]."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from hpo_pipeline.analysis.axes import Axis, axes_of, positions
from hpo_pipeline.space import SearchSpace


def axis_of(domain: dict[str, Any], *values: Any) -> Axis:
    (axis,) = axes_of(SearchSpace.parse({"x": domain}), [{"x": value} for value in values])
    return axis


def test_a_number_lies_on_its_own_scale():
    linear = axis_of({"type": "float", "low": 0.0, "high": 4.0}, 1.0)
    log = axis_of({"type": "float", "low": 1e-4, "high": 1.0, "log": True}, 0.01)
    powers = axis_of({"type": "int", "low": 8, "high": 128, "base": 2}, 8)
    assert linear.position(1.0) == 0.25
    assert log.position(0.01) == pytest.approx(0.5)
    assert powers.position(32) == pytest.approx(0.5)  # 8, 16, 32, 64, 128


def test_ticks_are_round_numbers_within_the_bounds():
    assert [text for _, text in axis_of({"type": "float", "low": 0.0, "high": 1.0}, 0.5).ticks] == [
        *("0", "0.2", "0.4", "0.6", "0.8", "1"),
    ]
    log = axis_of({"type": "float", "low": 1e-4, "high": 1.0, "log": True}, 0.01)
    assert [text for _, text in log.ticks] == ["0.0001", "0.001", "0.01", "0.1", "1"]
    assert [u for u, _ in log.ticks] == pytest.approx([0.0, 0.25, 0.5, 0.75, 1.0])


def test_a_few_numbers_are_all_marked():
    axis = axis_of({"type": "int", "low": 8, "high": 128, "base": 2}, 8)
    assert [text for _, text in axis.ticks] == ["8", "16", "32", "64", "128"]


def test_options_have_equally_wide_places():
    axis = axis_of({"type": "choice", "choices": ["relu", "tanh", None, True]}, "relu")
    assert axis.ticks == [(0.125, "relu"), (0.375, "tanh"), (0.625, "null"), (0.875, "true")]
    assert math.isnan(axis.position(1))  # True is no 1
    assert not axis.is_ordered


def test_an_ordinal_keeps_its_order():
    axis = axis_of({"type": "ordinal", "choices": ["low", "high"]}, "low")
    assert axis.is_ordered
    assert axis.values == ("low", "high")


def test_a_path_under_several_conditions_has_one_axis_over_all_of_its_ranges():
    choices = {
        "sgd": {"lr": {"type": "float", "low": 1e-2, "high": 1.0, "log": True}},
        "adam": {"lr": {"type": "float", "low": 1e-4, "high": 1e-1, "log": True}},
        "none": {},
    }
    space = SearchSpace.parse({"optimizer": {"type": "choice", "choices": choices}})
    configs = [{"optimizer": "sgd", "optimizer.lr": 1.0}, {"optimizer": "adam", "optimizer.lr": 0.01}]
    axes = axes_of(space, [*configs, {"optimizer": "none"}])
    assert [(axis.path, axis.is_conditional) for axis in axes] == [("optimizer", False), ("optimizer.lr", True)]
    assert (axes[1].low, axes[1].high, axes[1].log) == (1e-4, 1.0, True)
    np.testing.assert_allclose(positions(axes, [*configs, {"optimizer": "none"}])[:, 1], [1.0, 0.5, np.nan])


def test_what_no_trial_had_has_no_axis():
    space = SearchSpace.parse({name: {"type": "float", "low": 0.0, "high": 1.0} for name in "xy"})
    assert [axis.path for axis in axes_of(space, [{"x": 0.1}])] == ["x"]
    assert [axis.path for axis in axes_of(space, [])] == ["x", "y"]


def test_constants_have_no_axis():
    space = SearchSpace.parse({"x": {"type": "float", "low": 0.0, "high": 1.0}, "y": 3})
    assert [axis.path for axis in axes_of(space, [{"x": 0.1, "y": 3}])] == ["x"]


def test_without_a_search_space_what_was_tried_makes_the_axes():
    configs = [{"lr": 1e-4, "act": "relu", "fixed": 1}, {"lr": 1.0, "act": "tanh", "fixed": 1}]
    lr, act = axes_of(None, configs)
    assert (lr.low, lr.high, lr.log) == (1e-4, 1.0, True)
    assert act.values == ("relu", "tanh")


def test_a_value_that_the_search_space_does_not_know_is_no_error():
    axis = axis_of({"type": "choice", "choices": ["a", "b"]}, "a", "other")
    assert axis.values == ("a", "b", "other")
    number = axis_of({"type": "int", "low": 1, "high": 3}, 2, 7)
    assert number.position(7) == 1.0
    mixed = axis_of({"type": "int", "low": 1, "high": 3}, 2, "two")
    assert mixed.values == (2, "two")


def test_there_are_no_positions_without_axes_or_configurations():
    assert positions([], [{}, {}]).shape == (2, 0)
    assert positions([Axis("x")], []).shape == (0, 1)
