"""ASHA, asynchronous successive halving (Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning").

`type: promotion` is its Algorithm 2: a free worker gets the best trial not yet promoted of the highest rung that has
one within the top 1/eta, else a new trial at the bottom. `type: stopping` is the variant without pauses: a trial
trains on towards the top and is stopped at the first rung at which it is not within the top 1/eta of those that came
there before it (the first one always goes on).

With `brackets` above 1 it is asynchronous Hyperband: bracket b leaves out the lowest b rungs, and each new trial is
drawn into one of them, as often as gives every bracket the share of the budget that Hyperband gives it.

Options beyond the paper, for promotions: `fill_rungs` says what becomes of the waiting trials when there are no new
ones; `early_eta` and `leaders` bring the first good trials to the top sooner; `probes` watch over the first rung
(probes.py).

    r = min_resource    R = max_resource    eta = eta    rung k = resources[k]
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from hpo_pipeline.checks import boolean_problems, integer_problems, is_integer, option_problems, value_problems
from hpo_pipeline.errors import ConfigError, Problem
from hpo_pipeline.evaluation import Evaluation, Status
from hpo_pipeline.ranking import ByScore, MakeRanking
from hpo_pipeline.scheduler import Scheduler
from hpo_pipeline.scheduler.hyperband import bracket_size
from hpo_pipeline.scheduler.probes import Probes
from hpo_pipeline.scheduler.rungs import Bracket, Rung, check_geometry, rung_resources
from hpo_pipeline.searcher import EXHAUSTED, NoTrial
from hpo_pipeline.searcher.trial_generator import TrialGenerator
from hpo_pipeline.seeding import generator
from hpo_pipeline.trial import Decision, Job, State, StateChange, Trial

TYPES = ("promotion", "stopping")


class ASHA(Scheduler):
    """Asynchronous successive halving: no worker ever waits for a rung.

    Attributes:
        rung: what a rung is: which of its trials is promoted next. A subclass may have another rule.

    Args:
        eta, min_resource, max_resource: of the rungs.
        type: "promotion" or "stopping".
        brackets: how many brackets; 1 is ASHA, more is asynchronous Hyperband.
        fill_rungs: with no new trial left, promote the best waiting ones until rung k has had floor(n / eta^k) of the n
            trials, one at least, and so many of the best ones. (False: what studies that began without this key do.)
        early_eta: reduction factors of the first rung, the second, …, the last one for all above, while the first rung
            has fewer than `early_trials` trials; None for `eta` from the start.
        leaders: of the first rung, the second, …, the last one for all above: a rung of so many trials promotes its
            best one at once, whatever its reduction factor says; None for never.
        probes: one trial in so many begins on the second rung, and more where those show that the first one misleads.
        seed: of the study; trial i's bracket follows from (seed, i).
        ranking: how trials are compared.
    """

    rung: type[Rung] = Rung

    def __init__(
        self,
        trials: TrialGenerator,
        eta: int,
        min_resource: int,
        max_resource: int,
        type: str = "promotion",
        brackets: int = 1,
        fill_rungs: bool = False,
        early_eta: Sequence[int] | None = None,
        early_trials: int = 80,
        leaders: Sequence[int] | None = None,
        probes: int | None = None,
        seed: int = 0,
        ranking: MakeRanking = ByScore,
    ) -> None:
        problems = check_geometry(min_resource, max_resource, eta)
        resources = () if problems else rung_resources(min_resource, max_resource, eta)
        problems += option_problems(TYPES, type=type) + boolean_problems(fill_rungs=fill_rungs)
        if wrong := integer_problems(brackets=brackets):
            problems += wrong
        elif resources and brackets > len(resources):
            problems.append(Problem("brackets", f"must be at most {len(resources)}, the number of rungs", brackets))
        problems += _problems_beyond_the_paper(early_eta, early_trials, leaders, probes)
        beyond = {"early_eta": early_eta, "leaders": leaders, "probes": probes}
        if type == "stopping":
            needed = "needs `type: promotion`; leave it out, or set it to null"
            problems += [Problem(key, needed, value) for key, value in beyond.items() if value is not None]
        elif probes is not None and brackets != 1:
            needed = "needs `brackets: 1`: more of them begin trials further up anyway"
            problems.append(Problem("probes", needed, probes))
        elif probes is not None and ranking is not ByScore:
            needed = "needs one metric, as it compares trials by their scores; leave it out, or set it to null"
            problems.append(Problem("probes", needed, probes))
        if problems:
            raise ConfigError(problems)
        self._trials = trials
        self._eta = eta
        self._seed = seed
        self._stopping = type == "stopping"
        self._fill_rungs = fill_rungs
        self._early_eta = early_eta
        self._early_trials = early_trials
        self._leaders = leaders
        self._probes = None if probes is None else Probes(probes)
        top = len(resources) - 1
        etas = [eta if early_eta is None else _of_rung(early_eta, k) for k in range(top + 1)]
        self._least_eta = [min(eta, early) for early in etas]
        waits = [None if leaders is None else _of_rung(leaders, k) for k in range(top + 1)]
        self._brackets = [
            Bracket(resources[b:], [self.rung(etas[k], ranking, waits[k]) for k in range(top + 1 - b)])
            for b in range(brackets)
        ]
        sizes = [bracket_size(top - b, top, eta) for b in range(brackets)]
        self._shares = [size / sum(sizes) for size in sizes]
        self._limit = len(resources)

    def next_job(self) -> Job | NoTrial:
        if (promotion := self._promotion(lambda bracket: bracket.pop_promotable(self._limit))) is not None:
            return promotion
        index = self._drawn_bracket(self._trials.next_id)
        rung = self._first_rung(self._trials.next_id)
        trial = self._trials.new(first_rung=index + rung)
        if isinstance(trial, NoTrial):
            is_last = trial is EXHAUSTED and self._fill_rungs
            filling = self._promotion(lambda bracket: bracket.pop_filling(self._eta)) if is_last else None
            return filling or trial
        if trial.first_rung is not None and len(self._brackets) > 1:  # the searcher knows better than chance
            index = min(trial.first_rung, len(self._brackets) - 1)
        self._brackets[index].n_trials += 1
        if self._probes is not None and rung > 0:
            self._probes.begins(trial.id)
        return self._job(trial, index, self._brackets[index].top if self._stopping else rung)

    def _drawn_bracket(self, trial_id: int) -> int:
        if len(self._brackets) == 1:
            return 0
        return int(generator(self._seed, "bracket", trial_id).choice(len(self._shares), p=self._shares))

    def _first_rung(self, trial_id: int) -> int:
        return 0 if self._probes is None else min(self._probes.first_rung(trial_id), self._brackets[0].top)

    def _promotion(self, pop: Callable[[Bracket], tuple[Trial, int] | None]) -> Job | None:
        """The job of what the first bracket that has something promotes."""
        for index, bracket in enumerate([] if self._stopping else self._brackets):
            if (promoted := pop(bracket)) is not None:
                return self._job(promoted[0], index, promoted[1])
        return None

    def _job(self, trial: Trial, bracket: int, rung: int) -> Job:
        resources = self._brackets[bracket].resources
        self._brackets[bracket].in_flight[rung] += 1
        return Job(trial, resources[rung], rung, bracket, milestones=resources[:-1] if self._stopping else ())

    def on_report(self, job: Job, evaluation: Evaluation) -> Decision:
        bracket = self._brackets[job.bracket]
        if evaluation.resource not in bracket.resources[: job.rung]:
            return super().on_report(job, evaluation)
        rung = bracket.resources.index(evaluation.resource)
        if not self._stopping:  # a probe, or its trial would have come to that rung by a job of its own
            bracket.rungs[rung].add_passing(evaluation)
            self._on_member(bracket, rung, evaluation)
            return Decision(rung=rung)
        rank = bracket.rungs[rung].add(evaluation)
        n = len(bracket.rungs[rung])
        kept = max(1, n // self._eta)
        if rank < kept and evaluation.status is Status.OK:
            return Decision(rung=rung)
        return Decision(stop=True, rung=rung, reason=f"rung {rung}: rank {rank + 1} of {n}, kept {kept}")

    def on_result(self, job: Job, evaluation: Evaluation) -> Sequence[StateChange]:
        bracket, failed = self._brackets[job.bracket], evaluation.status is Status.FAILED
        at_top = job.rung == bracket.top
        own = StateChange(job.trial.id, State.FAILED if failed else State.COMPLETED if at_top else State.PAUSED)
        if self._stopping:
            return [own]
        bracket.in_flight[job.rung] -= 1
        bracket.rungs[job.rung].add(evaluation)
        self._on_member(bracket, job.rung, evaluation)
        stopped = [] if failed or at_top else self._stopped(job, evaluation)
        return stopped if any(change.trial_id == job.trial.id for change in stopped) else [own, *stopped]

    def _on_member(self, bracket: Bracket, rung: int, evaluation: Evaluation) -> None:
        """What a rung's new member changes in the rules for the others."""
        if rung == 0 and len(bracket.rungs[0]) == self._early_trials:
            for above in bracket.rungs:
                above.eta = self._eta
        if self._probes is not None and evaluation.status is not Status.FAILED:
            self._probes.reached(evaluation.trial.id, rung, evaluation.score)
            for above in bracket.rungs:
                above.passed_count = not self._probes.in_doubt

    def _stopped(self, job: Job, evaluation: Evaluation) -> list[StateChange]:
        """The trials that can't be promoted any more, however the rest turns out, now that this one came in."""
        if evaluation.status is Status.NOT_FINITE:
            return [StateChange(job.trial.id, State.STOPPED, f"rung {job.rung}: the metric is not finite")]
        if self._trials.n_trials is None:
            return []
        rung, most = self._brackets[job.bracket].rungs[job.rung], self._most_promoted(job.rung, self._trials.n_trials)
        return [
            StateChange(
                trial_id,
                State.STOPPED,
                f"rung {job.rung}: rank {rank + 1} of {len(rung)}, at most {most} can be promoted",
            )
            for trial_id, rank in rung.pop_beyond(most)
        ]

    def _most_promoted(self, rung: int, n_trials: int) -> int:
        """A trial of this rank (from 0) on the rung, or a worse one, is never promoted.

        Of n trials a rung never holds more than n / eta^k, so that ranks beyond a fixed one have no hope. Leaders and
        probes may fill it further, but of its members eta lets no greater share go on, and the leader's rank is 0.
        """
        n = max(n_trials, self._trials.next_id)  # a session may allow fewer trials than there are already
        is_open = self._leaders is not None or self._probes is not None
        members = n if is_open else n // math.prod(self._least_eta[:rung])
        return max(members // self._least_eta[rung], int(self._fill_rungs or self._leaders is not None))

    def describe(self) -> str:
        what = "stopped unless" if self._stopping else "promoted if"
        lines = [f"rungs at {', '.join(map(str, bracket.resources))}" for bracket in self._brackets]
        if len(lines) > 1:
            shares = zip(lines, self._shares, strict=True)
            lines = [f"bracket {b}: {line}; {share:.0%} of the trials" for b, (line, share) in enumerate(shares)]
        lines[-1] += f"; {what} within the top 1/{self._eta}"
        if self._early_eta is not None:
            early = ", ".join(f"1/{eta}" for eta in self._early_eta)
            lines[-1] += f" ({early} from the first rung up, until that has {self._early_trials})"
        if self._leaders is not None:
            lines[-1] += f", or best of at least {', '.join(map(str, self._leaders))} from the first rung up"
        if self._probes is not None:
            lines.append(self._probes.describe())
        return "\n".join(lines)


def _of_rung(values: Sequence[int], rung: int) -> int:
    """The value of a rung where the last one is that of all above."""
    return values[min(rung, len(values) - 1)]


def _problems_beyond_the_paper(
    early_eta: Sequence[int] | None, early_trials: int, leaders: Sequence[int] | None, probes: int | None
) -> list[Problem]:
    """What is wrong with these by themselves."""
    problems = integer_problems(early_trials=early_trials)
    problems += [] if probes is None else integer_problems(least=2, probes=probes)
    for least, given in ((2, {"early_eta": early_eta}), (1, {"leaders": leaders})):
        wanted = f"null or a list of integers of at least {least}, one of each rung from the first one up"
        problems += value_problems(wanted, partial(_is_by_rung, least=least), **given)
    return problems


def _is_by_rung(values: Any, least: int) -> bool:
    if values is None:
        return True
    is_list = isinstance(values, Sequence) and not isinstance(values, str) and len(values) > 0
    return is_list and all(is_integer(value, least) for value in values)
