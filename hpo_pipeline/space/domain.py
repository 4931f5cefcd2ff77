"""What one hyperparameter can be: the base of all domains, and those that list their values.

Every domain is mapped to the unit interval so that equal lengths are equally likely: `from_unit(rng.random())` is a
sample. Encoding goes back: `from_unit(to_unit(value)) == value`, to rounding for floats and for integers beyond 10^12.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from hpo_pipeline.checks import boolean_problems, is_number, option_problems
from hpo_pipeline.errors import ConfigError, Problem
from hpo_pipeline.trial import Value


def is_value(value: Any) -> bool:
    """What a hyperparameter can be, and a journal can hold."""
    return value is None or isinstance(value, (bool, str)) or is_number(value)


def identity(value: Value) -> tuple[bool, Value]:
    """Equal for 1 and 1.0, different for 1 and True, which Python calls equal."""
    return isinstance(value, bool), value


def text(value: Any) -> str:
    """A value as people write it: `1e-6`, not `1e-06`."""
    return f"{value:g}".replace("e-0", "e-").replace("e+0", "e+") if isinstance(value, float) else str(value)


def bin_of(u: float, n: int) -> int:
    """Which of `n` equally wide bins of the unit interval `u` lies in."""
    return min(max(int(u * n), 0), n - 1)


MAX_FLOAT = 1e300
"""Numbers up to this size can be subtracted from each other."""
_MOST_EXTREMES = 20
_HAIR = 1e-9


class Domain(ABC):
    """One hyperparameter's set of values, with its scale."""

    __slots__ = ()

    @property
    def size(self) -> int | None:
        """Number of values; None if there is no end to them."""
        return len(self.values()) or None

    def contains(self, value: Any) -> bool:
        """Whether `value` is one of them, by type as well (True is no int, "3" no number)."""
        return any(identity(listed) == identity(value) for listed in self.values())

    @abstractmethod
    def to_unit(self, value: Any) -> float:
        """Where in [0, 1] a value of this domain lies."""

    @abstractmethod
    def from_unit(self, u: float) -> Value:
        """The value at `u` in [0, 1]."""

    def values(self) -> Sequence[Value]:
        """All values of a finite domain, in order; nothing of another."""
        return ()

    def borders(self) -> Sequence[float]:
        """Of a finite domain: where in (0, 1) each value's bin ends and the next one's begins, one less than values."""
        n = len(self.values())
        return [i / n for i in range(1, n)]

    @property
    def midpoint(self) -> Value:
        return self.from_unit(0.5)

    @property
    def extremes(self) -> Sequence[Value]:
        """The values to look at where not all can be: the ends of a range, or what is listed, the first 20 of it.

        Real numbers are taken a hair inside: a bound itself is hardly ever drawn, and is often where a limit is open
        (a dropout of 1, no momentum for Nesterov's).
        """
        return list(dict.fromkeys((self.from_unit(_HAIR), self.from_unit(1 - _HAIR))))

    def grid(self, n: int | None = None) -> list[Value]:
        """All values of a finite domain if `n` is None or enough for them, else those at (i + 0.5) / n, each once.

        Raises:
            ConfigError: the domain is continuous and `n` is None.
        """
        if self.size is not None and (n is None or n >= self.size):
            return list(self.values())
        if n is None:
            raise ConfigError(Problem("n_points", "a continuous domain needs a number of grid points, got none"))
        return list(dict.fromkeys(self.from_unit((i + 0.5) / n) for i in range(n)))


@dataclass(frozen=True, slots=True)
class Constant(Domain):
    """One value that isn't tuned. It takes no dimension of the unit cube."""

    value: Value

    def to_unit(self, value: Any) -> float:
        return 0.5

    def from_unit(self, u: float) -> Value:
        return self.value

    def values(self) -> tuple[Value]:
        return (self.value,)

    def __str__(self) -> str:
        return f"always {text(self.value)}"


def _choices_problems(choices: Any) -> list[Problem]:
    if not isinstance(choices, Sequence) or isinstance(choices, str):
        return [Problem("choices", "must be a list", choices)]
    if not choices:
        return [Problem("choices", "must not be empty")]
    wanted = "is neither a finite number, a string, a bool nor null"
    mend = "a choice between structures is a choice between config options, by name"
    problems = [Problem("choices", f"{choice!r} {wanted}; {mend}") for choice in choices if not is_value(choice)]
    if not problems:
        doubled = [choice for (_, choice), count in Counter(map(identity, choices)).items() if count > 1]
        problems += [Problem("choices", f"{choice!r} is listed more than once; list it once") for choice in doubled]
    return problems


def _index(choices: Sequence[Value], value: Any) -> int:
    return [identity(choice) for choice in choices].index(identity(value))


@dataclass(frozen=True, slots=True)
class Choice(Domain):
    """One of several values without an order. Each has an equally wide bin and is encoded at its centre."""

    choices: Sequence[Value]

    def __post_init__(self) -> None:
        if problems := _choices_problems(self.choices):
            raise ConfigError(problems)
        object.__setattr__(self, "choices", tuple(self.choices))

    def to_unit(self, value: Any) -> float:
        return (_index(self.choices, value) + 0.5) / len(self.choices)

    def from_unit(self, u: float) -> Value:
        return self.choices[bin_of(u, len(self.choices))]

    def values(self) -> Sequence[Value]:
        return self.choices

    @property
    def extremes(self) -> Sequence[Value]:
        return self.choices[:_MOST_EXTREMES]

    def __str__(self) -> str:
        return f"one of {', '.join(map(text, self.choices))}"


ENCODINGS = ("equal", "nearest")


@dataclass(frozen=True, slots=True)
class Ordinal(Domain):
    """One of several values in an order.

    `encoding` "equal": equally wide bins, each value at the centre of its own. "nearest" (for increasing numbers):
    values lie where they stand on the scale (with `log`, on the log scale), which is extended by half the mean gap at
    both ends; a point means the value nearest to it. So 1, 2, 100 keep their distances, and likelihoods follow them.
    """

    choices: Sequence[Value]
    encoding: str = "equal"
    log: bool = False

    def __post_init__(self) -> None:
        problems = _choices_problems(self.choices)
        problems += option_problems(ENCODINGS, encoding=self.encoding) + boolean_problems(log=self.log)
        if self.log is True and self.encoding == "equal":
            what = "equally spaced choices have no scale; add 'encoding: nearest', or leave log out"
            problems.append(Problem("log", what))
        if not problems and self.encoding == "nearest":
            problems += _scale_problems(self.choices, self.log)
        if problems:
            raise ConfigError(problems)
        object.__setattr__(self, "choices", tuple(self.choices))

    def _positions(self) -> list[float]:
        """Where the values lie in the unit interval."""
        n = len(self.choices)
        if self.encoding == "equal" or n == 1:
            return [(i + 0.5) / n for i in range(n)]
        numbers = [math.log(float(c)) if self.log else float(c) for c in self.choices]  # type: ignore[arg-type]
        half = (numbers[-1] - numbers[0]) / (n - 1) / 2
        return [(x - numbers[0] + half) / (numbers[-1] - numbers[0] + 2 * half) for x in numbers]

    def to_unit(self, value: Any) -> float:
        return self._positions()[_index(self.choices, value)]

    def from_unit(self, u: float) -> Value:
        if self.encoding == "equal":
            return self.choices[bin_of(u, len(self.choices))]
        return self.choices[sum(u >= border for border in self.borders())]

    def borders(self) -> Sequence[float]:
        return [(a + b) / 2 for a, b in pairwise(self._positions())]

    def values(self) -> Sequence[Value]:
        return self.choices

    @property
    def extremes(self) -> Sequence[Value]:
        return self.choices[:_MOST_EXTREMES]

    def __str__(self) -> str:
        return f"one of {' < '.join(map(text, self.choices))}"


def _scale_problems(choices: Sequence[Value], log: bool) -> list[Problem]:
    numbers = [c for c in choices if isinstance(c, (int, float)) and is_number(c)]
    if len(numbers) < len(choices) or any(a >= b for a, b in pairwise(numbers)):
        return [Problem("choices", "'encoding: nearest' needs increasing numbers", list(choices))]
    if max(map(abs, numbers)) > MAX_FLOAT:
        return [Problem("choices", "are too large for 'encoding: nearest'", max(numbers, key=abs))]
    if log and numbers[0] <= 0:
        return [Problem("choices", "must be positive with log", numbers[0])]
    return []
