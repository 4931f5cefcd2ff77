"""The geometry of rungs, one rung's ranking, and a bracket of rungs. Integer arithmetic: math.log(243, 3) is 4.999…

Symbols: r = min_resource, R = max_resource, eta = reduction factor (Jamieson & Talwalkar 2016; Li et al. 2018, 2020).
"""

from __future__ import annotations

from collections.abc import Sequence

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


def one_score_problems(scheduler: str, ranking: MakeRanking) -> list[Problem]:
    """What is wrong with a study of several metrics, for a scheduler that compares trials by one score."""
    if ranking is ByScore:
        return []
    what = f"{scheduler} compares trials by one score, and this study has several metrics"
    return [Problem("_target_", f"{what}; choose asha, hyperband, successive_halving, pbt or fifo, or one metric")]


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

    Attributes:
        eta: at most 1/eta of the members are promoted; may change.
        leader_from: with so many members the best one is promoted whatever eta says; None for never.
        n_promoted: the members that were sent on.
        n_passed: the members that were on their way to a rung above when they came.
        passed_count: whether those use up what eta allows.
    """

    def __init__(self, eta: int, ranking: MakeRanking = ByScore, leader_from: int | None = None) -> None:
        self.eta = eta
        self.leader_from = leader_from
        self.n_promoted = 0
        self.n_passed = 0
        self.passed_count = True
        self._members = ranking()
        self._waiting = self._members.part()

    def __len__(self) -> int:
        return len(self._members)

    @property
    def n_waiting(self) -> int:
        return len(self._waiting)

    @property
    def best_waiting(self) -> int:
        """The rank of the best of those waiting, of which there is one."""
        return self._members.rank(self._waiting[0].trial.id)

    def add(self, evaluation: Evaluation) -> int:
        """Takes in a trial; returns its rank, from 0."""
        self._members.add(evaluation)
        if evaluation.status is Status.OK:
            self._waiting.add(evaluation)
        return self._members.rank(evaluation.trial.id)

    def add_passing(self, evaluation: Evaluation) -> None:
        """Takes in a trial that goes on to a rung above without waiting here."""
        self._members.add(evaluation)
        self.n_passed += 1

    def pop_beyond(self, limit: int) -> list[tuple[int, int]]:
        """(trial id, rank) of those waiting behind the first `limit` ranks: from now on they are never promoted.

        They stay members, at their ranks, so the others' chances are what they were.
        """
        popped = []
        while self._waiting:
            last = self._waiting[len(self._waiting) - 1].trial.id
            if self._members.least_rank(last) < limit:
                break
            self._waiting.remove(last)
            popped.append((last, self._members.rank(last)))
        return popped

    def pop_promotable(self) -> Trial | None:
        """The best trial not yet promoted, if it is within the top 1/eta, or leads; it counts as promoted from now on.

        No more than 1/eta of the members are ever promoted, leaders apart, even where later ones were better than those
        promoted before them (Li et al. 2022, "Hyper-Tune", call this delayed promotion).
        """
        n = len(self._members)
        allowed = n // self.eta
        is_free = self.n_promoted + (self.n_passed if self.passed_count else 0) < allowed
        has_leader = self.leader_from is not None and n >= self.leader_from
        if not (is_free or has_leader) or not self._waiting:
            return None
        rank = self.best_waiting
        return self.pop_best() if (is_free and rank < allowed) or (has_leader and rank == 0) else None

    def pop_best(self) -> Trial:
        """The best of those waiting, of which there is one; it counts as promoted from now on."""
        trial = self._waiting[0].trial
        self._waiting.remove(trial.id)
        self.n_promoted += 1
        return trial


class Bracket:
    """One bracket: its rungs, from the bottom up.

    Attributes:
        n_trials: how many have begun in it.
        in_flight: of each rung, how many jobs are on their way to it.
    """

    def __init__(self, resources: tuple[int, ...], rungs: Sequence[Rung]) -> None:
        self.resources = resources
        self.rungs = rungs
        self.top = len(resources) - 1
        self.n_trials = 0
        self.in_flight = [0] * len(rungs)

    def pop_promotable(self, limit: int) -> tuple[Trial, int] | None:
        """(trial, rung to go to) of the highest rung below `limit` that has one to promote."""
        for rung in range(min(limit, self.top) - 1, -1, -1):
            if (trial := self.rungs[rung].pop_promotable()) is not None:
                return trial, rung + 1
        return None

    def pop_filling(self, eta: int) -> tuple[Trial, int] | None:
        """(trial, rung to go to) where successive halving would send it on, or has more places on the rung above.

        For when no trial begins any more. A trial is sent on once there are places for it and for all that are still
        on their way to its rung, however good those turn out; or, when none is, if it is among as many of the best as
        there are places, though worse ones have taken them.
        """
        sizes = halving_sizes(self.n_trials, len(self.rungs), eta)
        arriving = 0  # at the rung, now or after promotions from below
        for k, rung in enumerate(self.rungs[:-1]):
            arriving += self.in_flight[k]
            places = sizes[k + 1] - rung.n_promoted - rung.n_passed
            if rung.n_waiting and (places > arriving or (not arriving and rung.best_waiting < sizes[k + 1])):
                return rung.pop_best(), k + 1
            arriving = max(0, min(places, rung.n_waiting + arriving))
        return None
