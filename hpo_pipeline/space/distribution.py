"""A hyperparameter that follows any distribution of `scipy.stats`."""

from __future__ import annotations

import bisect
import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hpo_pipeline.checks import is_integer, is_number
from hpo_pipeline.errors import ConfigError, Problem, nearest
from hpo_pipeline.space.domain import Domain, text

_TABULATED = 1000
_EDGE = 2.0**-53
"""Quantiles are asked for at least this far from 0 and 1, where an unbounded distribution is infinite."""


@functools.lru_cache(maxsize=256)
def _frozen(distribution: str, parameters: tuple[tuple[str, float], ...]) -> Any:
    from scipy import stats  # a slow import, for the few spaces that need it

    return getattr(stats, distribution)(**dict(parameters))


@functools.lru_cache(maxsize=256)
def _table(distribution: str, parameters: tuple[tuple[str, float], ...]) -> tuple[int, list[float]]:
    """The first value of a discrete law, and P(X <= k) of it and the next 1,000; none where values have no first one.

    A quantile is the first value whose P is as large: looking it up takes a hundredth of the time of scipy's search.
    """
    law = _frozen(distribution, parameters)
    low, high = law.support()
    if not hasattr(law.dist, "pmf") or not math.isfinite(low):
        return 0, []
    values = np.arange(int(low), int(min(high, low + _TABULATED)) + 1)
    cumulated = law.cdf(values).tolist()
    return int(low), [*cumulated[:-1], 1.0] if values[-1] == high else cumulated


def _problems(distribution: Any, parameters: Mapping[str, Any]) -> list[Problem]:
    from scipy import stats

    kinds = (stats.rv_continuous, stats.rv_discrete)
    known = [name for name in dir(stats) if isinstance(getattr(stats, name), kinds)]
    if distribution not in known:
        near = nearest(str(distribution), known)
        return [Problem("distribution", f"scipy.stats has no distribution {distribution!r}{near}")]
    found = getattr(stats, distribution)
    shapes = [name.strip() for name in (found.shapes or "").split(",") if name.strip()]
    takes = [*shapes, "loc", *(["scale"] if isinstance(found, stats.rv_continuous) else [])]
    problems = []
    for key, value in parameters.items():
        if key not in takes:
            what = f"{distribution} takes {', '.join(takes)}, not {key!r}{nearest(key, takes)}"
            problems.append(Problem(key, what))
        elif not is_number(value):
            problems.append(Problem(key, "must be a number", value))
    problems += [Problem(name, f"missing; {distribution} needs it") for name in shapes if name not in parameters]
    if not problems and math.isnan(found(**parameters).median()):
        given = ", ".join(f"{key} {value!r}" for key, value in parameters.items())
        problems.append(Problem("distribution", f"{distribution} is not defined for {given}"))
    return problems


@dataclass(frozen=True, slots=True)
class Scipy(Domain):
    """The distribution `scipy.stats.<distribution>`; equal lengths of the unit interval are equal probabilities."""

    distribution: str
    parameters: Mapping[str, float] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        if problems := _problems(self.distribution, self.parameters):
            raise ConfigError(problems)

    @property
    def _law(self) -> Any:
        return _frozen(self.distribution, tuple(self.parameters.items()))

    @property
    def _discrete(self) -> bool:
        return hasattr(self._law.dist, "pmf")

    def contains(self, value: Any) -> bool:
        low, high = self._law.support()
        right_type = is_integer(value) if self._discrete else is_number(value)
        return bool(right_type and low <= value <= high)

    def to_unit(self, value: Any) -> float:
        at = float(self._law.cdf(value))
        return (at + float(self._law.cdf(value - 1))) / 2 if self._discrete else at

    def from_unit(self, u: float) -> int | float:
        u = min(max(float(u), _EDGE), 1 - _EDGE)
        first, cumulated = _table(self.distribution, tuple(self.parameters.items()))
        if cumulated and u <= cumulated[-1]:
            return first + bisect.bisect_left(cumulated, u)
        value = self._law.ppf(u)
        return int(value) if self._discrete else float(value)

    @property
    def extremes(self) -> Sequence[int | float]:
        """The first and last percentile: what lies beyond may be infinite, and is hardly ever drawn."""
        return [self.from_unit(0.01), self.from_unit(0.99)]

    def values(self) -> Sequence[int]:
        low, high = self._law.support()
        return range(int(low), int(high) + 1) if self._discrete and math.isfinite(high - low) else ()

    def borders(self) -> Sequence[float]:
        return [float(at) for at in self._law.cdf(list(self.values())[:-1])]

    def __str__(self) -> str:
        return f"{self.distribution}({', '.join(f'{key}={text(value)}' for key, value in self.parameters.items())})"
