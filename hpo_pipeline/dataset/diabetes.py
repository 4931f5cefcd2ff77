"""Diabetes: ten measurements of 442 patients and how their disease went on in a year, which scikit-learn ships.

Efron, Hastie, Johnstone & Tibshirani 2004, "Least Angle Regression", Annals of Statistics.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from hpo_pipeline.dataset import Splits
from hpo_pipeline.dataset.images import check_split
from hpo_pipeline.dataset.task import Task
from hpo_pipeline.errors import ConfigError
from hpo_pipeline.seeding import generator

_N, _N_TEST = 442, 88


class Diabetes:
    """A regression: by default 266 patients for training, 88 for validation, 88 for the final test, each `(10,)`.

    Measurements and targets are standardised, each to mean 0 and variance 1 over the training examples: a squared error
    of 1 is that of their mean.

    Args:
        n_validation: how many patients are kept for validation.
        split_seed: which ones. The 88 of the test are always the same.
    """

    input_shape: ClassVar[tuple[int, ...]] = (10,)
    task: ClassVar[Task] = Task("regression", 1)

    def __init__(self, n_validation: int = 88, split_seed: int = 0) -> None:
        if problems := check_split(_N - _N_TEST, n_validation, split_seed):
            raise ConfigError(problems)
        self.n_validation = n_validation
        self.split_seed = split_seed

    def available(self) -> None:
        """They come with scikit-learn, which is a dependency."""

    def load(self) -> Splits:
        (x, y), (x_validation, y_validation), _ = self._parts()
        return Splits(x, y, x_validation, y_validation, task=self.task)

    def load_test(self) -> tuple[Tensor, Tensor]:
        return self._parts()[2]

    def _parts(self) -> list[tuple[Tensor, Tensor]]:
        """Training, validation and test examples with their targets, standardised as the training part asks."""
        from sklearn.datasets import load_diabetes  # slow to import, and needed here alone

        x, y = (torch.from_numpy(part) for part in load_diabetes(return_X_y=True, scaled=False))
        order = generator(0, "test").permutation(_N)
        test, others = order[:_N_TEST], order[_N_TEST:]
        others = others[generator(self.split_seed, "split").permutation(len(others))]
        train, validation = others[self.n_validation :], others[: self.n_validation]
        parts: list[tuple[Tensor, Tensor]] = []
        for rows in (train, validation, test):
            standardised = [
                ((each[rows] - each[train].mean(0)) / each[train].std(0, correction=0)).float()
                for each in (x, y.unsqueeze(1))
            ]
            parts.append((standardised[0], standardised[1]))
        return parts
