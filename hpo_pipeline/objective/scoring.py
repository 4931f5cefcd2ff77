"""What a training reports of a set of examples: its loss, the share that is told wrong, and the metrics of the config.

task            error
classification  share of the examples whose largest score is another class's
multilabel      share of the labels, over all examples, whose score is on the wrong side of 0
regression      none: how far a number may be off is for a metric to say
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from hpo_pipeline.dataset.task import Task
from hpo_pipeline.objective.loss import Loss
from hpo_pipeline.objective.metrics import Measured


def names(task: Task | None, metrics: Any) -> tuple[str, ...]:
    """What is reported for a task; where it isn't known yet, all that might be.

    Args:
        metrics: what the config says.
    """
    error = ("error",) if task is None or task.kind != "regression" else ()
    return (*error, "loss", *(map(str, metrics) if isinstance(metrics, Mapping) else ()))


def wrong(outputs: Tensor, targets: Tensor, task: Task) -> Tensor:
    """Where the outputs `(n, n_outputs)` tell something else than the targets: `(n,)`, or of each label.

    Those of several models may be `(K, n_outputs, n)` in a classification, and `(K, n, n_outputs)` otherwise.
    """
    if task.kind == "classification":
        return outputs.argmax(dim=1) != targets
    return (outputs > 0) != (targets > 0)


def scored(error: float | None, loss: float, metrics: Measured | None) -> dict[str, float]:
    """What is reported of a set of examples.

    Where the loss is not finite the others are NaN: the largest of scores that are NaN is class 0 to `argmax`, and a
    broken network would be ranked by how many examples happen to be of that class.
    """
    if not math.isfinite(loss):
        error = None if error is None else math.nan
    measured = {} if metrics is None else metrics.result() if math.isfinite(loss) else metrics.unknown()
    return {**({} if error is None else {"error": error}), "loss": loss, **measured}


class Scores:
    """Of one model on one set of examples: `add(outputs, targets) …; result() -> {"error": 0.1, "loss": 0.3}`.

    Nothing waits for the device before the end.

    Args:
        task: the dataset's.
        loss: the trial's.
        metrics: the config's, if it has any.
        device: where outputs and targets are.
    """

    def __init__(
        self, task: Task, loss: Loss, metrics: Measured | None = None, device: torch.device | str = "cpu"
    ) -> None:
        self._task = task
        self._loss = loss
        self._metrics = metrics
        self._wrong = None if task.kind == "regression" else torch.zeros((), dtype=torch.int64, device=device)
        self._total = torch.zeros((), dtype=torch.float64, device=device)
        self._answers = 0
        self._count: int | Tensor = 0

    def add(self, outputs: Tensor, targets: Tensor) -> None:
        """Takes a batch of a model's outputs `(n, n_outputs)` and its targets."""
        if self._wrong is not None:
            self._wrong += wrong(outputs, targets, self._task).sum()
            self._answers += targets.numel()
        self._total += self._loss.summed(outputs, targets)
        self._count = self._count + self._loss.count(targets)
        if self._metrics is not None:
            self._metrics.update(outputs, targets)

    def result(self) -> dict[str, float]:
        """Of all that was added."""
        error = None if self._wrong is None else self._wrong.item() / self._answers
        return scored(error, self._total.item() / float(self._count), self._metrics)
