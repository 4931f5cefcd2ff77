"""Successive halving, synchronous (Jamieson & Talwalkar 2016; Li et al. 2018, the inner loop of Algorithm 1).

N trials are trained to the first rung's resource; the best 1/eta of them go on to the next, and so on to the top.

    N = n_trials_per_bracket    r = min_resource    R = max_resource    eta = eta
"""

from __future__ import annotations

import itertools

from hpo_pipeline.checks import integer_problems
from hpo_pipeline.errors import ConfigError
from hpo_pipeline.ranking import ByScore, MakeRanking
from hpo_pipeline.scheduler.rungs import check_geometry, halving_sizes, rung_resources
from hpo_pipeline.scheduler.synchronous import Brackets, Plan
from hpo_pipeline.searcher.trial_generator import TrialGenerator


class SuccessiveHalving(Brackets):
    """Bracket after bracket of the same sizes, until the budget ends.

    Args:
        eta, min_resource, max_resource: of the rungs.
        bracket_size: trials on the first rung; None for eta^K, K the number of halvings, which leaves one at the top.
        ranking: how trials are compared.
    """

    def __init__(
        self,
        trials: TrialGenerator,
        eta: int,
        min_resource: int,
        max_resource: int,
        bracket_size: int | None = None,
        ranking: MakeRanking = ByScore,
    ) -> None:
        problems = check_geometry(min_resource, max_resource, eta)
        if bracket_size is not None:
            problems += integer_problems(bracket_size=bracket_size)
        if problems:
            raise ConfigError(problems)
        resources = rung_resources(min_resource, max_resource, eta)
        size = bracket_size or eta ** (len(resources) - 1)
        sizes = halving_sizes(size, len(resources), eta)
        self._plan = Plan(0, sizes, resources)
        super().__init__(trials, (Plan(i, sizes, resources) for i in itertools.count()), eta, ranking)

    def describe(self) -> str:
        return f"{self._plan.describe()}; repeated until the budget ends"
