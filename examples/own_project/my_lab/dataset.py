"""Windows of a series, to forecast it. Put your own series into `_series`."""

from __future__ import annotations

import itertools
from typing import ClassVar

import torch
from torch import Tensor

from hpo_pipeline.checks import integer_problems
from hpo_pipeline.dataset import Splits
from hpo_pipeline.dataset.task import Task
from hpo_pipeline.errors import ConfigError


class Windows:
    """Given `length` values of a series, tell the one that comes `horizon` steps later.

    The first 60% of the series are for training, then 20% each for validation and for the final test. All is scaled by
    what the first part has: a squared error of 1 is that of its mean.
    """

    task: ClassVar[Task] = Task("regression", 1)

    def __init__(self, length: int = 24, horizon: int = 6, n: int = 2000) -> None:
        if found := integer_problems(length=length, horizon=horizon, n=n):
            raise ConfigError(found)
        self.input_shape = (length,)  # known before anything is loaded: models are checked by it
        self._horizon = horizon
        self._n = n

    def available(self) -> None:
        """Nothing to find or download."""

    def load(self) -> Splits:
        (x, y), (x_validation, y_validation), _ = self._parts()
        return Splits(x, y, x_validation, y_validation, task=self.task)

    def load_test(self) -> tuple[Tensor, Tensor]:
        return self._parts()[2]

    def _parts(self) -> list[tuple[Tensor, Tensor]]:
        series = self._series()
        ends = [int(self._n * share) for share in (0.0, 0.6, 0.8, 1.0)]
        series = (series - series[: ends[1]].mean()) / series[: ends[1]].std()
        return [self._windows(series[begin:end]) for begin, end in itertools.pairwise(ends)]

    def _windows(self, series: Tensor) -> tuple[Tensor, Tensor]:
        (length,) = self.input_shape
        x = series.unfold(0, length, 1)[: -self._horizon]
        return x.clone(), series[length + self._horizon - 1 :].unsqueeze(1)

    def _series(self) -> Tensor:
        """Two seasons and noise: the same in every process."""
        time = torch.arange(self._n, dtype=torch.float32)
        noise = torch.randn(self._n, generator=torch.Generator().manual_seed(0))
        return (time * 2 * torch.pi / 24).sin() + (time * 2 * torch.pi / 168).sin() + 0.2 * noise
