"""Methods compared: studies of several seeds each, how good they were at any time, their ranks, when they were there.

A study that came to its end keeps its last best beyond it; one that is at work or was broken off counts up to where it
came, and nobody knows what comes then. What is told of a method is the median of its studies and their quartiles: a
diverged seed doesn't move them far, and a seed that hasn't come to a value yet is worse than any that has.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hpo_pipeline.analysis.anytime import Floats, Spent, quantiles
from hpo_pipeline.analysis.comparable import Member
from hpo_pipeline.analysis.methods import signature
from hpo_pipeline.analysis.ranks import Ranks, average_ranks
from hpo_pipeline.evaluation import Metric

SHARES = (0.25, 0.5, 1.0)
"""Of what all methods spent: where ranks are told."""
QUARTILES = (0.25, 0.5, 0.75)
MOST_POINTS = 400
"""Of a curve."""


@dataclass(frozen=True)
class Method:
    """Studies that differ in their seeds alone."""

    name: str
    members: tuple[Member, ...]

    @cached_property
    def finals(self) -> Floats:
        """`(3,)` lower quartile, median and upper quartile of the final scores, minimised."""
        found: Floats = quantiles([[member.anytime.final] for member in self.members], QUARTILES)[:, 0]
        return found

    def end(self, by: Spent) -> float:
        """How far the longest of its studies came."""
        return max(member.anytime.end[by] for member in self.members)

    def at(self, amounts: Floats, by: Spent) -> Floats:
        """`(3, points)`: the quartiles over the studies that are known there."""
        return quantiles([member.anytime.at(amounts, by) for member in self.members], QUARTILES)

    def curve(self, by: Spent) -> tuple[Floats, Floats]:
        """(amounts, quartiles `(3, points)`): a step wherever one of its studies became better, or ended."""
        inside = [member.anytime.steps(by) for member in self.members]
        ends = [member.anytime.end[by] for member in self.members]
        amounts = np.unique(np.concatenate([*inside, ends]))
        # beyond its own end a study that isn't over is unknown: the step is right after
        after = [np.nextafter(m.anytime.end[by], math.inf) for m in self.members if not m.anytime.is_over]
        amounts = np.unique(np.concatenate([amounts, [x for x in after if x <= self.end(by)]]))
        if len(amounts) > MOST_POINTS:
            amounts = amounts[np.linspace(0, len(amounts) - 1, MOST_POINTS).round().astype(int)]
        return amounts, self.at(amounts, by)

    def reached(self, score: float, by: Spent) -> list[float]:
        """What each of its studies had spent when it was this good; +inf for one that never was."""
        return [member.anytime.reached(score, by) for member in self.members]


@dataclass(frozen=True)
class RanksAt:
    """Average ranks of the methods when so much was spent; None where no seed has all methods there."""

    by: Spent
    amount: float
    ranks: Ranks | None


@dataclass(frozen=True)
class MethodComparison:
    """What there is to say of them.

    Attributes:
        metric: what they are compared by.
        methods: the best one first, by the median of their final values.
        keys: of the configs, by which they differ.
        rest: keys by which studies of one method differ, the seed apart.
        target: value of the metric that is to be reached; None where no method has one.
        notes: lines that one should know.
    """

    metric: Metric
    methods: tuple[Method, ...]
    keys: tuple[str, ...]
    rest: tuple[str, ...]
    target: float | None
    notes: tuple[str, ...]

    @property
    def members(self) -> list[Member]:
        return [member for method in self.methods for member in method.members]

    @property
    def unit(self) -> str:
        """What one unit of resource is called."""
        return self.members[0].study.unit

    @property
    def is_simulated(self) -> bool:
        return any(member.study.view.is_simulated for member in self.members)

    def common(self, by: Spent) -> float:
        """How far all methods came."""
        return min(method.end(by) for method in self.methods)

    @cached_property
    def ranks(self) -> tuple[RanksAt, ...]:
        """At shares of what all methods spent, of resource and of seconds."""
        ways: tuple[Spent, ...] = ("resource", "seconds")
        return tuple(self._ranks(by, self._share(share, by)) for by in ways for share in SHARES)

    def _share(self, share: float, by: Spent) -> float:
        amount = share * self.common(by)
        return amount if by == "seconds" else float(max(1, math.floor(amount)))

    def _ranks(self, by: Spent, amount: float) -> RanksAt:
        blocks = [self._blocks(method) for method in self.methods]
        common = [key for key in blocks[0] if all(key in own for own in blocks)]
        scores = np.array([[own[key].anytime.at(amount, by) for own in blocks] for key in common], dtype=float)
        scores = scores.reshape(len(common), len(blocks))
        scores = scores[~np.isnan(scores).any(axis=1)]
        if len(self.methods) < 2 or not len(scores):
            return RanksAt(by, amount, None)
        return RanksAt(by, amount, average_ranks(scores))

    def _blocks(self, method: Method) -> dict[tuple[object, ...], Member]:
        """Its studies by what they share with those of other methods: the seed, and what else differs."""
        found: dict[tuple[object, ...], Member] = {}
        count: Counter[tuple[object, ...]] = Counter()
        for member in method.members:
            key = (str(member.seed), *signature(member.settings, self.rest))
            found[*key, count[key]] = member
            count[key] += 1
        return found

    def reached(self, method: Method, by: Spent) -> list[float]:
        """What each study had spent when it reached the target; +inf for one that never did."""
        return [] if self.target is None else method.reached(self.metric.score(self.target), by)


def default_target(metric: Metric, methods: Sequence[Method]) -> float | None:
    """The worst of the methods' final medians: what the median study of each method came to at last."""
    medians = [float(method.finals[1]) for method in methods if math.isfinite(method.finals[1])]
    return metric.value(max(medians)) if medians else None
