"""Made-up trainings over any search space, with known optima: smooth losses, and smooth parametric learning curves.

    u, c      a configuration and the best one in the unit cube; z = u - c, 0 where a parameter is inactive
    q(u)      = |A z|^2 + sum_i w_i (1 - cos(4 pi z_i)) / 20 + what each chosen option costs; 0 at the best one
    e(u)      = q / (q + m), the loss at the end: in [0, 1), and 1/2 for the median configuration, whose q is m
    l(u, r)   = e + (START - e) d(r), where d falls as 1 / (1 + r / tau), scaled to d(0) = 1 and d(R) = 0
    log tau   = log TAU + spread h(u) + late (1 - 2 e)

h is a random smooth function (random Fourier features) of mean 0 and variance 1, uncorrelated with e. `spread` makes
curves cross; `late` makes trainings that end well begin slowly. One of the two is chosen so that the rank correlation
of the first unit with the end, over uniform configurations, is what the instance is to have.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hpo_pipeline.seeding import generator
from hpo_pipeline.space import Choice, Constant, SearchSpace
from hpo_pipeline.trial import Config, Value

START = 1.2
"""Loss before training."""
TAU = 3.0
MEDIAN = 0.5
"""The end of the median configuration."""
_N_SAMPLES = 500
_N_FEATURES = 16

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Family:
    """How much the first unit tells.

    Attributes:
        correlation: its rank correlation with the end, from where to where the instances' own are drawn.
        spread: of the time scales; None where it follows from the correlation, and good trainings are no later.
    """

    correlation: tuple[float, float]
    spread: float | None = None


BENIGN = Family((0.75, 0.85))
TREACHEROUS = Family((-0.2, 0.35), spread=0.5)


class Landscape:
    """One instance.

    Args:
        space: of any kind; ranges count by their scale, choices by option.
        max_resource: R.
        seed: which instance.

    Attributes:
        correlation: rank correlation of the first unit with the end.
    """

    def __init__(self, space: SearchSpace, family: Family, max_resource: int, seed: int) -> None:
        self.space, self._max_resource = space, max_resource
        rng = generator(seed, "landscape")
        tuned = [p for p in space.parameters if not isinstance(p.domain, Constant)]
        self._ranges = [p for p in tuned if not isinstance(p.domain, Choice)]
        self._choices = [p for p in tuned if isinstance(p.domain, Choice)]
        n = len(self._ranges)
        self._weights = 10 ** rng.uniform(-1.5, 0, n)
        self._mixing = (np.eye(n) + 0.3 * rng.standard_normal((n, n))) * np.sqrt(self._weights)[:, None]
        # Values that the domains have, so that the optimum is one of theirs.
        values = [p.domain.from_unit(rng.uniform(0.15, 0.85)) for p in self._ranges]
        self._centres = np.array([p.domain.to_unit(value) for p, value in zip(self._ranges, values, strict=True)])
        self._costs = [rng.uniform(0, 0.5, len(p.domain.values())) for p in self._choices]
        self._costs = [costs - costs.min() for costs in self._costs]
        self._frequencies = 2.5 * rng.standard_normal((_N_FEATURES, len(tuned)))
        self._phases = rng.uniform(0, 2 * np.pi, _N_FEATURES)
        samples = [space.sample(rng) for _ in range(_N_SAMPLES)]
        costs = np.array([self._cost(config) for config in samples])
        self._median = float(np.median(costs))
        ends = costs / (costs + self._median)
        waves = np.array([self._waves(config) for config in samples])
        self._slope, self._mean = np.polyfit(ends, waves, 1)
        self._scale = float((waves - self._slope * ends - self._mean).std())
        crossing = (waves - self._slope * ends - self._mean) / self._scale
        self._spread, self._late, self.correlation = 0.0, 0.0, 1.0
        self._fit(family, float(rng.uniform(*family.correlation)), ends, crossing)

    def _fit(self, family: Family, wanted: float, ends: Array, crossing: Array) -> None:
        """Finds `spread` or `late` by bisection: the correlation falls with both."""
        from scipy.stats import spearmanr

        low, high = 0.0, 3.0
        for _ in range(20):
            middle = (low + high) / 2
            self._spread, self._late = (middle, 0.0) if family.spread is None else (family.spread, middle)
            self.correlation = float(spearmanr(self._losses(ends, crossing, 1), ends).statistic)
            low, high = (middle, high) if self.correlation > wanted else (low, middle)

    def best(self) -> dict[str, Value]:
        """A configuration whose training ends at 0."""
        centres = {id(p): p.domain.from_unit(c) for p, c in zip(self._ranges, self._centres, strict=True)}
        for p, costs in zip(self._choices, self._costs, strict=True):
            centres[id(p)] = p.domain.values()[int(costs.argmin())]
        best: dict[str, Value] = {}
        for p in self.space.parameters:
            if p.is_active(best):
                best[p.path] = centres.get(id(p), p.domain.midpoint)
        return best

    def _offsets(self, config: Config) -> Array:
        """z, of the ranges."""
        ranges = zip(self._ranges, self._centres, strict=True)
        return np.array([p.domain.to_unit(config[p.path]) - c if p.is_active(config) else 0.0 for p, c in ranges])

    def _cost(self, config: Config) -> float:
        """q."""
        z = self._offsets(config)
        smooth = ((self._mixing @ z) ** 2).sum() + (self._weights * (1 - np.cos(4 * np.pi * z))).sum() / 20
        choices = zip(self._choices, self._costs, strict=True)
        active = ((p, costs) for p, costs in choices if p.is_active(config))
        return float(smooth + sum(costs[p.domain.values().index(config[p.path])] for p, costs in active))

    def _waves(self, config: Config) -> float:
        """h, before it is made to have mean 0 and variance 1 and not to follow e."""
        chosen = [p.domain.to_unit(config[p.path]) if p.is_active(config) else 0.5 for p in self._choices]
        return float(np.cos(self._frequencies @ [*self._offsets(config), *chosen] + self._phases).sum())

    def _losses(self, ends: Array | float, crossing: Array | float, resource: Array | int) -> Array:
        """l."""
        taus = TAU * np.exp(self._spread * np.asarray(crossing) + self._late * (1 - 2 * np.asarray(ends)))
        last = 1 / (1 + self._max_resource / taus)
        return np.asarray(ends + (START - ends) * (1 / (1 + resource / taus) - last) / (1 - last))

    def end(self, config: Config) -> float:
        """e, the loss at R."""
        cost = self._cost(config)
        return cost / (cost + self._median)

    def curve(self, config: Config) -> list[float]:
        """The losses after each of the R units."""
        end, resources = self.end(config), np.arange(1, self._max_resource + 1)
        crossing = (self._waves(config) - self._slope * end - self._mean) / self._scale
        curve: list[float] = self._losses(end, crossing, resources).tolist()
        return curve
