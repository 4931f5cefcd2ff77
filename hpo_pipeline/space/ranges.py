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

from hpo_pipeline.errors import ConfigError
from hpo_pipeline.space.domain import MAX_FLOAT, Domain, bin_of, is_integer, is_number, text

MAX_INT = 2**53  # the largest that floats can count up to
MAX_LISTED = 100_000
"""A finite range has at most this many values."""


def _bounds_problems(low: Any, high: Any, log: Any, integer: bool) -> list[str]:
    problems = []
    for key, value in (("low", low), ("high", high)):
        if isinstance(value, str):
            hint = "write it with a point, 1.0e-5, and without quotes" if not integer else "write it without quotes"
            problems.append(f"{key}: must be a number, got the string {value!r}; {hint}")
        elif not is_number(value):
            problems.append(f"{key}: must be a number, got {value!r}")
        elif integer and not is_integer(value):
            problems.append(f"{key}: must be an integer, got {value!r}; use type float for real numbers")
        elif abs(value) > (limit := MAX_INT if integer else MAX_FLOAT):
            problems.append(f"{key}: is too large, got {value!r}; the most is {limit:g}")
    if not isinstance(log, bool):
        problems.append(f"log: must be true or false, got {log!r}")
    if problems:
        return problems
    if low == high:
        problems.append(f"low: equals high ({low!r}); write the value itself for a constant")
    elif low > high:
        problems.append(f"low: must be less than high, got low {low!r} and high {high!r}")
    if log and low <= 0:
        problems.append(f"low: must be positive with log, got {low!r}; raise it, or leave log out")
    return problems


def _number_problems(key: str, value: Any, least: int | None, integer: bool) -> list[str]:
    """`value` (None: not given) must be a number, more than 0 or at least `least`."""
    if value is None:
        return []
    kind = "an integer" if integer else "a number"
    if not (is_integer(value) if integer else is_number(value)) or value <= 0 or (least and value < least):
        bound = f"of at least {least}" if least else "above 0"
        return [f"{key}: must be {kind} {bound}, got {value!r}"]
    return []


def _exclusive_problems(**given: Any) -> list[str]:
    keys = [key for key, value in given.items() if value not in (None, False)]
    return [f"{keys[1]}: can't be combined with {keys[0]}; leave one of them out"] if len(keys) > 1 else []


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

    Raises:
        ConfigError: an argument is out of range, or two exclude each other.
    """

    low: float
    high: float
    log: bool = False
    step: float | None = None
    n: int | None = None
    _listed: tuple[float, ...] | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        problems = _bounds_problems(self.low, self.high, self.log, integer=False)
        problems += _number_problems("step", self.step, None, integer=False)
        problems += _number_problems("n", self.n, 2, integer=True)
        problems += _exclusive_problems(log=self.log is True, step=self.step) + _exclusive_problems(
            step=self.step, n=self.n
        )
        if problems:
            raise ConfigError(problems)
        object.__setattr__(self, "low", float(self.low))
        object.__setattr__(self, "high", float(self.high))
        object.__setattr__(self, "_listed", self._list())

    def _list(self) -> tuple[float, ...] | None:
        count = self.n
        if self.step is not None:
            gaps = (self.high - self.low) / self.step
            if gaps > 2 * MAX_LISTED:
                raise ConfigError(
                    f"step: {text(self.step)} gives {text(gaps)} values; leave it out for all real numbers"
                )
            if round(gaps) < 1 or not math.isclose(gaps, round(gaps), rel_tol=1e-9):
                whole = text(float(f"{self.low + max(math.floor(gaps), 1) * self.step:.12g}"))
                raise ConfigError(
                    f"step: {text(self.step)} doesn't lead from low {text(self.low)} to high {text(self.high)}; "
                    f"set high to {whole}, or change step"
                )
            count = round(gaps) + 1
        if count is not None and count > MAX_LISTED:
            raise ConfigError(f"{'n' if self.n else 'step'}: gives {count} values; leave it out for all real numbers")
        if count is None:
            return None
        listed = tuple(_spaced(self.low, self.high, self.log, count))
        if any(a >= b for a, b in pairwise(listed)):
            raise ConfigError(f"{'n' if self.n else 'step'}: {count} values coincide in 15 digits; widen the range")
        return listed

    @property
    def size(self) -> int | None:
        return None if self._listed is None else len(self._listed)

    def contains(self, value: Any) -> bool:
        if not is_number(value) or not self.low <= value <= self.high:
            return False
        if self._listed is None:
            return True
        index = self._index(value)
        place = _position(value, self.low, self.high, self.log) * (len(self._listed) - 1)
        return self._listed[index] == value or abs(place - index) < 1e-6

    def _index(self, value: float) -> int:
        """Which of the listed values is nearest."""
        assert self._listed is not None  # for the type checker; callers have looked
        return round(_position(value, self.low, self.high, self.log) * (len(self._listed) - 1))

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

    Raises:
        ConfigError: an argument is out of range, or two exclude each other.
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
        problems += _number_problems("step", self.step, None, integer=True)
        problems += _number_problems("n", self.n, 2, integer=True) + _number_problems("base", self.base, 2, True)
        problems += _exclusive_problems(log=self.log is True, step=self.step)
        problems += _exclusive_problems(step=self.step, n=self.n, base=self.base)
        if self.base is not None and not problems and self.low <= 0:
            problems.append(f"low: must be positive with base, got {self.low!r}")
        if problems:
            raise ConfigError(problems)
        object.__setattr__(self, "_listed", self._list())

    def _list(self) -> tuple[int, ...] | None:
        gap = self.step or 1
        if (self.high - self.low) % gap:
            whole = self.low + max((self.high - self.low) // gap, 1) * gap
            raise ConfigError(
                f"step: {gap} doesn't lead from low {self.low} to high {self.high}; set high to {whole}, or change step"
            )
        if self.n is not None:
            if self.n > self.high - self.low + 1 or self.n > MAX_LISTED:
                raise ConfigError(f"n: there are no {self.n} integers from {self.low} to {self.high}; lower it")
            listed = [round(x) for x in _spaced(self.low, self.high, self.log, self.n)]
            if any(a >= b for a, b in pairwise(listed)):
                raise ConfigError(f"n: {self.n} values coincide when rounded to integers ({listed}); lower it")
            return tuple(listed)
        if self.base is not None:
            powers = [self.low]
            while powers[-1] < self.high:
                powers.append(powers[-1] * self.base)
            if powers[-1] != self.high:
                raise ConfigError(
                    f"base: {self.base} doesn't lead from low {self.low} to high {self.high}; "
                    f"set high to {powers[-1]}, or change base"
                )
            return tuple(powers)
        return None

    @property
    def size(self) -> int:
        return len(self._listed) if self._listed else (self.high - self.low) // (self.step or 1) + 1

    def contains(self, value: Any) -> bool:
        if not is_integer(value):
            return False
        return value in self.values()

    def to_unit(self, value: Any) -> float:
        if self._listed and value in self._listed:
            # by index: rounding may have moved the value out of its bin
            return self._listed.index(value) / (len(self._listed) - 1)
        return _position(value, self.low, self.high, self.log)

    def from_unit(self, u: float) -> int:
        u = min(max(float(u), 0.0), 1.0)
        if self.log and not self._listed:
            value = math.pow(self.low, 1 - u) * math.pow(self.high + 1, u)
            nearest = round(value)
            below = nearest if nearest - value <= 1e-12 * value else math.floor(value)  # 1e-12: k itself is in k's bin
            return min(max(below, self.low), self.high)
        return self.values()[bin_of(u, self.size)]

    def values(self) -> Sequence[int]:
        return self._listed or range(self.low, self.high + 1, self.step or 1)

    def __str__(self) -> str:
        return _range_text("uniform int" if self.log else "int", self)
