"""Bayesian optimization with one Gaussian process over configurations and resources.

Where all trials are trained to one resource it is the expected improvement of Jones et al. 1998 ("Efficient Global
Optimization of Expensive Black-Box Functions"), in logarithms (Ament et al. 2023). With ASHA it is MOBSTER (Klein et
al. 2020, "Model-based Asynchronous Hyperparameter and Neural Architecture Search"): all rung evaluations enter one
model, and the improvement is that at the highest resource with at least 3 of them. The paper's kernel lets learning
curves decay exponentially; here a configuration's scores at two resources are the more alike the nearer these are, and
scores enter as ranks (targets.py), which assumes less of how they go on.

Pending jobs count as evaluated, with the mean that the model expects there ("kriging believer", Ginsbourger et al.
2010): one factor, no samples. It keeps proposals apart, as nothing is to be gained at a point that is believed in.
With several resources a least distance does so as well (distance.py).

A refit keeps 500 evaluations, the best and the newest ones; so the model never holds more than 650.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt

from hpo_pipeline.searcher.distance import Distance
from hpo_pipeline.searcher.expected_improvement import log_expected_improvement
from hpo_pipeline.searcher.gaussian_process import Kernel, Posterior
from hpo_pipeline.searcher.learning import LearningSearcher, Ranked
from hpo_pipeline.searcher.local_search import highest
from hpo_pipeline.searcher.observations import Observations
from hpo_pipeline.searcher.surrogate import Surrogate
from hpo_pipeline.searcher.targets import by_resource, half_warped
from hpo_pipeline.space import SearchSpace

Array = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]

MOST_EVALUATIONS = 500
"""In the model after a refit."""
LEAST_AT_TOP = 3
"""Evaluations that a resource needs for the improvement to be the one there."""
N_INCUMBENTS = 50
"""Trials, the best ones, among which the lowest mean is looked for."""
N_NEAR = 5
"""Trials, the best ones, around which candidates lie."""
WORK = 200_000
"""Candidates times evaluations in the model, about; so a suggestion stays within milliseconds."""
CANDIDATES = (200, 1000)
"""At least, and at most."""


class Model(Protocol):
    """What is expected of configurations, of which features `(m, p)` are given.

    Attributes:
        size: evaluations in it.
        name: for people.
    """

    @property
    def size(self) -> int: ...

    @property
    def name(self) -> str: ...

    def predict(self, features: Array) -> tuple[Array, Array]:
        """Mean and standard deviation `(m,)` of their targets at the highest resource that there is enough of."""

    def believing(self, features: Array, resources: Rows) -> Self:
        """The model as it would be if these pending jobs, which go to `resources` `(m,)`, came to its own means."""


class GPSearch(LearningSearcher):
    """Proposes where the model expects the greatest improvement.

    Args:
        n_startup, uniform: see LearningSearcher.
    """

    def __init__(self, space: SearchSpace, seed: int, *, n_startup: int = 10, uniform: float = 0.1) -> None:
        super().__init__(space, seed, n_startup=n_startup, uniform=uniform)
        self._kernel = Kernel(self.cube.feature_dimensions)
        self._surrogate = Surrogate(self._kernel, MOST_EVALUATIONS)
        self._distance = Distance(self.observed)

    def _model(self, heard: Heard, features: Array) -> Model | None:
        """The model of all that was `heard`, given the features `(n_trials, p)` of all trials; None for none yet."""
        inputs = with_resource(features[heard.rows], heard.resources)
        posterior = self._surrogate.given(inputs, heard.targets(), lambda n: heard.first(n).targets())
        return None if posterior is None else Joint(posterior, heard.top(LEAST_AT_TOP))

    def _ranked(self, rng: np.random.Generator, first_rung: int) -> Ranked | None:
        heard, features, pending = Heard.of(self.observed), self.cube.features(self.observed.points), self._pending()
        if (model := self._model(heard, features)) is None:
            return None
        best = heard.best_rows()
        incumbents = np.concatenate([best[:N_INCUMBENTS], pending[0]])
        lowest = float(model.predict(features[incumbents])[0].min())
        believing = model.believing(features[pending[0]], pending[1])
        is_rough = len(self.observed.resources) > 1

        def utility(points: Array) -> Array:
            values = log_expected_improvement(*believing.predict(self.cube.features(points)), lowest)
            return np.where(self._distance.margins(points) >= 0, values, -np.inf) if is_rough else values

        n_candidates = int(np.clip(WORK / believing.size, *CANDIDATES))
        points = highest(self.cube, utility, self.observed.points[best[:N_NEAR]], n_candidates, rng)
        return Ranked(points, model.name + self.near(points[0])) if len(points) else None

    def _pending(self) -> tuple[Rows, Rows]:
        """Rows of the trials at work, and the resources that their jobs go to."""
        pending = self.observed.pending
        return np.array(list(pending), dtype=np.intp), np.array(list(pending.values()), dtype=np.intp)


@dataclass(frozen=True, slots=True)
class Joint:
    """One Gaussian process over configurations and resources, asked about one `resource`."""

    posterior: Posterior
    resource: int

    @property
    def size(self) -> int:
        return len(self.posterior.weights)

    @property
    def name(self) -> str:
        return "Gaussian process"

    def predict(self, features: Array) -> tuple[Array, Array]:
        return self.posterior.predict(with_resource(features, self.resource))

    def believing(self, features: Array, resources: Rows) -> Joint:
        return Joint(self.posterior.believing(with_resource(features, resources)), self.resource)


@dataclass(frozen=True, slots=True)
class Heard:
    """Rung evaluations as arrays `(n,)`, in the order heard: the trial's row, the resource, the score."""

    rows: Rows
    resources: Rows
    scores: Array

    @staticmethod
    def of(observed: Observations) -> Heard:
        log = observed.log
        rows = np.array([evaluation.row for evaluation in log], dtype=np.intp)
        resources = np.array([evaluation.resource for evaluation in log], dtype=np.intp)
        return Heard(rows, resources, np.array([evaluation.score for evaluation in log], dtype=float))

    def first(self, n: int) -> Heard:
        return Heard(self.rows[:n], self.resources[:n], self.scores[:n])

    def targets(self) -> Array:
        """`(n,)`; lower is better."""
        if np.all(self.resources == self.resources[0]):
            return half_warped(self.scores)
        return by_resource(self.rows, self.resources, self.scores)

    def top(self, least: int) -> int:
        """The highest resource that has at least so many evaluations; the lowest one if none has."""
        resources, counts = np.unique(self.resources, return_counts=True)
        return int(resources[counts >= least].max(initial=resources[0]))

    def best_rows(self) -> Rows:
        """All trials with an evaluation, the best one first by their latest targets."""
        latest = dict(zip(self.rows.tolist(), self.targets().tolist(), strict=True))
        return np.array(sorted(latest, key=latest.__getitem__), dtype=np.intp)


def with_resource(features: Array, resources: npt.ArrayLike) -> Array:
    """A model's inputs `(n, p + 1)`: features, then the logarithm of the resource."""
    return np.column_stack([features, np.broadcast_to(np.log(resources), len(features))])
