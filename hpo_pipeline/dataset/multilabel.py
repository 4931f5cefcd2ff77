"""Generated examples of which any of several labels hold, by scikit-learn's `make_multilabel_classification`."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from hpo_pipeline.checks import integer_problems
from hpo_pipeline.dataset import Splits
from hpo_pipeline.dataset.task import Task
from hpo_pipeline.errors import ConfigError


class Multilabel:
    """A multi-label classification: the words of generated documents, counted, and the topics that they are about.

    Args:
        n: examples; three fifths are for training, one for validation, one for the final test.
        n_features: words that are counted.
        n_labels: topics; about 2 hold of an example.
        seed: all follows from it.
    """

    task: Task

    n_per_example: ClassVar[int] = 2

    def __init__(self, n: int = 2000, n_features: int = 20, n_labels: int = 5, seed: int = 0) -> None:
        found = integer_problems(least=5, n=n) + integer_problems(n_features=n_features, n_labels=n_labels)
        if found := [*found, *integer_problems(least=0, most=2**32 - 1, seed=seed)]:
            raise ConfigError(found)
        self.n, self.seed = n, seed
        self.input_shape = (n_features,)
        self.task = Task("multilabel", n_labels)

    def available(self) -> None:
        """Nothing to find or download."""

    def load(self) -> Splits:
        (x, y), (x_validation, y_validation), _ = self._parts()
        return Splits(x, y, x_validation, y_validation, task=self.task)

    def load_test(self) -> tuple[Tensor, Tensor]:
        return self._parts()[2]

    def _parts(self) -> list[tuple[Tensor, Tensor]]:
        """Training, validation and test examples with their labels; counts as multiples of their training mean."""
        from sklearn.datasets import make_multilabel_classification  # slow to import, and needed here alone

        x, y = make_multilabel_classification(
            self.n,
            *self.input_shape,
            n_classes=self.task.n_outputs,
            n_labels=self.n_per_example,
            random_state=self.seed,
        )
        first, second = 3 * self.n // 5, 4 * self.n // 5
        scaled = x / x[:first].mean()
        parts = slice(first), slice(first, second), slice(second, None)
        return [(torch.from_numpy(scaled[p]).float(), torch.from_numpy(y[p]).float()) for p in parts]
