"""An objective of one's own: a class with five short methods. It trains logistic regression, in plain NumPy.

    cd examples
    export HPO_TRUST=objective  # this module; those beside it are found where the command is started
    hpo tune --config-dir conf objective=logistic \
        '+search_space.params.lr={type: float, low: 1e-3, high: 10, log: true}' \
        '+search_space.params.momentum={type: float, low: 0, high: 0.99}'

`start` makes a trial's state, `advance` spends one more unit of resource on it and measures, `save` and `load` let it
go on in another process. What makes numbers differ from run to run comes from the trial's seed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hpo_pipeline.objective import Metrics, TrialSpec


@dataclass
class State:
    """A trial: its hyperparameters, its weights, and the epochs that they have seen."""

    lr: float
    momentum: float
    seed: int
    weights: np.ndarray
    velocity: np.ndarray
    epoch: int = 0


class LogisticRegression:
    """Two overlapping clouds of points, told apart by stochastic gradient descent with momentum."""

    unit = "epoch"
    metrics = ("validation_error", "validation_loss")

    def __init__(self, n_examples: int = 400) -> None:  # keys of the objective's node in the config
        rng = np.random.default_rng(0)
        self._y = rng.integers(2, size=2 * n_examples)
        clouds = rng.normal(size=(2 * n_examples, 5)) + 0.7 * self._y[:, None]
        self._x = np.hstack([clouds, np.ones((2 * n_examples, 1))])
        self._n = n_examples

    def start(self, trial: TrialSpec) -> State:
        """A new trial: weights from its seed, hyperparameters from its config."""
        params = trial.config["params"]
        weights = np.random.default_rng(trial.seed).normal(size=self._x.shape[1])
        return State(params["lr"], params.get("momentum", 0.0), trial.seed, weights, np.zeros_like(weights))

    def advance(self, state: State) -> Metrics:
        """One more epoch, in place: the state goes on from here at the next call."""
        state.epoch += 1
        order = np.random.default_rng([state.seed, state.epoch]).permutation(self._n)  # the same after a break
        for batch in np.array_split(order, self._n // 20):
            x, y = self._x[batch], self._y[batch]
            slope = x.T @ (_sigmoid(x @ state.weights) - y) / len(y)
            state.velocity = state.momentum * state.velocity - state.lr * slope
            state.weights = state.weights + state.velocity
        x, y = self._x[self._n :], self._y[self._n :]
        p = np.clip(_sigmoid(x @ state.weights), 1e-12, 1 - 1e-12)
        loss = -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))
        return {"validation_error": float(np.mean((p > 0.5) != y)), "validation_loss": float(loss)}

    def save(self, state: State, path: Path) -> None:
        """All that `load` can't know from the config. A file or a folder, whatever is at hand."""
        with open(path, "wb") as file:  # given a name, NumPy would add .npz to it
            np.savez(file, weights=state.weights, velocity=state.velocity, epoch=state.epoch)

    def load(self, trial: TrialSpec, path: Path) -> State:
        """The trial that was saved. NumPy, like torch with weights_only=True, executes nothing here."""
        state = self.start(trial)
        with np.load(path, allow_pickle=False) as saved:
            state.weights, state.velocity, state.epoch = saved["weights"], saved["velocity"], int(saved["epoch"])
        return state


def _sigmoid(z: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-z))
