"""ASHA, asynchronous successive halving (Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning").

`type: promotion` is its Algorithm 2: a free worker gets the best trial not yet promoted of the highest rung that has
one within the top 1/eta, else a new trial at the bottom. `type: stopping` is the variant without pauses: a trial
trains on towards the top and is stopped at the first rung at which it is not within the top 1/eta of those that came
there before it (the first one always goes on).

With `brackets` above 1 it is asynchronous Hyperband: bracket b leaves out the lowest b rungs, and each new trial is
drawn into one of them, as often as gives every bracket the share of the budget that Hyperband gives it.

    r = min_resource    R = max_resource    eta = eta    rung k = resources[k]
"""

from __future__ import annotations

from collections.abc import Sequence

from hpo_pipeline.checks import integer_problems, option_problems
from hpo_pipeline.errors import ConfigError, Problem
from hpo_pipeline.evaluation import Evaluation, Status
from hpo_pipeline.ranking import ByScore, MakeRanking
from hpo_pipeline.scheduler import Scheduler
from hpo_pipeline.scheduler.hyperband import bracket_size
from hpo_pipeline.scheduler.rungs import Rung, check_geometry, rung_resources
from hpo_pipeline.searcher import NoTrial
from hpo_pipeline.searcher.trial_generator import TrialGenerator
from hpo_pipeline.seeding import generator
from hpo_pipeline.trial import Decision, Job, State, StateChange, Trial

TYPES = ("promotion", "stopping")


class Bracket:
    """One bracket: its rungs, from the bottom up."""

    def __init__(self, resources: tuple[int, ...], rungs: Sequence[Rung]) -> None:
        self.resources = resources
        self.rungs = rungs
        self.top = len(resources) - 1

    def pop_promotable(self, limit: int) -> tuple[Trial, int] | None:
        """(trial, rung to go to) of the highest rung below `limit` that has one to promote."""
        for rung in range(min(limit, self.top) - 1, -1, -1):
            if (trial := self.rungs[rung].pop_promotable()) is not None:
                return trial, rung + 1
        return None


class ASHA(Scheduler):
    """Asynchronous successive halving: no worker ever waits for a rung.

    Attributes:
        rung: what a rung is: which of its trials is promoted next. A subclass may have another rule.

    Args:
        eta, min_resource, max_resource: of the rungs.
        type: "promotion" or "stopping".
        brackets: how many brackets; 1 is ASHA, more is asynchronous Hyperband.
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
        seed: int = 0,
        ranking: MakeRanking = ByScore,
    ) -> None:
        problems = check_geometry(min_resource, max_resource, eta)
        resources = () if problems else rung_resources(min_resource, max_resource, eta)
        problems += option_problems(TYPES, type=type)
        if wrong := integer_problems(brackets=brackets):
            problems += wrong
        elif resources and brackets > len(resources):
            problems.append(Problem("brackets", f"must be at most {len(resources)}, the number of rungs", brackets))
        if problems:
            raise ConfigError(problems)
        self._trials = trials
        self._eta = eta
        self._seed = seed
        self._stopping = type == "stopping"
        ladders = [resources[b:] for b in range(brackets)]
        self._brackets = [Bracket(above, [self.rung(eta, ranking) for _ in above]) for above in ladders]
        top = len(resources) - 1
        sizes = [bracket_size(top - b, top, eta) for b in range(brackets)]
        self._shares = [size / sum(sizes) for size in sizes]
        self._limit = len(resources)

    def next_job(self) -> Job | NoTrial:
        if not self._stopping:
            for index, bracket in enumerate(self._brackets):
                if (promoted := bracket.pop_promotable(self._limit)) is not None:
                    return self._job(promoted[0], index, promoted[1])
        index = self._drawn_bracket(self._trials.next_id)
        trial = self._trials.new(first_rung=index)
        if isinstance(trial, NoTrial):
            return trial
        return self._job(trial, index, self._brackets[index].top if self._stopping else 0)

    def _drawn_bracket(self, trial_id: int) -> int:
        if len(self._brackets) == 1:
            return 0
        return int(generator(self._seed, "bracket", trial_id).choice(len(self._shares), p=self._shares))

    def _job(self, trial: Trial, bracket: int, rung: int) -> Job:
        resources = self._brackets[bracket].resources
        return Job(trial, resources[rung], rung, bracket, milestones=resources[:-1] if self._stopping else ())

    def on_report(self, job: Job, evaluation: Evaluation) -> Decision:
        if evaluation.resource not in job.milestones:
            return super().on_report(job, evaluation)
        bracket = self._brackets[job.bracket]
        rung = bracket.resources.index(evaluation.resource)
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
        bracket.rungs[job.rung].add(evaluation)
        stopped = [] if failed or at_top else self._stopped(job, evaluation)
        return stopped if any(change.trial_id == job.trial.id for change in stopped) else [own, *stopped]

    def _stopped(self, job: Job, evaluation: Evaluation) -> list[StateChange]:
        """The trials that can't be promoted any more, however the rest turns out, now that this one came in."""
        if evaluation.status is Status.NOT_FINITE:
            return [StateChange(job.trial.id, State.STOPPED, f"rung {job.rung}: the metric is not finite")]
        if self._trials.n_trials is None:
            return []
        rung = self._brackets[job.bracket].rungs[job.rung]
        # A rung never holds more than n_trials / eta^k trials, so ranks beyond a fixed one are never promoted. (A
        # session may allow fewer trials than there are already, or more than before: what was stopped then stays so.)
        most = max(self._trials.n_trials, self._trials.next_id) // self._eta ** (job.rung + 1)
        return [
            StateChange(
                trial_id,
                State.STOPPED,
                f"rung {job.rung}: rank {rank + 1} of {len(rung)}, at most {most} can be promoted",
            )
            for trial_id, rank in rung.pop_beyond(most)
        ]

    def describe(self) -> str:
        what = "stopped unless" if self._stopping else "promoted if"
        lines = [f"rungs at {', '.join(map(str, bracket.resources))}" for bracket in self._brackets]
        if len(lines) > 1:
            shares = zip(lines, self._shares, strict=True)
            lines = [f"bracket {b}: {line}; {share:.0%} of the trials" for b, (line, share) in enumerate(shares)]
        lines[-1] += f"; {what} within the top 1/{self._eta}"
        return "\n".join(lines)
