"""What a person believes about a hyperparameter's best value (Mallik et al. 2023, "PriorBand").

On a scale, the belief is a normal distribution in the unit interval, truncated to it, around the encoded centre. The
paper's standard deviation, 0.25, is confidence "medium"; "low" doubles and "high" halves it. Among choices, which have
no scale, the centre is 4 times as likely as each other one ("low": 2, "high": 6).
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from hpo_pipeline.checks import option_problems
from hpo_pipeline.errors import ConfigError
from hpo_pipeline.space.domain import Choice, Domain, bin_of
from hpo_pipeline.trial import Value

DEVIATION = {"low": 0.5, "medium": 0.25, "high": 0.125}
WEIGHT = {"low": 2, "medium": 4, "high": 6}


@dataclass(frozen=True, slots=True)
class Prior:
    """A belief that `center`, a value of the domain, is about right; `confidence`: low, medium or high."""

    center: Value
    confidence: str = "medium"

    def __post_init__(self) -> None:
        if problems := option_problems(DEVIATION, confidence=self.confidence):
            raise ConfigError(problems)

    def sample(self, domain: Domain, rng: np.random.Generator) -> float:
        """A draw from the unit interval, for `domain.from_unit`."""
        center = domain.to_unit(self.center)
        if isinstance(domain, Choice):
            weight, others = WEIGHT[self.confidence], len(domain.choices) - 1
            if rng.random() < weight / (weight + others):
                return center
            left = [choice for choice in domain.choices if domain.to_unit(choice) != center]
            return domain.to_unit(left[rng.integers(others)])
        while True:  # at least 0.477 of the draws lie in the interval: the centre at its edge, deviation 0.5
            u = rng.normal(center, DEVIATION[self.confidence])
            if 0 <= u <= 1:
                return float(u)

    def pdf(self, domain: Domain, u: float) -> float:
        """The density at `u` in [0, 1] of what `sample` draws; 1 everywhere would be no belief at all.

        That of a choice is its probability, spread evenly over its bin of the unit interval.
        """
        center = domain.to_unit(self.center)
        if isinstance(domain, Choice):
            n, weight = len(domain.choices), WEIGHT[self.confidence]
            own = weight if bin_of(u, n) == bin_of(center, n) else 1
            return own * n / (weight + n - 1)
        normal = NormalDist(center, DEVIATION[self.confidence])
        return normal.pdf(u) / (normal.cdf(1) - normal.cdf(0))
