"""Search spaces: parsing, conditions, the unit cube, grids."""

from __future__ import annotations

import numpy as np
import pytest
import yaml
from commands import ROOT
from small_spaces import GROUP, LR

from hpo_pipeline.space import Constant, Parameter, SearchSpace

CONF = ROOT / "conf" / "search_space"


def d2l_tree() -> dict:
    """The number of layers, 1..6, and the units of each layer, where it exists (d2l, "What is HPO?")."""
    units = {
        f"n_units_{i}": {"type": "int", "low": 4, "high": 64, "base": 2, "when": {"model.n_layers": list(range(i, 7))}}
        for i in range(1, 7)
    }
    return {"model": {"n_layers": {"type": "int", "low": 1, "high": 6}, **units}}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "mlp",
            {
                "optimizer.lr": "log-uniform [1e-6, 1]",
                "optimizer.weight_decay": "log-uniform [1e-8, 1]",
                "model.n_units_1": "int [4, 1024]",
                "model.n_units_2": "int [4, 1024]",
                "model.dropout_1": "uniform [0, 0.99]",
                "model.dropout_2": "uniform [0, 0.99]",
                "dataset.batch_size": "int [8, 128]",
            },
        ),
        ("softmax", {"optimizer.lr": "log-uniform [0.0001, 1]", "dataset.batch_size": "int [8, 128]"}),
    ],
)
def test_shipped_spaces_are_those_of_the_examples(name, expected):
    space = SearchSpace.parse(yaml.safe_load((CONF / f"{name}.yaml").read_text()))
    assert {p.path: str(p.domain) for p in space.parameters} == expected


def test_a_scalar_is_a_constant_and_in_every_sample():
    space = SearchSpace.parse({"optimizer": {"lr": LR, "nesterov": True}, "seed": None})
    constants = (Parameter("optimizer.nesterov", Constant(True)), Parameter("seed", Constant(None)))
    assert space.parameters[1:] == constants
    assert space.dim == 1
    sample = space.sample(np.random.default_rng(0))
    assert sample["optimizer.nesterov"] is True
    assert space.contains(sample) == []


def test_a_branch_may_be_called_type():
    space = SearchSpace.parse({"scheduler": {"type": {"type": "choice", "choices": ["promotion", "stopping"]}}})
    assert space.paths == ("scheduler.type",)


def test_a_root_choice_selects_a_group_and_its_subspaces_lie_inside():
    space = SearchSpace.parse(GROUP)
    assert space.paths == ("optimizer", "optimizer.lr", "optimizer.momentum")
    assert space.midpoint({"optimizer": "plain"}) == {"optimizer": "plain"}
    assert set(space.midpoint({"optimizer": "sgd"})) == {"optimizer", "optimizer.lr", "optimizer.momentum"}


def test_the_same_path_has_another_domain_under_another_option():
    space = SearchSpace.parse(GROUP)
    assert space.midpoint({"optimizer": "sgd"})["optimizer.lr"] == pytest.approx(1e-3**0.5)
    assert space.midpoint({"optimizer": "adam"})["optimizer.lr"] == pytest.approx(1e-4)
    assert list(map(str, space.contains({"optimizer": "adam", "optimizer.lr": 0.5}))) == [
        "optimizer.lr: 0.5 is not in the search space (log-uniform [1e-6, 0.01])"
    ]


def test_a_deeper_choice_has_its_subspaces_beside_it():
    tree = {"model": {"n_layers": {"type": "choice", "choices": {1: {}, 2: {"n_units_2": 64}}}}}
    space = SearchSpace.parse(tree)
    assert list(space.grid()) == [{"model.n_layers": 1}, {"model.n_layers": 2, "model.n_units_2": 64}]


def test_nested_choices_need_all_the_enclosing_options():
    inner = {"type": "choice", "choices": {True: {"beta": {"type": "int", "low": 1, "high": 2}}, False: {}}}
    space = SearchSpace.parse({"optimizer": {"type": "choice", "choices": {"sgd": {"nesterov": inner}, "adam": {}}}})
    assert list(space.grid()) == [
        {"optimizer": "sgd", "optimizer.nesterov": True, "optimizer.beta": 1},
        {"optimizer": "sgd", "optimizer.nesterov": True, "optimizer.beta": 2},
        {"optimizer": "sgd", "optimizer.nesterov": False},
        {"optimizer": "adam"},
    ]


def test_d2l_units_exist_only_where_their_layer_does():
    space = SearchSpace.parse(d2l_tree())
    rng = np.random.default_rng(0)
    for config in (space.sample(rng) for _ in range(100)):
        n = config["model.n_layers"]
        assert list(config) == ["model.n_layers", *(f"model.n_units_{i}" for i in range(1, n + 1))]


def test_d2l_space_has_the_size_of_a_geometric_sum():
    """Five widths 4..64 in each layer: 5 + 25 + ... + 5**6."""
    space = SearchSpace.parse(d2l_tree())
    assert space.size == sum(5**n for n in range(1, 7)) == 19_530
    assert sum(1 for _ in space.grid()) == 19_530


def test_size_of_many_independent_conditions_is_their_product():
    """Fifty flags, each with three values under true: (1 + 3) ** 50."""
    leaf = {"type": "choice", "choices": {True: {"x": {"type": "int", "low": 1, "high": 3}}, False: {}}}
    assert SearchSpace.parse({f"flag_{i}": leaf for i in range(50)}).size == 4**50


def test_size_with_a_wide_parent():
    """One of 10**9 values has two children."""
    wide = {"type": "int", "low": 1, "high": 10**9}
    child = {"type": "int", "low": 1, "high": 2, "when": {"a": 7}}
    assert SearchSpace.parse({"a": wide, "b": child}).size == 10**9 + 1


def test_optunas_mlp():
    tree = {
        "model": {
            "layer_size": {"type": "int", "low": 1, "high": 3},
            "hidden_size": {"type": "int", "low": 8, "high": 512, "base": 2},
            "dropout": {"type": "float", "low": 0.0, "high": 0.5},
        },
        "optimizer": {
            "type": "choice",
            "choices": {
                "sgd": {
                    "momentum": {"type": "float", "low": 0, "high": 0.99},
                    "nesterov": {"type": "choice", "choices": [True, False]},
                },
                "adam": {},
            },
        },
    }
    space = SearchSpace.parse(tree)
    model = {"model.layer_size", "model.hidden_size", "model.dropout"}
    assert set(space.midpoint({"optimizer": "adam"})) == model | {"optimizer"}
    assert set(space.midpoint({"optimizer": "sgd"})) == model | {
        "optimizer",
        "optimizer.momentum",
        "optimizer.nesterov",
    }


def test_parents_come_before_children_whatever_the_order_of_declaration():
    space = SearchSpace.parse(
        {
            "c": {"type": "int", "low": 1, "high": 2, "when": {"b": 2}},
            "b": {"type": "int", "low": 1, "high": 2, "when": {"a": [1, 2]}},
            "a": {"type": "int", "low": 1, "high": 3},
        }
    )
    assert space.paths == ("a", "b", "c")
    assert space.size == 1 + 2 * (1 + 2)  # a = 3; a = 1 or 2 with b = 1, or with b = 2 and two values of c


def test_a_condition_on_an_inactive_parent_does_not_hold():
    space = SearchSpace.parse(
        {
            "a": {"type": "choice", "choices": [1, 2]},
            "b": {"type": "int", "low": 1, "high": 2, "when": {"a": 2}},
            "c": {"type": "int", "low": 1, "high": 2, "when": {"b": [1, 2]}},
        }
    )
    assert space.midpoint({"a": 1}) == {"a": 1}


@pytest.mark.parametrize("value", [2, 7])
def test_a_parent_can_be_pinned(value):
    tree = d2l_tree()
    tree["model"]["n_layers"] = value
    space = SearchSpace.parse(tree)
    assert len(space.midpoint()) == 1 + (value if value <= 6 else 0)


def test_a_pinned_group_choice_is_a_constant():
    assert SearchSpace.parse({"optimizer": "sgd"}).parameters == (Parameter("optimizer", Constant("sgd")),)


@pytest.mark.parametrize("tree", [GROUP, d2l_tree()], ids=["group", "d2l"])
def test_decoding_an_encoding_gives_the_configuration(tree):
    space = SearchSpace.parse(tree)
    rng = np.random.default_rng(0)
    for config in (space.sample(rng) for _ in range(100)):
        point = space.to_unit(config)
        assert point.shape == (space.dim,)
        assert space.from_unit(point) == {k: pytest.approx(v) if k == "optimizer.lr" else v for k, v in config.items()}


def test_inactive_dimensions_are_encoded_as_one_half():
    space = SearchSpace.parse(GROUP)
    config = {"optimizer": "adam", "optimizer.lr": 1e-6}
    assert [p.path for p in space.parameters] == ["optimizer", "optimizer.lr", "optimizer.momentum", "optimizer.lr"]
    assert space.to_unit(config) == pytest.approx([0.5, 0.5, 0.5, 0.0])


def test_each_option_of_a_choice_takes_an_equal_part_of_the_cube():
    space = SearchSpace.parse(GROUP)
    drawn = [space.from_unit([(i + 0.5) / 300, 0.1, 0.1, 0.1])["optimizer"] for i in range(300)]
    assert [drawn.count(option) for option in ("sgd", "adam", "plain")] == [100, 100, 100]


def test_contains_tells_every_reason():
    space = SearchSpace.parse(GROUP)
    config = {"optimizer": "adam", "optimizer.momentum": 0.5, "optimizer.rl": 1}
    assert list(map(str, space.contains(config))) == [
        "optimizer.lr: missing; give it a value (log-uniform [1e-6, 0.01])",
        "optimizer.momentum: given, but it exists only when optimizer is sgd; leave it out",
        "optimizer.rl: not in the search space; did you mean 'optimizer.lr'?",
    ]


def test_midpoint_keeps_what_is_given():
    space = SearchSpace.parse({"optimizer": {"lr": LR}, "model": {"n_units": {"type": "int", "low": 4, "high": 1024}}})
    assert space.midpoint({"optimizer.lr": 0.5}) == {"optimizer.lr": 0.5, "model.n_units": 514}


def test_key_ignores_order_and_tells_true_from_one():
    space = SearchSpace.parse({"a": {"type": "choice", "choices": [True, 1]}, "b": 2})
    assert space.key({"a": 1, "b": 2}) == space.key({"b": 2, "a": 1})
    assert space.key({"a": 1, "b": 2}) != space.key({"a": True, "b": 2})


def test_grid_takes_the_given_points_and_all_of_what_is_listed():
    space = SearchSpace.parse(
        {
            "a": {"type": "choice", "choices": list("abcdefg")},
            "b": {"type": "float", "low": 0, "high": 1},
            "c": {"type": "int", "low": 8, "high": 128, "base": 2},
            "d": {"type": "int", "low": 1, "high": 100},
        }
    )
    assert sum(1 for _ in space.grid(2)) == 7 * 2 * 5 * 2
    assert sum(1 for _ in space.grid(2, {"a": 1, "b": 3})) == 1 * 3 * 5 * 2


def test_grid_is_lazy():
    tree = {f"x{i}": {"type": "float", "low": 0, "high": 1} for i in range(30)}
    first = next(SearchSpace.parse(tree).grid(10))  # of 1e30
    assert set(first.values()) == {0.05}
