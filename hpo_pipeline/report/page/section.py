"""What a section of the page is, and how its numbers and sentences are written."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Section:
    """One section.

    Attributes:
        key: names it in links, and what draws it.
        title: its heading.
        says: one sentence: what one sees here.
        sure: how sure it is.
        charts: chart -> its height in pixels; what draws each is named alike in charts.js.
        data: what the charts are drawn from, plain; NaN is nothing.
        extra: what page.html needs besides.
    """

    key: str
    title: str
    says: str
    sure: str = ""
    charts: dict[str, int] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)


def plain(value: Any) -> Any:
    """What JSON can hold: numbers that aren't finite become null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def short(value: float | None, digits: int = 5) -> float | int | None:
    """A number with so many significant digits: what a drawing needs; None if it isn't finite."""
    if value is None or not math.isfinite(value):
        return None
    rounded = float(f"{value:.{digits}g}")
    return int(rounded) if rounded.is_integer() and abs(rounded) < 1e15 else rounded


def percent(share: float) -> str:
    """`37 %`; under one `< 1 %`."""
    return "< 1 %" if 0 < share < 0.005 else f"{100 * share:.0f} %"


def listed(words: list[str]) -> str:
    """`a, b and c`."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else ""
