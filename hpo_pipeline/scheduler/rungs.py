"""The geometry of rungs, and one rung's ranking. Integer arithmetic: math.log(243, 3) is 4.999…

Symbols: r = min_resource, R = max_resource, eta = reduction factor (Jamieson & Talwalkar 2016; Li et al. 2018, 2020).
"""

from __future__ import annotations

from hpo_pipeline.checks import integer_problems
from hpo_pipeline.errors import ConfigError, Problem
from hpo_pipeline.evaluation import Evaluation, Status
from hpo_pipeline.ranking import ByScore, MakeRanking
from hpo_pipeline.trial import Trial


def check_geometry(min_resource: int, max_resource: int, eta: int) -> list[Problem]:
    """What is wrong with these three."""
    resources = integer_problems(min_resource=min_resource, max_resource=max_resource)
    if not resources and min_resource > max_resource:
        resources = [Problem("min_resource", f"must be at most max_resource ({max_resource})", min_resource)]
    return integer_problems(eta=eta, least=2) + resources


def rung_resources(min_resource: int, max_resource: int, eta: int) -> tuple[int, ...]:
    """The resources of the rungs: r·eta^k from below, and R itself on top.

    The number of steps K is the one whose r·eta^K lies nearest R on a log scale, so that the last step is never a
    sliver (1, 3, 9, 10) nor a leap: `rung_resources(1, 16, 2) == (1, 2, 4, 8, 16)` and
    `rung_resources(1, 10, 3) == (1, 3, 10)`. Wrong ones raise a ConfigError.
    """
    if problems := check_geometry(min_resource, max_resource, eta):
        raise ConfigError(problems)
    steps = 0
    # r·eta^(K + 1/2) <= R, squared, is the condition for another step after K.
    while min_resource**2 * eta ** (2 * steps + 1) <= max_resource**2:
        steps += 1
    return (*(min_resource * eta**k for k in range(steps)), max_resource)


def halving_sizes(n: int, n_rungs: int, eta: int) -> tuple[int, ...]:
    """How many of `n` trials are on each rung: floor(n / eta^i), but one trial at least always reaches the top."""
    return tuple(max(1, n // eta**i) for i in range(n_rungs))


class Rung:
    """The trials that reached one rung, ranked; O(log n) a call where the ranking is.

    A trial whose evaluation isn't OK (not finite, failed) counts as a member but is never among the best.
    """

    def __init__(self, eta: int, ranking: MakeRanking = ByScore) -> None:
        self._eta = eta
        self._members = ranking()
        self._waiting = ranking()
        self._promoted = 0

    def __len__(self) -> int:
        return len(self._members)

    def add(self, evaluation: Evaluation) -> int:
        """Takes in a trial; returns its rank, from 0."""
        self._members.add(evaluation)
        if evaluation.status is Status.OK:
            self._waiting.add(evaluation)
        return self._members.rank(evaluation.trial.id)

    def pop_beyond(self, limit: int) -> list[tuple[int, int]]:
        """(trial id, rank) of those waiting behind the first `limit` ranks: from now on they are never promoted.

        They stay members, at their ranks, so the others' chances are what they were.
        """
        popped = []
        while self._waiting:
            last = self._waiting[len(self._waiting) - 1].trial.id
            if (rank := self._members.rank(last)) < limit:
                break
            self._waiting.remove(last)
            popped.append((last, rank))
        return popped

    def pop_promotable(self) -> Trial | None:
        """The best trial not yet promoted, if it is within the top 1/eta; it counts as promoted from now on.

        No more than 1/eta of the members are ever promoted, even where later ones were better than those promoted
        before them (Li et al. 2022, "Hyper-Tune", call this delayed promotion).
        """
        allowed = len(self._members) // self._eta
        if self._promoted >= allowed or not self._waiting:
            return None
        trial = self._waiting[0].trial
        if self._members.rank(trial.id) >= allowed:
            return None
        self._promoted += 1
        self._waiting.remove(trial.id)
        return trial
