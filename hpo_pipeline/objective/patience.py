"""Early stopping within a trial: it is over when its metric has not improved for some epochs (Prechelt 1998)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class Patience:
    """Watches one metric of one trial.

    Attributes:
        epochs: how many without a better value than the best before end the trial.
        metric, mode: what is watched; values that aren't finite are never better.
        best: so far; None before the first finite value.
        waited: epochs since then.
    """

    epochs: int
    metric: str
    mode: str = "min"
    best: float | None = None
    waited: int = 0

    def watch(self, metrics: Mapping[str, float]) -> None:
        """Takes in what an epoch has reported."""
        value = metrics.get(self.metric, math.nan)
        sign = 1 if self.mode == "min" else -1
        if math.isfinite(value) and (self.best is None or sign * value < sign * self.best):
            self.best, self.waited = value, 0
        else:
            self.waited += 1

    @property
    def over(self) -> str:
        """Why the trial is over; empty while it goes on."""
        times = f"{self.waited} epoch{'s' if self.waited > 1 else ''}"
        return f"no better {self.metric} for {times}" if self.waited >= self.epochs else ""

    def saved(self) -> dict[str, Any]:
        return {"best": self.best, "waited": self.waited}

    def restore(self, saved: Mapping[str, Any] | None) -> None:
        """Goes on where `saved` was; from the beginning if there is nothing."""
        if saved is not None:
            self.best, self.waited = saved["best"], int(saved["waited"])


def patience_of(epochs: int | None, config: Mapping[str, Any]) -> Patience | None:
    """What watches the study's metric (of several, the first one) in a trial with this config; None for nothing."""
    if epochs is None:
        return None
    metric, mode = config.get("metric", "validation_loss"), config.get("mode", "min")
    if isinstance(metric, Mapping):
        metric, mode = next(iter(metric.items()))
    return Patience(epochs, metric, mode)
