"""The one place where a metric becomes a score: scores are minimised, and what isn't finite ranks last."""

from __future__ import annotations

import math

WORST = math.inf
MODES = ("min", "max")


def score(value: float, mode: str) -> float:
    """`value` for mode min, `-value` for mode max, +inf for NaN and ±inf (diverged is never good)."""
    if not math.isfinite(value):
        return WORST
    return value if mode == "min" else -value
