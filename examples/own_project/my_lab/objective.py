"""A training of one's own, in plain NumPy: a recommender, fitted by alternating least squares (Koren et al. 2009).

Ratings are told by a user's and an item's factors: `rating[u, i] = users[u] @ items[i]`. With the items held, the best
users are a least-squares problem each, and the other way round: that is one sweep, the unit of resource.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hpo_pipeline.checks import is_integer, is_positive, value_problems
from hpo_pipeline.errors import Problem
from hpo_pipeline.objective import Metrics, TrialSpec

Rated = Sequence[tuple[np.ndarray, np.ndarray]]
"""Of each user: which items were rated, and how; or of each item, by which users."""


@dataclass
class State:
    """A trial: the factors, and by how much they are kept small."""

    users: np.ndarray
    items: np.ndarray
    regularization: float


class Factorization:
    """Hyperparameters: `params.rank`, how many factors, and `params.regularization`.

    Args:
        n_users, n_items, n_ratings: of the ratings that are made up here; put your own into `_ratings`.
    """

    unit = "sweep"
    metrics = ("validation_rmse",)

    def __init__(self, n_users: int = 120, n_items: int = 60, n_ratings: int = 2400) -> None:
        self._shape = n_users, n_items
        user, item, rating = self._ratings(n_ratings)
        held = n_ratings // 5
        self._validation = user[:held], item[:held], rating[:held]
        self._by_user = _rated(n_users, user[held:], item[held:], rating[held:])
        self._by_item = _rated(n_items, item[held:], user[held:], rating[held:])

    def problems(self, config: Mapping[str, Any]) -> Iterator[Problem]:
        """What is wrong with a config, before anything starts; asked of the search space's ends, too."""
        params = dict(config["params"])
        wanted = {
            "rank": ("an integer of at least 1", lambda value: is_integer(value, 1)),
            "regularization": ("a positive number", is_positive),
        }
        for name, (what, fits) in wanted.items():
            yield from value_problems(what, fits, **{f"params.{name}": params.pop(name, None)})
        yield from (Problem(f"params.{name}", f"is not known; there are {', '.join(wanted)}") for name in params)

    def start(self, trial: TrialSpec) -> State:
        params = trial.config["params"]
        rng = np.random.default_rng(trial.seed)  # all that is random follows from the trial's seed
        users, items = (0.1 * rng.normal(size=(n, params["rank"])) for n in self._shape)
        return State(users, items, params["regularization"])

    def advance(self, state: State) -> Metrics:
        state.users = _fitted(self._by_user, state.items, state.regularization)
        state.items = _fitted(self._by_item, state.users, state.regularization)
        user, item, rating = self._validation
        told = (state.users[user] * state.items[item]).sum(axis=1)
        return {"validation_rmse": float(np.sqrt(np.mean((told - rating) ** 2)))}

    def save(self, state: State, path: Path) -> None:
        with open(path, "wb") as file:  # given a name, NumPy would add .npz to it
            np.savez(file, users=state.users, items=state.items)

    def load(self, trial: TrialSpec, path: Path) -> State:
        with np.load(path, allow_pickle=False) as saved:  # it may come from a stranger: nothing in it is executed
            return State(saved["users"], saved["items"], trial.config["params"]["regularization"])

    def _ratings(self, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(user, item, rating), the same in every process: three factors, and noise of 0.3."""
        rng = np.random.default_rng(0)
        users, items = (rng.normal(size=(size, 3)) for size in self._shape)
        user, item = (rng.integers(size, size=n) for size in self._shape)
        return user, item, (users[user] * items[item]).sum(axis=1) + 0.3 * rng.normal(size=n)


def _rated(n: int, rows: np.ndarray, columns: np.ndarray, ratings: np.ndarray) -> Rated:
    return [(columns[rows == row], ratings[rows == row]) for row in range(n)]


def _fitted(rated: Rated, others: np.ndarray, regularization: float) -> np.ndarray:
    """The factors that tell these ratings best."""
    small = regularization * np.eye(others.shape[1])
    return np.array([np.linalg.solve(others[at].T @ others[at] + small, others[at].T @ r) for at, r in rated])
