"""Ranges of numbers: Float and Int. Bounds are inclusive, and lie at 0 and 1 of the unit interval.

A value's encoding is its position on its scale: 10 in log [1, 1e4] is at 0.25. The other way, each of a finite
range's n values has a bin of the unit interval: equally wide ones, save for log Int without `n` or `base`, where the
bin of k is as wide as [k, k + 1) on the log scale. Both meet: a value's encoding always lies in its bin.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from hpo_pipeline.checks import boolean_problems, integer_problems, is_integer, is_number, value_problems
from hpo_pipeline.errors import ConfigError, Problem
from hpo_pipeline.space.domain import MAX_FLOAT, Domain, bin_of, text

MAX_INT = 2**53  # the largest that floats can count up to
MAX_LISTED = 100_000
"""A finite range has at most this many values."""


def _bounds_problems(low: Any, high: Any, log: Any, integer: bool) -> list[Problem]:
    problems = []
    for key, value in (("low", low), ("high", high)):
        if isinstance(value, str):
            hint = "write it with a point, 1.0e-5, and without quotes" if not integer else "write it without quotes"
            problems.append(Problem(key, f"must be a number, got the string {value!r}; {hint}"))
        elif not is_number(value):
            problems.append(Problem(key, "must be a number", value))
        elif integer and not is_integer(value):
            problems.append(Problem(key, f"must be an integer, got {value!r}; use type float for real numbers"))
        elif abs(value) > (limit := MAX_INT if integer else MAX_FLOAT):
            problems.append(Problem(key, f"is too large, got {value!r}; the most is {limit:g}"))
    if problems := [*problems, *boolean_problems(log=log)]:
        return problems
    if low == high:
        problems.append(Problem("low", f"equals high ({low!r}); write the value itself for a constant"))
    elif low > high:
        problems.append(Problem("low", f"must be less than high, got low {low!r} and high {high!r}"))
    if log and low <= 0:
        problems.append(Problem("low", f"must be positive with log, got {low!r}; raise it, or leave log out"))
    return problems


def _given(**values: Any) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def _exclusive_problems(**given: Any) -> list[Problem]:
    keys = [key for key, value in given.items() if value not in (None, False)]
    return [Problem(keys[1], f"can't be combined with {keys[0]}; leave one of them out")] if len(keys) > 1 else []


def _spaced(low: float, high: float, log: bool, n: int) -> list[float]:
    """`n` evenly spaced numbers from `low` to `high`, rounded to 15 digits so that they look as people type them."""
    last = n - 1
    inner = [
        low ** (1 - i / last) * high ** (i / last) if log else (low * (last - i) + high * i) / last
        for i in range(1, last)
    ]
    return [low, *(float(f"{x:.15g}") for x in inner), high]


def _position(value: float, low: float, high: float, log: bool) -> float:
    u = _log_ratio(value, low) / _log_ratio(high, low) if log else (value - low) / (high - low)
    return min(max(u, 0.0), 1.0)


def _log_ratio(a: float, b: float) -> float:
    """log(a / b) of positive numbers, also where the ratio is larger than any float."""
    ratio = a / b
    return math.log(ratio) if ratio < math.inf else math.log(a) - math.log(b)


def _range_text(name: str, domain: Float | Int) -> str:
    extra = [
        f", step {text(domain.step)}" if domain.step is not None else "",
        f", {domain.n} values" if domain.n is not None else "",
        f", base {domain.base}" if isinstance(domain, Int) and domain.base is not None else "",
    ]
    return f"{'log-' if domain.log else ''}{name} [{text(domain.low)}, {text(domain.high)}]{''.join(extra)}"


@dataclass(frozen=True, slots=True)
class Float(Domain):
    """Real numbers from `low` to `high`; with `step` or `n`, finitely many of them, evenly spaced.

    Attributes:
        log: evenly spread in the logarithm.
        step: distance of neighbours; leads from `low` to `high` exactly. Not with `log`.
        n: number of values, the bounds included; on the log scale with `log`.
    """

    low: float
    high: float
    log: bool = False
    step: float | None = None
    n: int | None = None
    _listed: tuple[float, ...] | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        problems = _bounds_problems(self.low, self.high, self.log, integer=False)
        steps = _given(step=self.step)
        problems += value_problems("a number above 0", lambda value: is_number(value) and value > 0, **steps)
        problems += integer_problems(least=2, most=MAX_LISTED, **_given(n=self.n))
        problems += _exclusive_problems(log=self.log is True, step=self.step) + _exclusive_problems(
            step=self.step, n=self.n
        )
        if problems:
            raise ConfigError(problems)
        object.__setattr__(self, "low", float(self.low))
        object.__setattr__(self, "high", float(self.high))
        object.__setattr__(self, "_listed", self._list())

    def _list(self) -> tuple[float, ...] | None:
        key, count = "n", self.n
        if self.step is not None:
            gaps = (self.high - self.low) / self.step
            if gaps + 0.5 > MAX_LISTED:  # it may be infinite
                what = f"{text(self.step)} gives {text(gaps)} values; leave it out for all real numbers"
                raise ConfigError(Problem("step", what))
            if round(gaps) < 1 or not math.isclose(gaps, round(gaps), rel_tol=1e-9):
                whole = text(float(f"{self.low + max(math.floor(gaps), 1) * self.step:.12g}"))
                what = f"{text(self.step)} doesn't lead from low {text(self.low)} to high {text(self.high)}"
                raise ConfigError(Problem("step", f"{what}; set high to {whole}, or change step"))
            key, count = "step", round(gaps) + 1
        if count is None:
            return None
        listed = tuple(_spaced(self.low, self.high, self.log, count))
        if any(a >= b for a, b in pairwise(listed)):
            what = f"{count} values coincide in 15 digits; widen the range"
            raise ConfigError(Problem(key, what))
        return listed

    def contains(self, value: Any) -> bool:
        if not is_number(value) or not self.low <= value <= self.high:
            return False
        if self._listed is None:
            return True
        place = self.to_unit(value) * (len(self._listed) - 1)
        return self._listed[round(place)] == value or abs(place - round(place)) < 1e-6

    def to_unit(self, value: Any) -> float:
        return _position(value, self.low, self.high, self.log)

    def from_unit(self, u: float) -> float:
        u = min(max(float(u), 0.0), 1.0)
        if self._listed is not None:
            return self._listed[bin_of(u, len(self._listed))]
        value = self.low ** (1 - u) * self.high**u if self.log else self.low + u * (self.high - self.low)
        return min(max(value, self.low), self.high)

    def values(self) -> Sequence[float]:
        return self._listed or ()

    def __str__(self) -> str:
        return _range_text("uniform", self)


@dataclass(frozen=True, slots=True)
class Int(Domain):
    """Integers from `low` to `high`, or some of them.

    Attributes:
        log: evenly spread in the logarithm.
        step: distance of neighbours (default 1); leads from `low` to `high` exactly. Not with `log`.
        n: number of values, the bounds included, evenly spaced (on the log scale with `log`) and rounded.
        base: the values are low, low * base, low * base**2, ..., high: 8..128 with base 2 is 8, 16, 32, 64, 128.
            They are evenly spread in the logarithm, so `log` has nothing to add.
    """

    low: int
    high: int
    log: bool = False
    step: int | None = None
    n: int | None = None
    base: int | None = None
    _listed: tuple[int, ...] | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        problems = _bounds_problems(self.low, self.high, self.log, integer=True)
        problems += value_problems("an integer above 0", lambda value: is_integer(value, 1), **_given(step=self.step))
        problems += integer_problems(least=2, most=MAX_LISTED, **_given(n=self.n))
        problems += integer_problems(least=2, **_given(base=self.base))
        problems += _exclusive_problems(log=self.log is True, step=self.step)
        problems += _exclusive_problems(step=self.step, n=self.n, base=self.base)
        if self.base is not None and not problems and self.low <= 0:
            problems.append(Problem("low", "must be positive with base", self.low))
        if problems:
            raise ConfigError(problems)
        object.__setattr__(self, "_listed", self._list())

    def _list(self) -> tuple[int, ...] | None:
        gap = self.step or 1
        if (self.high - self.low) % gap:
            whole = self.low + max((self.high - self.low) // gap, 1) * gap
            what = f"{gap} doesn't lead from low {self.low} to high {self.high}; set high to {whole}, or change step"
            raise ConfigError(Problem("step", what))
        if self.n is not None:
            if self.n > self.high - self.low + 1:
                what = f"there are no {self.n} integers from {self.low} to {self.high}; lower it"
                raise ConfigError(Problem("n", what))
            listed = [round(x) for x in _spaced(self.low, self.high, self.log, self.n)]
            if any(a >= b for a, b in pairwise(listed)):
                what = f"{self.n} values coincide when rounded to integers ({listed}); lower it"
                raise ConfigError(Problem("n", what))
            return tuple(listed)
        if self.base is not None:
            powers = [self.low]
            while powers[-1] < self.high:
                powers.append(powers[-1] * self.base)
            if powers[-1] != self.high:
                what = f"{self.base} doesn't lead from low {self.low} to high {self.high}"
                raise ConfigError(Problem("base", f"{what}; set high to {powers[-1]}, or change base"))
            return tuple(powers)
        return None

    def contains(self, value: Any) -> bool:
        return is_integer(value) and value in self.values()

    def to_unit(self, value: Any) -> float:
        if self._listed and value in self._listed:
            # by index: rounding may have moved the value out of its bin
            return self._listed.index(value) / (len(self._listed) - 1)
        return _position(value, self.low, self.high, self.log)

    def from_unit(self, u: float) -> int:
        u = min(max(float(u), 0.0), 1.0)
        if self.log and not self._listed:
            value = math.pow(self.low, 1 - u) * math.pow(self.high + 1, u)
            nearest = min(max(round(value), self.low), self.high)
            # A value's own place is in its bin, though rounding may put it just beside.
            for k in (nearest, nearest - 1, nearest + 1):
                if self.low <= k <= self.high and self.to_unit(k) == u:
                    return k
            below = nearest if nearest - value <= 1e-12 * value else math.floor(value)
            return min(max(below, self.low), self.high)
        return self.values()[bin_of(u, len(self.values()))]

    def values(self) -> Sequence[int]:
        return self._listed or range(self.low, self.high + 1, self.step or 1)

    def borders(self) -> Sequence[float]:
        if not self.log or self._listed:
            return Domain.borders(self)  # no super() in a class with slots
        return [_position(k, self.low, self.high + 1, True) for k in range(self.low + 1, self.high + 1)]

    def __str__(self) -> str:
        return _range_text("uniform int" if self.log else "int", self)
