"""Hyper-Tune (Li et al. 2022, "Hyper-Tune: Towards Efficient Hyper-parameter Tuning at Scale"), for ASHA with brackets.

    D_i = the evaluations at the i-th resource    M_i = a Gaussian process over D_i    K = the top
    p_i = the share of pairs of D_K that M_i puts in the right order; of M_K, by 5-fold cross-validation
    θ_i = p_i³ / Σ p_j³    μ = Σ θ_i μ_i    σ² = Σ θ_i² σ_i²

The ensemble's expected improvement says which configuration, and the same weights say how much of it: a trial begins on
rung b with probability ∝ θ_b / r_b (Hyperband's number of trials there is about ∝ 1 / r_b), so cheap evaluations are
relied on as far as they have been right about dear ones. Pending trials are believed to come to each model's mean.

K is the highest resource with at least 5 evaluations; below 10 its own model has no weight. While a rung below it has
fewer than 5, the scheduler draws where trials begin: a rung without a model has no weight, and would never get another
trial. The third part of the paper, delayed promotion, is how `asha` promotes anyway.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from hpo_pipeline.checks import integer_problems
from hpo_pipeline.errors import ConfigError
from hpo_pipeline.searcher import Suggestion
from hpo_pipeline.searcher.gaussian_process import Posterior
from hpo_pipeline.searcher.gp import GPSearch, Heard, with_resource
from hpo_pipeline.searcher.one_core import one_core
from hpo_pipeline.searcher.surrogate import Surrogate
from hpo_pipeline.seeding import generator
from hpo_pipeline.space import SearchSpace

Array = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]

MOST_EVALUATIONS = 300
"""In one resource's model after a refit, and of the top's that models are judged by: the newest ones."""
LEAST_AT_TOP = 5
"""Evaluations that a resource needs for models to be judged by it."""
LEAST_OWN = 10
"""Evaluations at the top that its own model needs to have a weight."""
FOLDS = 5


class HyperTune(GPSearch):
    """Proposes where the ensemble expects the greatest improvement, and on which rung the trial begins.

    Args:
        brackets, eta, min_resource: the scheduler's; rung b is at min_resource · eta^b. With one bracket all trials
            begin on the lowest rung.
        n_startup, uniform: see LearningSearcher.
    """

    def __init__(
        self,
        space: SearchSpace,
        seed: int,
        brackets: int = 1,
        eta: int = 3,
        min_resource: int = 1,
        *,
        n_startup: int = 10,
        uniform: float = 0.1,
    ) -> None:
        problems = integer_problems(brackets=brackets, min_resource=min_resource) + integer_problems(eta=eta, least=2)
        if problems:
            raise ConfigError(problems)
        super().__init__(space, seed, n_startup=n_startup, uniform=uniform)
        self._first_resources = [min_resource * eta**b for b in range(brackets)]
        self._surrogates: dict[int, Surrogate] = {}  # by resource

    def suggest(self, trial_id: int, first_rung: int = 0) -> Suggestion:
        suggestion = super().suggest(trial_id, first_rung)
        if len(self._first_resources) == 1 or self.observed.n_evaluated < self._n_startup:
            return suggestion
        rng = generator(self._seed, "first rung", trial_id)
        with one_core():
            ensemble = self._model(Heard.of(self.observed), self.cube.features(self.observed.points))
        return suggestion if ensemble is None else replace(suggestion, first_rung=self._drawn_rung(ensemble, rng))

    def _drawn_rung(self, ensemble: Ensemble, rng: np.random.Generator) -> int | None:
        top, known = max(ensemble.weights), ensemble.weights.keys()
        if any(resource < top and resource not in known for resource in self._first_resources):
            return None
        shares = np.array([ensemble.weights.get(resource, 0) / resource for resource in self._first_resources])
        return int(rng.choice(len(shares), p=shares / shares.sum())) if shares.any() else None

    def _model(self, heard: Heard, features: Array) -> Ensemble | None:
        """The models of all resources that have one, with their weights; None where no resource has."""
        targets = heard.targets()
        top, models = heard.top(LEAST_AT_TOP), {}
        for resource in self.observed.resources:
            at = np.flatnonzero(heard.resources == resource)
            inputs = with_resource(features[heard.rows[at]], resource)
            surrogate = self._surrogates.setdefault(resource, Surrogate(self._kernel, MOST_EVALUATIONS))
            model = surrogate.given(inputs, targets[at], _TargetsOfFirst(heard, at))
            if model is not None:
                models[resource] = model
        at = np.flatnonzero(heard.resources == top)[-MOST_EVALUATIONS:]  # the number of their pairs is its square
        return Ensemble(models, weights(models, top, features[heard.rows[at]], targets[at])) if models else None


@dataclass(frozen=True, slots=True)
class _TargetsOfFirst:
    """The targets of the first n evaluations of those `at` one resource, when the last of them had just been heard."""

    heard: Heard
    at: Rows

    def __call__(self, n: int) -> Array:
        return self.heard.first(self.at[n - 1] + 1).targets()[self.at[:n]]


@dataclass(frozen=True, slots=True)
class Ensemble:
    """Models by resource, and their weights, which add up to 1."""

    models: dict[int, Posterior]
    weights: dict[int, float]

    @property
    def size(self) -> int:
        return sum(len(model.weights) for model in self.models.values())

    @property
    def name(self) -> str:
        return f"ensemble, mostly resource {max(self.weights, key=self.weights.__getitem__)}"

    def predict(self, features: Array) -> tuple[Array, Array]:
        mean, variance = np.zeros(len(features)), np.zeros(len(features))
        for resource, weight in self.weights.items():
            if weight:
                its_mean, its_deviation = self.models[resource].predict(with_resource(features, resource))
                mean += weight * its_mean
                variance += weight**2 * its_deviation**2
        return mean, np.sqrt(variance)

    def believing(self, features: Array, resources: Rows) -> Ensemble:
        models = {r: model.believing(with_resource(features, r)) for r, model in self.models.items()}
        return Ensemble(models, self.weights)


def weights(models: dict[int, Posterior], top: int, features: Array, targets: Array) -> dict[int, float]:
    """θ by resource, given the features `(n, p)` and targets `(n,)` of the evaluations at `top`.

    All are equal where none has a pair in the right order.
    """
    shares = {}
    for resource, model in models.items():
        if resource != top:
            shares[resource] = share_of_pairs(model.mean(with_resource(features, resource)), targets)
        else:
            shares[resource] = share_of_pairs(*model.cross_validated(FOLDS)) if len(targets) >= LEAST_OWN else 0.0
    total = sum(share**3 for share in shares.values())
    return {resource: share**3 / total if total else 1 / len(shares) for resource, share in shares.items()}


def share_of_pairs(predicted: Array, targets: Array) -> float:
    """Of all pairs with different targets, how many are predicted in the right order; 0 where there is no such pair."""
    order = np.sign(targets[:, None] - targets)
    differ = order > 0
    right = predicted[:, None] > predicted
    return float((right & differ).sum() / differ.sum()) if differ.any() else 0.0
