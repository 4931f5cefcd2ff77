"""Search spaces that are refused, each with what to do."""

from __future__ import annotations

import pytest
from small_spaces import GROUP, LR

from hpo_pipeline.errors import ConfigError
from hpo_pipeline.space import SearchSpace
from hpo_pipeline.space.config_paths import path_problems


def problems(tree, **kwargs) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        SearchSpace.parse(tree, **kwargs)
    return caught.value.lines


def test_paths_must_be_in_the_config_that_is_tuned():
    space = SearchSpace.parse({"optimizer": {"lrr": LR}, "model": LR, "seed": 3})
    config = {"optimizer": {"lr": 0.1}, "model": {"n_units": 3}, "seed": 0}
    assert list(map(str, path_problems(space.parameters, config, {}))) == [
        "optimizer.lrr: not in the config that is tuned; did you mean 'optimizer.lr'?",
        "model: is a group of the config, not a value; tune one of its keys",
    ]


def test_paths_under_an_option_are_checked_against_what_the_option_is_composed_to():
    space = SearchSpace.parse(GROUP)
    config = {"optimizer": {"name": "adam", "lr": 0.1}}
    assert path_problems(space.parameters, config, {}) == []
    options = {"optimizer": {"sgd": {"lr": 0.1, "momentumm": 0.9}, "adam": {"lr": 0.1}}}
    assert list(map(str, path_problems(space.parameters, config, options))) == [
        "optimizer.momentum: not in the config that is tuned with optimizer=sgd; did you mean 'optimizer.momentumm'?"
    ]


@pytest.mark.parametrize(
    ("tree", "expected"),
    [
        ({"lr": {"low": 0, "high": 1}}, "search_space.lr: has no type"),
        ({"lr": {"tpye": "float", "low": 0, "high": 1}}, "search_space.lr.tpye: unknown key for a leaf; did you mean"),
        ({"lr": {"choices": {"a": {}, "b": {}}}}, "search_space.lr: has no type"),
        ({"lr": {"type": "flaot", "low": 0, "high": 1}}, "got 'flaot'; did you mean 'float'?"),
        ({"lr": {"type": "float", "lo": 0, "high": 1}}, "lr.lo: unknown key for type 'float'; did you mean 'low'?"),
        ({"lr": {"type": "float", "high": 1}}, "search_space.lr.low: missing"),
        ({"lr": {**LR, "low": 0}}, "search_space.lr.low: must be positive with log, got 0"),
        ({"lr": {**LR, "low": "1e-5"}}, "search_space.lr.low: must be a number, got the string '1e-5'"),
        ({"lr": [1, 2]}, "search_space.lr: is a list; write {type: choice, choices: [1, 2]}"),
        ({"m": {1: LR}}, "a key must be a string, got 1"),
        ({"m": {"when": {"a": 1}, "lr": LR}}, "m.when: belongs to a leaf"),
        ({"a": {"type": "choice", "choices": {"x": 3}}}, "a.choices.x: must be a sub-space or {}, got 3"),
        ({"lr": {**LR, "when": {"optimiser": "sgd"}}, "optimizer": "sgd"}, "did you mean 'optimizer'?"),
        ({"lr": {**LR, "when": ["optimizer"]}}, "lr.when: must be a mapping"),
        ({"lr": {**LR, "when": {"o": []}}, "o": 1}, "lr.when.o: must be a value or a list of values, got []"),
        (
            {"lr": {**LR, "when": {"o": "sdg"}}, "o": {"type": "choice", "choices": ["sgd", "adam"]}},
            "lr.when.o: is never 'sdg' (one of sgd, adam); did you mean 'sgd'?",
        ),
        ({"a": {**LR, "when": {"b": 1}}, "b": {**LR, "when": {"a": 1}}}, "in a circle: a, b"),
        ({"a": {**LR, "when": {"a": 1}}}, "in a circle: a"),
        ({"lr": {"type": "scipy", "distribution": "norm", "scal": 1}}, "lr.scal: norm takes loc, scale, not 'scal'"),
        (
            {"optimizer": {"type": "choice", "choices": {"sgd": {"lr": {**LR, "low": 0}}, "adam": {}}}},
            "optimizer.lr.low",
        ),
        ({"a": {"type": "choice", "choices": {"x": LR}}}, "a.choices.x: is a leaf; give it a name"),
        ({"a": {"type": ["float"]}}, "a.type: must be one of float, int, choice, ordinal, scipy, got ['float']"),
        ({"a": float("nan")}, "search_space.a: must be a finite number, a string, a bool or null, got nan"),
        ({"a": {"type": "int", "low": 0, "high": 2**60}}, "search_space.a.high: is too large"),
        (LR, "search_space: is a leaf"),
        ("mlp", "search_space: must be a mapping"),
    ],
    ids=str,
)
def test_a_wrong_space_is_refused_with_what_to_do(tree, expected):
    assert expected in "\n".join(problems(tree))


def test_a_path_declared_twice_needs_exclusive_conditions():
    tree = {"m": {"o": {"type": "choice", "choices": {"a": {"lr": LR}, "b": {}}}, "lr": LR}}
    assert "m.lr: declared twice" in problems(tree)[0]


def test_all_problems_are_told_at_once_under_the_given_prefix():
    tree = {
        "optimizer": {"lr": {**LR, "low": 0}, "wd": {"type": "float", "low": 1, "hgih": 2}},
        "model": {"act": {"type": "choice", "choices": []}, "n": {"type": "int", "low": 3.5, "high": 4}},
        "x": {**LR, "when": {"model.ac": "relu"}},
    }
    found = problems(tree, prefix="space")
    assert [problem.partition(":")[0] for problem in found] == [
        "space.optimizer.lr.low",
        "space.optimizer.wd.hgih",
        "space.optimizer.wd.high",
        "space.model.act.choices",
        "space.model.n.low",
        "space.x.when.model.ac",
    ]


def test_a_wrong_parent_is_one_problem_not_two():
    tree = {"a": {"type": "int", "low": 1, "high": 0}, "b": {**LR, "when": {"a": 1}}}
    assert len(problems(tree)) == 1
