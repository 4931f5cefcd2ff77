"""Constraints between hyperparameters: the language, what it refuses, and sampling under them."""

from __future__ import annotations

import numpy as np
import pytest
from heard import started

from hpo_pipeline.errors import ConfigError, Problem
from hpo_pipeline.searcher.grid import GridSearch
from hpo_pipeline.searcher.random import RandomSearch
from hpo_pipeline.searcher.sobol import SobolSearch
from hpo_pipeline.space import Constraint, SearchSpace

CONFIG = {"a": 3, "m.n_1": 8, "m.n_2": 4, "m.act": "relu", "m.bias": True, "m.none": None}


def square(n: int, *constraints: str) -> dict:
    """n x n integers."""
    return {
        "a": {"type": "int", "low": 1, "high": n},
        "b": {"type": "int", "low": 1, "high": n},
        "constraints": list(constraints),
    }


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("m.n_2 <= m.n_1", True),
        ("m.n_2 > m.n_1", False),
        ("1 < a <= m.n_2 < m.n_1", True),
        ("1 < a <= m.n_2 < 4", False),
        ("a + m.n_1 * 2 - 1 == 18", True),
        ("m.n_1 / 3 > 2.6 and m.n_1 // 3 == 2 and m.n_1 % 3 == 2", True),
        ("a ** 2 == 9 or a == 100", True),
        ("-a == -3", True),
        ("not m.act == 'relu'", False),
        ("m.act in ['tanh', 'relu']", True),
        ("m.act not in ('tanh', 'relu')", False),
        ("m.bias and a == 3", True),
        ("m.none == None", True),
        ("m.act == 'tanh' or m.n_1 >= 2 * m.n_2", True),
        ("a / (m.n_1 - 8) < 1", False),  # division by zero
        ("(0 - a) ** 0.5 < 1", False),  # not a real number
        ("m.n_1 ** m.n_1 ** m.n_1 > 0", False),  # 8 ** 16777216 is not finite
        ("m.n_3 <= m.n_1", True),  # not active
        ("m.n_3 <= m.n_1 and a == 4", True),  # the same: the whole constraint holds
    ],
)
def test_an_expression_is_true_or_false_of_a_configuration(source, expected):
    assert Constraint(source).holds(CONFIG) is expected


@pytest.mark.parametrize(
    "source",
    [
        "__import__('os').system('true')",
        "a.__class__()",
        "a[0] == 1",
        "[x for x in a] == 1",
        "(lambda: a)() == 1",
        "f'{a}' == '3'",
        "a if a else 1",
        "a & 1 == 1",
        "a is None",
        "(b := a) == 1",
        "a == b'x'",
        "a == 1j",
        "a in 'abc'",
        "a == [1, 2]",
        "1 < 2",
        "a <",
        "a; b",
        "",
        "a == " + "-" * 990 + "1",
        "(" * 400 + "a" + ")" * 400 + " < 1",
        "a < 1 or " * 200 + "a < 1",
    ],
)
def test_what_is_outside_the_language_is_refused(source):
    with pytest.raises(ConfigError):
        Constraint(source)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a < m.act", "can't order 3 and 'relu'"),
        ("m.act * 1000 == 'x'", "'m.act' is 'relu', not a number"),
        ("a", "'a' is 3, neither true nor false"),
        ("a + m.bias == 4", "'m.bias' is True, not a number"),
    ],
)
def test_values_that_do_not_go_together_are_told(source, expected):
    with pytest.raises(ConfigError, match=expected.replace("(", r"\(")):
        Constraint(source).holds(CONFIG)


def test_size_and_grid_of_a_triangle():
    """b <= a on 5 x 5: 5 + 4 + 3 + 2 + 1."""
    space = SearchSpace.parse(square(5, "b <= a"))
    assert space.size == 15
    assert sum(1 for _ in space.grid()) == 15


def test_samples_meet_the_constraints_and_cover_what_they_leave():
    space = SearchSpace.parse(square(3, "b <= a", "a + b != 4"))
    rng = np.random.default_rng(0)
    drawn = {(c["a"], c["b"]) for c in (space.sample(rng) for _ in range(200))}
    assert drawn == {(1, 1), (2, 1), (3, 2), (3, 3)}


@pytest.mark.parametrize("make", [RandomSearch, GridSearch, SobolSearch])
def test_searchers_keep_to_the_constraints_until_the_space_is_exhausted(make):
    searcher = make(SearchSpace.parse(square(5, "b <= a")), seed=0)
    configs = []
    for i in range(15):
        configs.append(searcher.suggest(i).config)
        started(searcher, i, configs[-1])
    assert {(c["a"], c["b"]) for c in configs} == {(a, b) for a in range(1, 6) for b in range(1, a + 1)}


def test_contains_names_the_broken_constraint_and_the_values():
    space = SearchSpace.parse(square(5, "b <= a"))
    assert space.contains({"a": 2, "b": 3}) == [Problem("constraints", "'b <= a' does not hold for a 2, b 3")]


def test_a_constraint_on_inactive_hyperparameters_holds():
    tree = {
        "n_layers": {"type": "int", "low": 1, "high": 2},
        "n_1": {"type": "int", "low": 1, "high": 2},
        "n_2": {"type": "int", "low": 1, "high": 2, "when": {"n_layers": 2}},
        "constraints": ["n_2 <= n_1"],
    }
    assert SearchSpace.parse(tree).size == 2 + 3


@pytest.mark.parametrize(
    ("tree", "expected"),
    [
        (square(200, "a == 1 and b == 1"), "fewer than 1 in 10000; loosen them"),  # 1 in 40,000
        (square(9, "a < 1"), "only 0 of 100000 samples meet them (a < 1)"),
        (square(9, "a <= c"), "search_space.constraints[0]: c is not in the search space"),
        (square(9, "b > a", "a <="), "search_space.constraints[1]: 'a <=' is not an expression"),
        (square(9, "a < 'x'"), "search_space.constraints: \"a < 'x'\": can't order"),
        ({**square(9), "constraints": "a < b"}, "search_space.constraints: must be a list of expressions, got 'a < b'"),
    ],
    ids=str,
)
def test_constraints_that_can_not_be_met_or_read_are_refused(tree, expected):
    with pytest.raises(ConfigError) as caught:
        SearchSpace.parse(tree)
    assert expected in "\n".join(caught.value.lines)


def test_a_constraint_that_1_sample_in_1000_meets_is_accepted():
    """a == 1 and b == 1 on 31 x 31: 1 in 961."""
    space = SearchSpace.parse(square(31, "a == 1 and b == 1"))
    assert space.sample(np.random.default_rng(0)) == {"a": 1, "b": 1}
