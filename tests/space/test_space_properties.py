"""What holds for every domain, whatever its bounds: encoding and decoding meet, and only ConfigError is raised."""

from __future__ import annotations

import itertools
import math

import pytest

pytest.importorskip("hypothesis")

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from hpo_pipeline.errors import ConfigError
from hpo_pipeline.space import Choice, Domain, Float, Int, Ordinal

UNITS = st.floats(0.0, 1.0)
NUMBERS = st.floats(-1e300, 1e300)
POSITIVE = st.floats(5e-324, 1e300)
INTEGERS = st.integers(-(2**53), 2**53)
ANYTHING = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3), st.lists(st.integers(), max_size=2)
)

thorough = settings(max_examples=300, deadline=None, derandomize=True)


def between(a, b):
    assume(a != b)
    return min(a, b), max(a, b)


def check(domain: Domain, u: float, tolerance: float) -> None:
    value = domain.from_unit(u)
    assert domain.contains(value)
    place = domain.to_unit(value)
    assert 0 <= place <= 1
    back = domain.from_unit(place)
    assert domain.contains(back)
    assert abs(back - value) <= tolerance * abs(value)


@thorough
@given(POSITIVE, POSITIVE, UNITS)
@example(1e-300, 1e300, 0.5)
@example(5e-324, 1e300, 0.25)
@example(5e-324, 1e-323, 0.5)
@example(1.0, math.nextafter(1.0, 2.0), 0.5)
def test_log_floats_come_back(a, b, u):
    low, high = between(a, b)
    domain = Float(low, high, log=True)
    check(domain, u, 1.0 if low < 1e-290 else 1e-11)  # the least floats have a digit or two
    assert (domain.from_unit(0), domain.from_unit(1)) == (low, high)
    assert (domain.to_unit(low), domain.to_unit(high)) == (0, 1)


def test_the_mid_point_of_the_widest_log_range_is_one():
    assert Float(1e-300, 1e300, log=True).midpoint == pytest.approx(1.0)
    assert Float(1e-300, 1e300, log=True).to_unit(1.0) == pytest.approx(0.5)
    assert Float(1e-300, 1e300, log=True).to_unit(1e-150) == pytest.approx(0.25)


@thorough
@given(NUMBERS, NUMBERS, UNITS)
@example(-1e300, 1e300, 0.5)
def test_floats_come_back(a, b, u):
    low, high = between(a, b)
    domain = Float(low, high)
    value = domain.from_unit(u)
    assert domain.contains(value)
    back = domain.from_unit(domain.to_unit(value))
    # To rounding: of the range, and of the values themselves where the range is narrow.
    assert abs(back - value) <= 4e-16 * (high - low) + 4 * math.ulp(max(abs(low), abs(high)))


@thorough
@given(POSITIVE, POSITIVE, st.booleans(), st.integers(2, 50))
@example(1.0, 1.0 + 1e-15, False, 3)
@example(1e-15, 1e-13, True, 3)
def test_each_of_some_floats_comes_back_exactly_or_they_are_refused(a, b, log, n):
    low, high = between(a, b)
    try:
        domain = Float(low, high, log=log, n=n)
    except ConfigError as error:
        assert "coincide" in error.lines[0]  # noqa: PT017
        return
    listed = domain.values()
    assert len(set(listed)) == n == domain.size
    assert [domain.from_unit(domain.to_unit(value)) for value in listed] == list(listed)
    assert all(map(domain.contains, listed))
    gaps = [(x + y) / 2 for x, y in itertools.pairwise(listed)]
    if listed[0] > 1e-290 and listed[1] - listed[0] > 1e-9 * listed[1]:
        assert not domain.contains(gaps[0])


@thorough
@given(INTEGERS, INTEGERS, UNITS)
@example(-(2**53), 2**53, 0.3)
@example(0, 2**53, 0.999999999)
def test_integers_come_back(a, b, u):
    low, high = between(a, b)
    domain = Int(low, high)
    value = domain.from_unit(u)
    assert domain.contains(value)
    back = domain.from_unit(domain.to_unit(value))
    assert abs(back - value) <= (0 if high - low < 10**12 else (high - low) * 2**-51)


@thorough
@given(st.integers(1, 2**53), st.integers(1, 2**53), UNITS)
@example(1, 2**53, 1.0)
@example(2**53 - 1, 2**53, 0.5)
@example(1, 10**12, 0.999)
@example(1, 51_325_746_643, 0.998046875)
@example(1, 10**9, 1 - 2**-36)  # the last but one
def test_log_integers_come_back(a, b, u):
    low, high = between(a, b)
    domain = Int(low, high, log=True)
    value = domain.from_unit(u)
    assert type(value) is int
    assert domain.contains(value)
    back = domain.from_unit(domain.to_unit(value))
    assert domain.contains(back)
    assert abs(back - value) <= (0 if high <= 10**11 else 1e-11 * value)
    assert (domain.from_unit(0), domain.from_unit(1)) == (low, high)


@thorough
@given(
    st.lists(st.one_of(NUMBERS, st.integers(-(10**400), 10**400)), min_size=1, max_size=6, unique=True), st.booleans()
)
def test_each_ordinal_comes_back_or_is_refused(choices, log):
    try:
        domain = Ordinal(sorted(choices), encoding="nearest", log=log)
    except ConfigError:
        return
    assume(len({domain.to_unit(value) for value in domain.values()}) == len(choices))  # else floats can't tell
    assert [domain.from_unit(domain.to_unit(value)) for value in domain.values()] == list(domain.values())


@thorough
@given(
    st.sampled_from([Float, Int, Choice, Ordinal]),
    st.dictionaries(st.sampled_from(["low", "high", "log", "step", "n", "base", "choices", "encoding"]), ANYTHING),
)
@example(Float, {"low": 0.0, "high": 1.0, "step": 5e-324})
@example(Float, {"low": -1e300, "high": 1e300, "step": 1e-300})
@example(Int, {"low": 1, "high": 2**53, "log": True, "n": 7})
@example(Ordinal, {"choices": [1, 10**400], "encoding": "nearest"})
@example(Ordinal, {"choices": [-1.7e308, 1.7e308], "encoding": "nearest"})
def test_no_arguments_bring_anything_but_a_line(kind, arguments):
    fields = {name: value for name, value in arguments.items() if name in kind.__dataclass_fields__}
    for name in ("low", "high") if kind in (Float, Int) else ("choices",):
        fields.setdefault(name, 0)
    try:
        domain = kind(**fields)
    except ConfigError as error:
        assert error.lines  # noqa: PT017
        return
    assert domain.contains(domain.midpoint)
    assert all(map(domain.contains, domain.extremes))
    assert 0 <= domain.to_unit(domain.midpoint) <= 1
    assert str(domain)
