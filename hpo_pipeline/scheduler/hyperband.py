"""Hyperband, synchronous (Li et al. 2018, "Hyperband: A Novel Bandit-Based Approach", Algorithm 1).

Successive halving needs to know how early a loss tells good from bad. Hyperband doesn't: it goes through brackets that
trade many trials at little resource for few at much, s = s_max … 0, each with about the same budget.

    R = max_resource / min_resource    eta = eta    s_max = floor(log_eta R)
    n = ceil((s_max + 1) / (s + 1) · eta^s)    n_i = floor(n · eta^-i)    r_i = R · eta^(i - s)

The paper's table for R = 81 has other sizes (81, 27, 9, 6, 5); these are those of its Algorithm 1 (81, 34, 15, 8, 5).
"""

from __future__ import annotations

import itertools

from hpo_pipeline.errors import ConfigError
from hpo_pipeline.ranking import ByScore, MakeRanking
from hpo_pipeline.scheduler.rungs import check_geometry, halving_sizes
from hpo_pipeline.scheduler.synchronous import Brackets, Plan
from hpo_pipeline.searcher.trial_generator import TrialGenerator


def bracket_size(s: int, s_max: int, eta: int) -> int:
    """n, the number of trials that bracket `s` begins with: ceil((s_max + 1) / (s + 1) · eta^s)."""
    power: int = eta**s
    return -(-(s_max + 1) * power // (s + 1))


def plans(min_resource: int, max_resource: int, eta: int) -> tuple[Plan, ...]:
    """The brackets s_max, …, 0. Resources are rounded down where max_resource is no power of eta."""
    s_max = 0
    while min_resource * eta ** (s_max + 1) <= max_resource:
        s_max += 1
    brackets = []
    for s in range(s_max, -1, -1):
        resources = tuple(max_resource // eta ** (s - i) for i in range(s + 1))
        sizes = halving_sizes(bracket_size(s, s_max, eta), s + 1, eta)
        brackets.append(Plan(s, sizes, resources, first_rung=s_max - s))
    return tuple(brackets)


class Hyperband(Brackets):
    """The brackets in turn, again and again, until the budget ends.

    Args:
        eta, min_resource, max_resource: of the rungs; each bracket ends at `max_resource`.
        ranking: how trials are compared.
    """

    def __init__(
        self,
        trials: TrialGenerator,
        eta: int,
        min_resource: int,
        max_resource: int,
        ranking: MakeRanking = ByScore,
    ) -> None:
        if problems := check_geometry(min_resource, max_resource, eta):
            raise ConfigError(problems)
        self.plans = plans(min_resource, max_resource, eta)
        super().__init__(trials, itertools.cycle(self.plans), eta, ranking)

    def describe(self) -> str:
        evaluations, cost = sum(sum(plan.sizes) for plan in self.plans), sum(plan.cost() for plan in self.plans)
        trials = sum(plan.sizes[0] for plan in self.plans)
        total = f"once through: {trials} trials, {evaluations} evaluations, total cost {cost}"
        return "\n".join([*(plan.describe() for plan in self.plans), total])
