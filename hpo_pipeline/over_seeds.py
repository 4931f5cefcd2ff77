"""One configuration trained with several seeds: a mean, and how far it can be trusted."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OverSeeds:
    """What one configuration comes to with several seeds.

    Attributes:
        n: how many trainings there were.
        values: the metric of those that have a finite one and did not fail.
    """

    n: int
    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """NaN without a value."""
        return statistics.fmean(self.values) if self.values else math.nan

    @property
    def standard_error(self) -> float:
        """Of the mean: s / sqrt(m), with s over m - 1; NaN of fewer than two values."""
        return statistics.stdev(self.values) / math.sqrt(len(self.values)) if len(self.values) > 1 else math.nan
