"""PriorBand's sampling (Mallik et al. 2023, "PriorBand: Practical Hyperparameter Optimization in the Age of Deep
Learning"): a mixture of uniform samples, samples from the priors, and variations of the incumbent.

    eta = eta    R = max_resource    r = first_rung    λ̂ = the incumbent, the configuration with the best score so far

    p_U = 1 / (1 + eta^r), p_π + p_λ̂ = 1 - p_U
        At the lowest rung half of the samples are uniform; where a bracket begins higher, where samples are dearer,
        the priors are trusted more.
    p_π : p_λ̂ = S_π : S_λ̂, once the trials have spent eta · R, about one bracket's worth; p_λ̂ = 0 before
        S is the sum of the densities of the best K = floor(n / eta) configurations of the highest rung that has n >=
        eta finite evaluations, weighted K for the best one to 1 for the last. So bad priors lose their share.
        K is 32 at most, so that a suggestion doesn't cost more the longer a study runs.

Hyperband with this searcher is the paper's algorithm. The paper also waits for a configuration that was trained to R
before it uses the incumbent; that is left out here, for the sake of PASHA, whose trials may never get there.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from sortedcontainers import SortedList

from hpo_pipeline.checks import integer_problems
from hpo_pipeline.errors import ConfigError, Problem
from hpo_pipeline.evaluation import Evaluation, Status
from hpo_pipeline.searcher.random import RandomSearch
from hpo_pipeline.space import Constant, Parameter, Prior, SearchSpace
from hpo_pipeline.space.domain import text
from hpo_pipeline.trial import Config, Value

MUTATION_RATE = 0.5
"""Probability that a hyperparameter of the incumbent is varied."""
CONFIDENCE = "medium"
"""How near to the incumbent: a normal of standard deviation 0.25; a choice's own value 4 times as likely as others."""

MOST_RANKED = 32
"""How many of the best configurations of a rung are asked whether they look like the priors or like the incumbent."""


class Shares(NamedTuple):
    """How likely each source of a sample is; they add up to 1."""

    uniform: float
    prior: float
    incumbent: float


@dataclass(frozen=True, slots=True, order=True)
class _Member:
    """A finite score on a rung, with the logarithm of the configuration's density under the priors."""

    score: float
    trial_id: int
    config: Config = field(compare=False)
    log_prior: float = field(compare=False)


class PriorBand(RandomSearch):
    """Random search, but for what a configuration is drawn from. A hyperparameter without a `prior` has a uniform one.

    Args:
        max_resource: what a trial can be trained to.
        eta: reduction factor of the scheduler.
    """

    def __init__(self, space: SearchSpace, seed: int, max_resource: int, eta: int = 3) -> None:
        if problems := _problems(space, max_resource, eta):
            raise ConfigError(problems)
        super().__init__(space, seed)
        self._eta = eta
        self._spent_before_incumbent = eta * max_resource
        self._rungs: dict[int, SortedList[_Member]] = {}  # by resource
        self._reached: dict[int, int] = {}  # trial id -> resource
        self._spent = 0
        self._incumbent: _Member | None = None
        self._log_near: dict[tuple[int, int], float] = {}  # (resource, trial id): densities around this incumbent

    def _source(self, first_rung: int, rng: np.random.Generator) -> tuple[Callable[[np.random.Generator], Config], str]:
        shares, at = self.shares(first_rung), rng.random()
        if at < shares.uniform:
            return self._space.sample, "uniform"
        if at < shares.uniform + shares.prior or self._incumbent is None:
            return self._space.sample_prior, "prior"
        incumbent = self._incumbent.config
        return lambda rng: variation(self._space, incumbent, rng), f"near trial {self._incumbent.trial_id}"

    def on_evaluation(self, evaluation: Evaluation) -> None:
        if evaluation.rung is None:
            return
        trial, resource = evaluation.trial, evaluation.resource
        before = self._reached.get(trial.id, 0)
        self._reached[trial.id] = max(before, resource)
        self._spent += self._reached[trial.id] - before
        if evaluation.status is not Status.OK:
            return
        member = _Member(evaluation.score, trial.id, trial.config, _log_density(self._space, trial.config))
        self._rungs.setdefault(resource, SortedList()).add(member)
        if self._incumbent is None or member < self._incumbent:
            self._incumbent = member
            self._log_near.clear()

    def shares(self, first_rung: int = 0) -> Shares:
        """How likely a trial that begins at rung `first_rung` is to come from each source, after what was observed."""
        uniform = 1 / (1 + self._eta**first_rung)
        incumbent = (1 - uniform) * self._part_of_incumbent()
        return Shares(uniform, 1 - uniform - incumbent, incumbent)

    def _part_of_incumbent(self) -> float:
        """S_λ̂ / (S_π + S_λ̂), or 0 while too little has been evaluated."""
        resource = max((at for at, rung in self._rungs.items() if len(rung) >= self._eta), default=None)
        if resource is None or self._spent < self._spent_before_incumbent:
            return 0.0
        rung = self._rungs[resource]
        best = rung[: min(len(rung) // self._eta, MOST_RANKED)]
        near = [self._log_density_near(member, resource) for member in best]
        # Products of many densities leave the range of floats: only their ratios to the largest one are formed.
        largest = max(*near, *(member.log_prior for member in best))
        weights = range(len(best), 0, -1)
        s_near = sum(w * math.exp(log - largest) for w, log in zip(weights, near, strict=True))
        s_prior = sum(w * math.exp(e.log_prior - largest) for w, e in zip(weights, best, strict=True))
        return s_near / (s_near + s_prior)

    def _log_density_near(self, member: _Member, resource: int) -> float:
        assert self._incumbent is not None  # for the type checker: there are evaluations
        key = (resource, member.trial_id)
        if key not in self._log_near:
            self._log_near[key] = _log_density(self._space, member.config, self._incumbent.config)
        return self._log_near[key]


def _problems(space: SearchSpace, max_resource: Any, eta: Any) -> list[Problem]:
    problems = [*integer_problems(max_resource=max_resource), *integer_problems(least=2, eta=eta)]
    if space.dim and not any(p.prior for p in space.parameters):
        tuned = next(p for p in space.parameters if not p.when and not isinstance(p.domain, Constant))
        what = (
            "PriorBand needs to know where good values are believed to lie, and no hyperparameter has a "
            f"prior; add some, e.g. '+search_space.{tuned.path}.prior={{center: {text(tuned.domain.midpoint)}}}'"
        )
        problems.append(Problem("_target_", what))
    return problems + [Problem("_target_", f"PriorBand: {found}") for found in space.check_constraints(prior=True)]


def _belief(parameter: Parameter, center: Config | None) -> Prior | None:
    """What a value is drawn from: the neighbourhood of `center`, where it has one, else the prior; None: uniform."""
    if isinstance(parameter.domain, Constant):
        return None
    if center is not None and parameter.is_active(center):
        return Prior(center[parameter.path], CONFIDENCE)
    return parameter.prior


def _log_density(space: SearchSpace, config: Config, center: Config | None = None) -> float:
    """Logarithm of the density in the unit cube of `config` under the priors, or around `center`."""
    total = 0.0
    for parameter in space.parameters:
        if parameter.is_active(config) and (belief := _belief(parameter, center)):
            total += math.log(belief.pdf(parameter.domain, parameter.domain.to_unit(config[parameter.path])))
    return total


def variation(space: SearchSpace, config: Config, rng: np.random.Generator) -> dict[str, Value]:
    """A configuration near `config`: each hyperparameter is drawn from around its value with probability 0.5.

    Those that `config` doesn't have, and that exist now that a choice has changed, come from their priors.
    """
    while True:  # what the constraints name stays as it is, and is allowed, with a probability above 0
        varied: dict[str, Value] = {}
        for parameter in space.parameters:
            if not parameter.is_active(varied):
                continue
            if parameter.is_active(config) and rng.random() >= MUTATION_RATE:
                varied[parameter.path] = config[parameter.path]
            else:
                belief = _belief(parameter, config)
                u = belief.sample(parameter.domain, rng) if belief else rng.random()
                varied[parameter.path] = parameter.domain.from_unit(u)
        if space.allows(varied):
            return varied
