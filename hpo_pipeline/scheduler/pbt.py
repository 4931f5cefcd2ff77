"""Population-based training (Jaderberg et al. 2017, arXiv:1711.09846).

A population is trained side by side, `interval` at a time. Before a member goes on it may *exploit*: if it is among the
worst `quantile`, it takes over the weights and hyperparameters of one of the best `quantile` (truncation selection; one
member each at least, however small the population). Then it *explores*: each hyperparameter is drawn afresh with
probability `resample`, else perturbed, times 1.2 or 0.8.

A member is one trial from beginning to end, and its count of resource its own; what changes are its weights and its
configuration. Hyperparameters that a network's shape depends on can't change with the weights of another: `keep` names
those that are only ever copied, not explored.
"""

from __future__ import annotations

import fnmatch
import heapq
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from hpo_pipeline.checks import integer_problems, is_number, value_problems
from hpo_pipeline.errors import ConfigError, Problem
from hpo_pipeline.evaluation import Evaluation, Status
from hpo_pipeline.ranking import ByScore, MakeRanking
from hpo_pipeline.scheduler import Scheduler
from hpo_pipeline.searcher import EXHAUSTED, NoTrial
from hpo_pipeline.searcher.trial_generator import TrialGenerator
from hpo_pipeline.seeding import generator
from hpo_pipeline.space import Choice, Float, Int, Parameter, SearchSpace
from hpo_pipeline.trial import Job, State, StateChange, Trial, Value

FACTORS = (0.8, 1.2)


@dataclass(slots=True)
class _Member:
    """`resource` is where its last interval ended."""

    trial: Trial
    resource: int = 0


class PBT(Scheduler):
    """A population that copies its best members.

    Args:
        space: what is explored.
        seed: of the study.
        max_resource: what each member is trained to.
        population: number of members; n_trials must allow as many.
        interval: resource between two chances to exploit.
        quantile: share of the population that copies, and that is copied; at most 0.5. Above 0 it is one member at
            least, as soon as two are ranked.
        resample: probability of drawing a hyperparameter afresh instead of perturbing it.
        keep: patterns of paths that are copied but never explored.
        ranking: how the members are compared.
    """

    def __init__(
        self,
        trials: TrialGenerator,
        space: SearchSpace,
        seed: int,
        max_resource: int,
        population: int = 8,
        interval: int = 1,
        quantile: float = 0.25,
        resample: float = 0.25,
        keep: Sequence[str] = (),
        ranking: MakeRanking = ByScore,
    ) -> None:
        problems = integer_problems(max_resource=max_resource, population=population, interval=interval)
        if not problems and trials and trials.n_trials is not None and trials.n_trials < population:
            wanted = f"must be at most n_trials ({trials.n_trials}), got {population}"
            mend = "a population is complete from the beginning: lower population or raise n_trials"
            problems.append(Problem("population", f"{wanted}; {mend}"))
        problems += value_problems("a number from 0 to 0.5", lambda value: is_number(value, 0, 0.5), quantile=quantile)
        if isinstance(keep, str) or not isinstance(keep, Sequence) or not all(isinstance(path, str) for path in keep):
            problems.append(Problem("keep", "must be a list of patterns of paths", keep))
        problems += value_problems("a number from 0 to 1", lambda value: is_number(value, 0, 1), resample=resample)
        if problems:
            raise ConfigError(problems)
        self._trials = trials
        self._space = space
        self._seed = seed
        self._resource = max_resource
        self._population = population
        self._interval = interval
        self._quantile = quantile
        self._resample = resample
        self._keep = list(keep)
        self._members: dict[int, _Member] = {}
        self._ranked = ranking()  # the members by their last intervals; one without any isn't in it
        self._n_ok = 0  # how many of those can be copied
        self._ready: list[tuple[int, int]] = []  # (resource, trial id): the one furthest behind goes on first
        self._running = 0
        self._complete: list[int] = []

    def next_job(self) -> Job | NoTrial:
        trial: Trial | NoTrial = self._trials.new() if len(self._members) < self._population else EXHAUSTED
        if isinstance(trial, Trial):
            self._members[trial.id] = _Member(trial)
            return self._job(self._members[trial.id], None)
        if not self._ready:
            return trial
        _, trial_id = heapq.heappop(self._ready)
        member = self._members[trial_id]
        return self._job(member, self._exploit(member))

    def _job(self, member: _Member, source: tuple[int, int] | None) -> Job:
        self._running += 1
        end = min(member.resource + self._interval, self._resource)
        return Job(member.trial, end, rung=-(-end // self._interval) - 1, source=source)

    def _exploit(self, member: _Member) -> tuple[int, int] | None:
        """Makes a bad member a variation of a good one; returns whose checkpoint it goes on from, None for its own."""
        n = self._n_exploiting()
        if self._ranked.rank(member.trial.id) < len(self._ranked) - n or min(n, self._n_ok) == 0:
            return None
        rng = generator(self._seed, "pbt", member.trial.id, member.resource)
        source = self._members[self._ranked[int(rng.integers(min(n, self._n_ok)))].trial.id]
        config = explore(self._space, source.trial.config, self._keep, self._resample, rng)
        member.trial = replace(member.trial, config=config)
        return source.trial.id, source.resource

    def _n_exploiting(self) -> int:
        """How many of the ranked members copy, and are copied: the quantile, but one at least of two or more."""
        if not self._quantile or len(self._ranked) < 2:
            return 0
        return max(1, math.floor(round(self._quantile * len(self._ranked), 9)))  # 0.29 · 100 is 28.999…

    def on_result(self, job: Job, evaluation: Evaluation) -> Sequence[StateChange]:
        self._running -= 1
        member = self._members[job.trial.id]
        if member.resource:
            self._remove(job.trial.id)
        if evaluation.status is Status.FAILED:  # its place in the population stays empty, and it is never copied
            return [StateChange(job.trial.id, State.FAILED), *self._completed()]
        if evaluation.finished:  # its checkpoint may go: it is copied no more
            return [StateChange(job.trial.id, State.COMPLETED), *self._completed()]
        member.resource = job.resource
        self._ranked.add(evaluation)
        self._n_ok += evaluation.status is Status.OK
        if job.resource < self._resource:
            heapq.heappush(self._ready, (job.resource, job.trial.id))
            return [StateChange(job.trial.id, State.PAUSED)]
        # The others may still copy it: its checkpoint has to stay until all are through.
        self._complete.append(job.trial.id)
        return self._completed() or [StateChange(job.trial.id, State.PAUSED, "through; may still be copied")]

    def _remove(self, trial_id: int) -> None:
        """From the ranking: the member is copied no more, until its next interval ends."""
        self._n_ok -= self._ranked[self._ranked.rank(trial_id)].status is Status.OK
        self._ranked.remove(trial_id)

    def _completed(self) -> list[StateChange]:
        if self._running or self._ready or (len(self._members) < self._population and not self._trials.exhausted):
            return []
        through, self._complete = self._complete, []
        for trial_id in through:  # final: its checkpoint may go, so it is copied no more
            self._remove(trial_id)
        return [StateChange(trial_id, State.COMPLETED) for trial_id in through]

    def describe(self) -> str:
        return (
            f"a population of {self._population}, each trained to {self._resource}; every {self._interval} the worst "
            f"{self._quantile:.0%} copy the best {self._quantile:.0%} and explore"
        )


def explore(
    space: SearchSpace,
    config: Mapping[str, Value],
    keep: Sequence[str],
    resample: float,
    rng: np.random.Generator,
) -> dict[str, Value]:
    """A variation of `config`: every hyperparameter that isn't kept is drawn afresh or perturbed, within its bounds."""
    varied: dict[str, Value] = {}
    for parameter in space.parameters:
        if not parameter.is_active(varied):
            continue
        value = config.get(parameter.path)
        if parameter.path in config and any(fnmatch.fnmatchcase(parameter.path, pattern) for pattern in keep):
            varied[parameter.path] = value
        elif parameter.path not in config or rng.random() < resample:
            varied[parameter.path] = parameter.domain.from_unit(float(rng.random()))
        else:
            varied[parameter.path] = _perturbed(parameter, value, rng)
    return varied if space.allows(varied) else dict(config)


def _perturbed(parameter: Parameter, value: Value, rng: np.random.Generator) -> Value:
    """A number times 0.8 or 1.2, moved into its domain; of listed values the one before or after; a choice as it is."""
    domain = parameter.domain
    up = bool(rng.random() < 0.5)
    if isinstance(domain, Choice):
        return value
    if isinstance(domain, Float) and domain.size is None and isinstance(value, (int, float)):
        return min(max(float(value) * FACTORS[up], domain.low), domain.high)
    if isinstance(domain, Int) and isinstance(value, int) and not any((domain.step, domain.n, domain.base)):
        # At least one step, so that small numbers can move at all.
        target = round(value * FACTORS[up])
        target = target if target != value else value + (1 if up else -1)
        return min(max(target, domain.low), domain.high)
    values = list(domain.values()) if domain.size is not None else []
    if value not in values:
        return domain.from_unit(float(rng.random()))
    return values[min(max(values.index(value) + (1 if up else -1), 0), len(values) - 1)]
