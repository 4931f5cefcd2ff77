"""Hyperparameters as positions in [0, 1] on their own scales, with labels for people.

One axis a path, in the order of the search space. A path that is declared under several conditions has one axis that
covers all of its domains; where the search space isn't known, or says otherwise than the trials, the trials' own values
make the axis.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hpo_pipeline.space import Choice, Constant, Float, Int, Ordinal, SearchSpace
from hpo_pipeline.space.domain import Domain, identity
from hpo_pipeline.trial import Config, Value

Floats = npt.NDArray[np.float64]

LOG_FROM = 100.0
"""Positive numbers without a search space lie on a logarithmic axis if they differ by this factor."""
MOST_TICKS = 8
_MOST_LABEL = 40


@dataclass(frozen=True)
class Axis:
    """One hyperparameter.

    Attributes:
        path: where it stands in the config.
        low, high, log: of a number; 0 and 1 else.
        values: of a choice or an ordinal, in their order; empty of a number.
        marks: the numbers that there are, if they are few.
        is_ordered: whether neighbours are like each other: all but a choice.
        is_conditional: whether some trials don't have it.
    """

    path: str
    low: float = 0.0
    high: float = 1.0
    log: bool = False
    values: tuple[Value, ...] = ()
    is_ordered: bool = True
    is_conditional: bool = False
    marks: tuple[float, ...] = ()

    def position(self, value: Value) -> float:
        """Where a value lies; NaN of one that the axis hasn't."""
        if self.values:
            places = [identity(each) for each in self.values]
            wanted = identity(value)
            return (places.index(wanted) + 0.5) / len(places) if wanted in places else math.nan
        if isinstance(value, (bool, str)) or value is None or (self.log and value <= 0) or not math.isfinite(value):
            return math.nan
        scale = math.log if self.log else float
        u = (scale(value) - scale(self.low)) / (scale(self.high) - scale(self.low))
        return min(max(u, 0.0), 1.0)

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """(position, label), ascending; of very many values some."""
        if self.values:
            shown = sorted({round(i) for i in np.linspace(0, len(self.values) - 1, min(len(self.values), 12)).tolist()})
            return [((i + 0.5) / len(self.values), label(self.values[i])) for i in shown]
        round_ones = _decades(self.low, self.high) if self.log else _round_numbers(self.low, self.high)
        numbers = self.marks or round_ones
        return [(self.position(number), label(number)) for number in numbers]


def label(value: Value) -> str:
    """A value on an axis: `1e-6`, `0.25`, `relu`."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    if isinstance(value, (int, float)):
        return f"{value:.6g}".replace("e-0", "e-").replace("e+0", "e").replace("e+", "e")
    return value if len(value) <= _MOST_LABEL else value[: _MOST_LABEL - 1] + "…"


def axes_of(space: SearchSpace | None, configs: Sequence[Config]) -> list[Axis]:
    """An axis for each hyperparameter that was tried and has more than one value, among what can be or what was tried.

    Args:
        space: None if it isn't known.
        configs: what was tried.
    """
    domains: dict[str, list[Domain]] = {}
    for parameter in space.parameters if space else ():
        domains.setdefault(parameter.path, []).append(parameter.domain)
    paths = dict.fromkeys([*domains, *(path for config in configs for path in config)])
    found = (_axis(path, domains.get(path, []), configs) for path in paths)
    return [axis for axis in found if axis is not None]


def positions(axes: Iterable[Axis], configs: Sequence[Config]) -> Floats:
    """`(n, d)`: where each configuration lies; NaN where it doesn't have the hyperparameter."""
    columns = []
    for axis in axes:
        known: dict[tuple[bool, Value], float] = {}
        column = []
        for config in configs:
            if axis.path not in config:
                column.append(math.nan)
                continue
            key = identity(config[axis.path])
            if key not in known:
                known[key] = axis.position(config[axis.path])
            column.append(known[key])
        columns.append(column)
    return np.array(columns, dtype=float).reshape(len(columns), len(configs)).T


def _axis(path: str, domains: Sequence[Domain], configs: Sequence[Config]) -> Axis | None:
    tried = [config[path] for config in configs if path in config]
    conditional = len(tried) < len(configs)
    distinct = {identity(value): value for value in tried}
    if configs and not tried:
        return None
    if domains and all(isinstance(domain, Constant) for domain in domains) and len(distinct) < 2:
        return None
    ranges = [domain for domain in domains if isinstance(domain, (Float, Int))]
    if ranges and len(ranges) == len(domains) and all(map(_is_number, tried)):
        log = any(domain.log or (isinstance(domain, Int) and domain.base is not None) for domain in ranges)
        low, high = min(domain.low for domain in ranges), max(domain.high for domain in ranges)
        if low < high and (low > 0 or not log):
            few = all(domain.size is not None and domain.size <= MOST_TICKS for domain in ranges)
            marks = sorted({float(number) for domain in ranges for number in domain.values()}) if few else []
            return Axis(path, float(low), float(high), log, is_conditional=conditional, marks=tuple(marks))
    listed = [domain for domain in domains if isinstance(domain, (Choice, Ordinal, Constant))]
    if listed and len(listed) == len(domains):
        every = {identity(value): value for domain in listed for value in domain.values()} | distinct
        ordered = len(listed) == 1 and isinstance(listed[0], Ordinal)
        return Axis(path, values=tuple(every.values()), is_ordered=ordered, is_conditional=conditional)
    return _tried(path, distinct, conditional)


def _tried(path: str, distinct: Mapping[tuple[bool, Value], Value], conditional: bool) -> Axis | None:
    """The axis of what was tried alone; None if that is a single value."""
    values = list(distinct.values())
    if len(values) < 2:
        return None
    if not all(map(_is_number, values)):
        return Axis(path, values=tuple(sorted(values, key=str)), is_ordered=False, is_conditional=conditional)
    numbers = [float(value) for value in values if value is not None]
    low, high = min(numbers), max(numbers)
    return Axis(path, low, high, low > 0 and high >= LOG_FROM * low, is_conditional=conditional)


def _is_number(value: Value) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _decades(low: float, high: float) -> list[float]:
    """Powers of ten between the bounds, both included; of a short range also twos and fives."""
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    step = max(1, math.ceil((last - first + 1) / MOST_TICKS))
    powers = [float(f"1e{k}") for k in range(first, last + 1, step)]
    if len(powers) > 2:
        return powers
    finer = [float(f"{digit}e{k}") for k in range(first - 1, last + 1) for digit in (1, 2, 5)]
    inside = [number for number in finer if low * (1 - 1e-9) <= number <= high * (1 + 1e-9)]
    return inside if len(inside) > 1 else [low, high]


def _round_numbers(low: float, high: float) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten between the bounds, at most seven."""
    raw = (high - low) / 6
    power = 10.0 ** math.floor(math.log10(raw)) if raw > 0 else 1.0
    step = next(digit * power for digit in (1, 2, 5, 10) if digit * power >= raw * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{k * step:.12g}") for k in range(first, last + 1)]
