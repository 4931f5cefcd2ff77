"""Brackets of synchronous rungs: what successive halving repeats and Hyperband goes through in turn.

A rung is promoted when all its members are done; a failed one, or one whose metric is not finite, is done and ranks
last. While a bracket waits for its slowest trial, free workers open the next one, so that none is idle.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from hpo_pipeline.evaluation import Evaluation, Status
from hpo_pipeline.ranking import ByScore, MakeRanking
from hpo_pipeline.scheduler import Scheduler
from hpo_pipeline.scheduler.rungs import halving_sizes
from hpo_pipeline.searcher import EXHAUSTED, NOT_READY, NoTrial
from hpo_pipeline.searcher.trial_generator import TrialGenerator
from hpo_pipeline.trial import Job, State, StateChange, Trial


@dataclass(frozen=True, slots=True)
class Plan:
    """A bracket before it is opened: `sizes[i]` trials reach `resources[i]`.

    Attributes:
        index: its number in the logs.
        first_rung: how many rungs it leaves out at the bottom, compared with the longest bracket.
    """

    index: int
    sizes: tuple[int, ...]
    resources: tuple[int, ...]
    first_rung: int = 0

    def cost(self) -> int:
        """Units of resource, with trials that go on from their checkpoints."""
        steps = zip(self.resources, (0, *self.resources), strict=False)
        return sum(n * (end - start) for n, (end, start) in zip(self.sizes, steps, strict=True))

    def describe(self) -> str:
        rungs = ", ".join(f"{n} to {resource}" for n, resource in zip(self.sizes, self.resources, strict=True))
        return f"bracket {self.index}: {rungs}; {sum(self.sizes)} evaluations, total cost {self.cost()}"


@dataclass(slots=True)
class _Open:
    """A bracket at work on its rung number `rung`."""

    plan: Plan
    rung: int = 0
    sampled: int = 0
    running: int = 0
    queue: deque[Trial] = field(default_factory=deque)
    done: list[Evaluation] = field(default_factory=list)

    @property
    def filling(self) -> bool:
        return self.rung == 0 and self.sampled < self.plan.sizes[0]

    @property
    def at_top(self) -> bool:
        return self.rung == len(self.plan.resources) - 1


class Brackets(Scheduler):
    """Runs plan after plan until there are no more trials.

    Args:
        trials: a bracket that can't be filled goes on with those it has.
        plans: endless; the next one is opened when no open bracket has a job for a free worker.
        eta: reduction factor.
        ranking: how the trials of a rung are compared.
    """

    def __init__(self, trials: TrialGenerator, plans: Iterator[Plan], eta: int, ranking: MakeRanking = ByScore) -> None:
        self._trials = trials
        self._plans = plans
        self._next_plan = next(plans)
        self._eta = eta
        self._ranking = ranking
        self._open: list[_Open] = []
        self._of_trial: dict[int, _Open] = {}
        self._late: list[StateChange] = []
        """Of a rung that was closed without a result: told with the next one."""

    def next_job(self) -> Job | NoTrial:
        for bracket in self._open:
            if bracket.queue:
                return self._job(bracket, bracket.queue.popleft())
        filling = bool(self._open) and self._open[-1].filling
        plan = self._open[-1].plan if filling else self._next_plan
        trial = self._trials.new(plan.first_rung)
        if trial is NOT_READY:
            return trial
        if isinstance(trial, NoTrial):
            return self._job_without_new_trials()
        if not filling:
            self._open.append(_Open(plan))
            self._next_plan = next(self._plans)
        self._open[-1].sampled += 1
        return self._job(self._open[-1], trial)

    def _job_without_new_trials(self) -> Job | NoTrial:
        """A rung that was still filling goes on with the trials it has, where a session allows fewer than before."""
        for bracket in self._open:
            if self._is_settled(bracket) and any(evaluation.status is Status.OK for evaluation in bracket.done):
                self._late += self._close_rung(bracket)
                return self._job(bracket, bracket.queue.popleft())
        return EXHAUSTED

    def _job(self, bracket: _Open, trial: Trial) -> Job:
        bracket.running += 1
        self._of_trial[trial.id] = bracket
        return Job(trial, bracket.plan.resources[bracket.rung], bracket.rung, bracket.plan.index)

    def on_result(self, job: Job, evaluation: Evaluation) -> Sequence[StateChange]:
        bracket = self._of_trial.pop(job.trial.id)
        bracket.running -= 1
        bracket.done.append(evaluation)
        failed = evaluation.status is Status.FAILED
        state = State.FAILED if failed else State.COMPLETED if bracket.at_top else State.PAUSED
        changes = {change.trial_id: change for change in (*self._late, StateChange(job.trial.id, state))}
        self._late.clear()
        # The newest bracket may have been waiting for trials that this result used up the budget of.
        for settled in [b for b in self._open if self._is_settled(b)]:
            changes |= {change.trial_id: change for change in self._close_rung(settled)}
        return list(changes.values())

    def _is_settled(self, bracket: _Open) -> bool:
        """The rung's members are all done, and it has as many as it will ever have."""
        idle = not bracket.running and not bracket.queue
        return idle and (not bracket.filling or self._trials.exhausted)

    def _close_rung(self, bracket: _Open) -> list[StateChange]:
        """Promotes the best of a finished rung; the others are stopped."""
        ranked = self._ranking()
        for evaluation in bracket.done:
            ranked.add(evaluation)
        sizes = halving_sizes(bracket.sampled, len(bracket.plan.resources), self._eta)
        kept = 0 if bracket.at_top else sizes[bracket.rung + 1]
        members = [ranked[rank] for rank in range(len(ranked))]
        promoted = [member.trial for member in members[:kept] if member.status is Status.OK]
        changes = [
            StateChange(
                member.trial.id,
                State.STOPPED,
                f"rung {bracket.rung}: rank {rank} of {len(ranked)}, kept {len(promoted)}",
            )
            for rank, member in enumerate(members, start=1)
            if rank > len(promoted) and member.status is not Status.FAILED and not bracket.at_top
        ]
        bracket.done = []
        bracket.rung += 1
        bracket.queue.extend(promoted)
        if not promoted:
            self._open.remove(bracket)
        return changes
