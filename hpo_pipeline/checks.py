"""Whether values are what a component asks for, and what is said of those that aren't."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

from hpo_pipeline.errors import Problem, nearest


def is_integer(value: Any, least: float = -math.inf, most: float = math.inf) -> bool:
    """An int within the bounds; True and 3.0 are none."""
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def is_number(value: Any, least: float = -math.inf, most: float = math.inf) -> bool:
    """An int, or a finite float, within the bounds; a bool is neither."""
    return is_integer(value, least, most) or (
        isinstance(value, float) and math.isfinite(value) and least <= value <= most
    )


def is_positive(value: Any) -> bool:
    """A number above 0; infinity is one."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0


def value_problems(wanted: str, fits: Callable[[Any], bool], /, **values: Any) -> list[Problem]:
    """One for each of the named values that isn't what is `wanted`."""
    return [Problem(key, f"must be {wanted}", value) for key, value in values.items() if not fits(value)]


def integer_problems(*, least: int = 1, most: int | None = None, **values: Any) -> list[Problem]:
    """One for each of the named values that is no integer within the bounds."""
    wanted = f"an integer of at least {least}" if most is None else f"an integer from {least} to {most}"
    return value_problems(wanted, lambda value: is_integer(value, least, math.inf if most is None else most), **values)


def boolean_problems(**values: Any) -> list[Problem]:
    """One for each of the named values that is neither true nor false."""
    return value_problems("true or false", lambda value: isinstance(value, bool), **values)


def option_problems(known: Iterable[str], /, **values: Any) -> list[Problem]:
    """One for each of the named values that is none of the `known` words."""
    words = list(known)
    return [
        Problem(key, f"must be one of {', '.join(words)}, got {value!r}{nearest(str(value), words)}")
        for key, value in values.items()
        if value not in words
    ]
