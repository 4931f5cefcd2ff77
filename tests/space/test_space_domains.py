"""Domains: their values, their place in the unit interval, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hpo_pipeline.errors import ConfigError
from hpo_pipeline.space import Choice, Constant, Domain, Float, Int, Ordinal, Scipy

DOMAINS: list[Domain] = [
    Float(0.0, 0.99),
    Float(-3.0, 5.0),
    Float(1e-6, 1.0, log=True),
    Float(0.0, 1.0, step=0.1),
    Float(1e-4, 1.0, log=True, n=9),
    Int(4, 1024),
    Int(-3, 3),
    Int(8, 128, log=True),
    Int(1, 10_000, log=True),
    Int(2, 20, step=3),
    Int(8, 128, base=2),
    Int(1, 100, log=True, n=5),
    Choice(["relu", "tanh", None]),
    Choice([True, 1, 0.5]),
    Ordinal([16, 32, 64]),
    Ordinal([1, 2, 100], encoding="nearest"),
    Ordinal([1, 10, 100, 10_000], encoding="nearest", log=True),
    Constant("adam"),
]


def problems(build, *args, **kwargs) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        build(*args, **kwargs)
    return caught.value.lines


def test_log_encoding_of_10_in_1_to_1e4_is_a_quarter():
    assert Float(1, 1e4, log=True).to_unit(10) == pytest.approx(0.25, abs=1e-15)
    assert Int(1, 10_000, log=True).to_unit(10) == pytest.approx(0.25, abs=1e-15)


def test_midpoint_of_log_range_is_the_geometric_mean():
    assert Float(1e-6, 1, log=True).midpoint == pytest.approx(1e-3, abs=1e-15)
    assert Int(8, 128, log=True).midpoint == 32


def test_midpoint_of_int_range_is_its_mean():
    assert Int(4, 1024).midpoint == 514


@pytest.mark.parametrize("domain", DOMAINS, ids=str)
def test_decoding_an_encoding_gives_the_value(domain):
    rng = np.random.default_rng(0)
    for _ in range(200):
        value = domain.from_unit(rng.random())
        back = domain.from_unit(domain.to_unit(value))
        assert type(back) is type(value)
        assert back == (pytest.approx(value, rel=1e-12, abs=1e-12) if isinstance(value, float) else value)


@pytest.mark.parametrize("domain", [d for d in DOMAINS if d.size is not None and d.size < 20_000], ids=str)
def test_every_value_of_a_finite_domain_survives_encoding(domain):
    values = domain.grid()
    assert len(values) == domain.size
    assert [domain.from_unit(domain.to_unit(value)) for value in values] == values


@pytest.mark.parametrize("domain", DOMAINS, ids=str)
def test_samples_are_contained_and_plain_python(domain):
    rng = np.random.default_rng(1)
    for value in (domain.from_unit(rng.random()) for _ in range(200)):
        assert domain.contains(value)
        assert value is None or type(value) in (bool, int, float, str)


@pytest.mark.parametrize(
    "domain", [Float(0.0, 0.3), Float(1e-6, 0.1, log=True), Int(3, 9), Int(3, 9, log=True)], ids=str
)
def test_bounds_are_inclusive_and_lie_at_0_and_1(domain):
    assert (domain.from_unit(0.0), domain.from_unit(1.0)) == (domain.low, domain.high)
    assert (domain.to_unit(domain.low), domain.to_unit(domain.high)) == (0.0, 1.0)
    assert domain.contains(domain.low)
    assert domain.contains(domain.high)


@pytest.mark.parametrize(
    "domain",
    [
        Int(1, 7),
        Int(0, 12, step=2),
        Int(1, 64, base=2),
        Float(0, 6, n=7),
        Choice(list("abcdefg")),
        Ordinal([*range(7)]),
    ],
    ids=str,
)
def test_seven_values_have_seven_equally_wide_bins(domain):
    """Of 7 * 100 evenly spread points, exactly 100 lie in each bin."""
    hits = [domain.from_unit((i + 0.5) / 700) for i in range(700)]
    assert [hits.count(value) for value in domain.grid()] == [100] * 7


def test_log_int_is_drawn_in_proportion_to_its_bin_on_the_log_scale():
    """P(k) = ln((k + 1) / k) / ln(9 / 1) for k in 1..8."""
    n = 100_000
    hits = np.bincount([Int(1, 8, log=True).from_unit((i + 0.5) / n) for i in range(n)])[1:]
    assert hits / n == pytest.approx([math.log((k + 1) / k) / math.log(9) for k in range(1, 9)], abs=1e-4)


def test_log_float_is_uniform_in_the_logarithm():
    domain = Float(1e-6, 1, log=True)
    assert [domain.from_unit(i / 6) for i in range(7)] == pytest.approx([10.0 ** (i - 6) for i in range(7)], rel=1e-12)


def test_step_gives_the_numbers_that_people_would_type():
    assert Float(0, 0.9, step=0.3).grid() == [0.0, 0.3, 0.6, 0.9]
    assert Int(2, 11, step=3).grid() == [2, 5, 8, 11]


def test_log_spaced_finite_range():
    assert Float(1e-4, 1, log=True, n=9).grid() == pytest.approx([10 ** (-4 + i / 2) for i in range(9)])
    assert Float(1e-4, 1, log=True, n=5).grid() == [1e-4, 1e-3, 1e-2, 1e-1, 1.0]
    assert Int(1, 100, log=True, n=5).grid() == [1, 3, 10, 32, 100]


def test_powers_of_two():
    assert Int(8, 128, base=2).grid() == [8, 16, 32, 64, 128]
    assert Int(8, 128, base=2).midpoint == 32
    assert not Int(8, 128, base=2).contains(24)


def test_nearest_ordinal_keeps_distances():
    """1, 2, 100: mean gap 49.5, so the scale is [-23.75, 124.75], 148.5 long."""
    domain = Ordinal([1, 2, 100], encoding="nearest")
    assert [domain.to_unit(v) for v in (1, 2, 100)] == pytest.approx([24.75 / 148.5, 25.75 / 148.5, 123.75 / 148.5])
    assert domain.from_unit((51 + 23.75) / 148.5 - 1e-9) == 2  # 51 is half-way between 2 and 100
    assert domain.from_unit((51 + 23.75) / 148.5 + 1e-9) == 100


def test_evenly_spaced_nearest_ordinal_is_an_equal_one():
    assert [Ordinal([1, 2, 3, 4], encoding="nearest").to_unit(v) for v in (1, 2, 3, 4)] == [0.125, 0.375, 0.625, 0.875]
    log = Ordinal([1, 10, 100, 1000], encoding="nearest", log=True)
    assert [log.to_unit(v) for v in (1, 10, 100, 1000)] == pytest.approx([0.125, 0.375, 0.625, 0.875])


def test_grid_of_a_continuous_range_takes_midpoints():
    assert Float(0, 1).grid(4) == [0.125, 0.375, 0.625, 0.875]
    assert Float(1e-4, 1, log=True).grid(2) == pytest.approx([1e-3, 1e-1])


def test_grid_of_a_finite_range_is_exact_when_the_points_suffice():
    assert Int(1, 3).grid(5) == [1, 2, 3]
    assert Int(1, 9).grid(3) == [2, 5, 8]


def test_grid_of_a_continuous_range_needs_a_number():
    assert "n_points" in problems(Float(0, 1).grid)[0]


@pytest.mark.parametrize(
    ("domain", "value"),
    [
        (Int(0, 3), True),
        (Int(0, 3), 1.0),
        (Int(0, 3), "1"),
        (Int(0, 3), 4),
        (Float(0, 3), math.nan),
        (Float(0, 3), False),
        (Float(0, 3), 3.1),
        (Float(0, 1, step=0.25), 0.3),
        (Choice([1, 2]), True),
        (Choice([True, False]), 1),
        (Constant(1), True),
    ],
    ids=str,
)
def test_values_outside_or_of_another_type_are_not_contained(domain, value):
    assert not domain.contains(value)


def test_true_and_one_are_different_choices():
    domain = Choice([True, 1])
    assert (domain.to_unit(True), domain.to_unit(1)) == (0.25, 0.75)


@pytest.mark.parametrize(
    ("domain", "expected"),
    [
        (Float(1e-6, 1, log=True), "log-uniform [1e-6, 1]"),
        (Float(0, 0.99), "uniform [0, 0.99]"),
        (Int(4, 1024), "int [4, 1024]"),
        (Int(8, 128, log=True), "log-uniform int [8, 128]"),
        (Int(2, 20, step=3), "int [2, 20], step 3"),
        (Choice(["relu", "tanh"]), "one of relu, tanh"),
        (Ordinal([1, 2, 4]), "one of 1 < 2 < 4"),
        (Scipy("norm", {"loc": 0, "scale": 1}), "norm(loc=0, scale=1)"),
        (Constant(0.1), "always 0.1"),
    ],
    ids=str,
)
def test_text_for_people(domain, expected):
    assert str(domain) == expected


@pytest.mark.parametrize(
    ("build", "arguments", "expected"),
    [
        (Float, {"low": 0, "high": 1, "log": True}, "low: must be positive with log, got 0"),
        (Float, {"low": 2, "high": 1}, "low: must be less than high, got low 2 and high 1"),
        (Float, {"low": 1, "high": 1}, "write the value itself for a constant"),
        (Float, {"low": "1e-5", "high": 1}, "low: must be a number, got the string '1e-5'"),
        (Float, {"low": 0, "high": math.inf}, "high: must be a number, got inf"),
        (Float, {"low": 0, "high": 1, "step": 0}, "step: must be a number above 0, got 0"),
        (Float, {"low": 0, "high": 1, "step": 0.3}, "set high to 0.9"),
        (Float, {"low": 1, "high": 9, "step": 2, "log": True}, "can't be combined"),
        (Float, {"low": 0, "high": 1, "n": 1}, "n: must be an integer from 2 to 100000, got 1"),
        (Float, {"low": 0, "high": 1, "log": "yes"}, "log: must be true or false, got 'yes'"),
        (Int, {"low": 1, "high": 3.5}, "high: must be an integer, got 3.5"),
        (Int, {"low": True, "high": 3}, "low: must be a number, got True"),
        (Int, {"low": 1, "high": 8, "step": 3}, "set high to 7"),
        (Int, {"low": 8, "high": 100, "base": 2}, "set high to 128"),
        (Int, {"low": 1, "high": 3, "n": 4}, "n: there are no 4 integers from 1 to 3"),
        (Int, {"low": 1, "high": 9, "n": 9, "log": True}, "coincide"),
        (Choice, {"choices": []}, "choices: must not be empty"),
        (Choice, {"choices": ["a", "b", "a"]}, "choices: 'a' is listed more than once"),
        (Choice, {"choices": "relu"}, "choices: must be a list, got 'relu'"),
        (Choice, {"choices": [[1], 2]}, "choices: [1] is neither"),
        (Ordinal, {"choices": [2, 1], "encoding": "nearest"}, "needs increasing numbers"),
        (Ordinal, {"choices": [0, 1], "encoding": "nearest", "log": True}, "must be positive with log, got 0"),
        (Ordinal, {"choices": [0, 1], "encoding": "nearst"}, "did you mean 'nearest'?"),
        (Scipy, {"distribution": "nrom", "parameters": {}}, "did you mean 'norm'?"),
        (Scipy, {"distribution": "norm", "parameters": {"scal": 1}}, "did you mean 'scale'?"),
        (Scipy, {"distribution": "beta", "parameters": {"a": 1}}, "b: missing; beta needs it"),
        (Scipy, {"distribution": "norm", "parameters": {"scale": -1}}, "norm is not defined for scale -1"),
    ],
    ids=str,
)
def test_wrong_arguments_are_refused_with_what_to_do(build, arguments, expected):
    assert expected in "\n".join(problems(build, **arguments))


def test_all_problems_of_a_domain_are_told_at_once():
    assert len(problems(Float, low="0", high="1", log=2, step=-1)) == 4


def test_scipy_encodes_by_quantiles():
    domain = Scipy("norm", {"loc": 2, "scale": 3})
    assert domain.midpoint == pytest.approx(2)
    assert domain.to_unit(2 + 3 * 1.959963984540054) == pytest.approx(0.975)
    assert domain.contains(-1e9)
    assert domain.size is None


def test_scipy_stays_finite_at_the_ends():
    domain = Scipy("norm", {})
    assert math.isfinite(domain.from_unit(0.0))
    assert math.isfinite(domain.from_unit(1.0))


def test_scipy_discrete_values_are_ints():
    domain = Scipy("randint", {"low": 2, "high": 6})
    assert domain.grid() == [2, 3, 4, 5]
    assert [type(v) for v in domain.grid()] == [int] * 4
    assert [domain.from_unit(domain.to_unit(v)) for v in domain.grid()] == [2, 3, 4, 5]
    assert [domain.from_unit((i + 0.5) / 4) for i in range(4)] == [2, 3, 4, 5]


def test_the_extremes_of_a_long_list_are_its_first_twenty_values():
    assert list(Choice(range(100)).extremes) == list(range(20))


def test_the_extremes_of_a_range_are_its_ends():
    assert list(Int(-3, 9).extremes) == [-3, 9]
    assert list(Int(8, 128, base=2).extremes) == [8, 128]
    assert list(Float(-1.0, 3.0).extremes) == pytest.approx([-1.0, 3.0])


@pytest.mark.parametrize("loc", [0, 5])
def test_a_quantile_of_a_discrete_law_is_the_first_value_whose_probability_is_as_large(loc):
    # Two tosses: P(X <= 0) = 1/4, P(X <= 1) = 3/4.
    domain = Scipy("binom", {"n": 2, "p": 0.5, "loc": loc})
    drawn = [domain.from_unit(u) - loc for u in (0.0, 0.2, 0.25, 0.26, 0.75, 0.76, 1.0)]
    assert drawn == [0, 0, 0, 1, 1, 2, 2]


def test_many_draws_of_a_discrete_law_look_its_values_up():
    domains = [Scipy("binom", {"n": 30, "p": 0.5}), Scipy("poisson", {"mu": 3.0}), Scipy("geom", {"p": 0.3})]
    for domain in domains:
        domain.from_unit(0.5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("scipy.stats._distn_infrastructure.rv_discrete.ppf", lambda *_: pytest.fail("searched for"))
        rng = np.random.default_rng(0)
        means = [np.mean([domain.from_unit(rng.random()) for _ in range(2000)]) for domain in domains]
    assert means == pytest.approx([15, 3, 1 / 0.3], rel=0.05)


def test_values_beyond_those_that_are_looked_up_are_quantiles_too():
    # Far from 0 a Poisson law is a normal one: the median is its mean.
    assert Scipy("poisson", {"mu": 1e6}).from_unit(0.5) == 1_000_000
    assert Scipy("dlaplace", {"a": 0.8}).from_unit(0.5) == 0


@pytest.mark.parametrize(
    ("domain", "midpoint"),
    [
        (Choice(["relu"]), "relu"),
        (Choice(["relu", "tanh"]), "tanh"),
        (Choice(["relu", "tanh", "gelu"]), "tanh"),
        (Ordinal([16, 32, 64]), 32),
        (Ordinal([16, 32, 64, 128]), 64),
        (Ordinal([1, 2, 100], encoding="nearest"), 2),  # 50.5 is nearer to 2 than to 100
        (Scipy("expon", {}), math.log(2)),
    ],
)
def test_the_mid_point_of_options_is_the_middle_one(domain, midpoint):
    assert domain.midpoint == (pytest.approx(midpoint) if isinstance(midpoint, float) else midpoint)
