"""One pass over data: training and scoring. Nothing in the loops waits for the device."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterable, Iterator

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from hpo_pipeline.objective.scoring import Scores
from hpo_pipeline.objective.step import Step
from hpo_pipeline.seeding import derived_seed

Batch = tuple[Tensor, Tensor]
"""Examples `(n, *input_shape)`, float32, and their targets `(n, ...)`."""

EVALUATION_BATCH = 2048
"""Examples scored at once: enough to be fast, and few enough for the activations of a convolutional network."""


def data_order(n: int, study_seed: int, epoch: int) -> Tensor:
    """The order of the `n` training examples in `epoch` (from 0), the same for every trial. On the CPU."""
    random = torch.Generator().manual_seed(derived_seed(study_seed, "data", epoch))
    return torch.randperm(n, generator=random)


def in_memory(x: Tensor, y: Tensor, order: Tensor, batch_size: int) -> Generator[Batch, None, None]:
    """Batches of tensors, by indices that are on the same device; the last one may be smaller."""
    # Gathering each batch is faster than permuting all data once an epoch: the batch is still in the cache when used.
    for batch in torch.split(order, batch_size):
        yield x.index_select(0, batch), y.index_select(0, batch)


def train(
    model: Callable[[Tensor], Tensor],
    step: Step,
    batches: Iterable[Batch],
    loss: Callable[[Tensor, Tensor], Tensor] = cross_entropy,
) -> float:
    """Takes the loss of each batch, in turn, to the optimizer.

    Args:
        model: in training mode.
        step: has the optimizer of the model's weights.
        loss: (outputs, targets) -> the mean that a step minimises.

    Returns:
        The mean over the examples of their loss at the time when they were seen; NaN if there are none.
    """
    total, n = None, 0
    for x, y in batches:
        value = loss(model(x), y)
        step.take(value, len(y))
        if total is None:
            total = torch.zeros((), dtype=torch.float64, device=value.device)
        total.add_(value.detach(), alpha=len(y))
        n += len(y)
    step.finish()
    return math.nan if total is None else total.item() / n


@torch.inference_mode()
def evaluate(model: Callable[[Tensor], Tensor], batches: Iterable[Batch], scores: Scores) -> dict[str, float]:
    """The scores of all examples of the batches; `model` is in evaluation mode."""
    for x, y in batches:
        scores.add(model(x), y)
    return scores.result()


def whole(x: Tensor, y: Tensor) -> Iterator[Batch]:
    """All examples in memory, in their order."""
    return zip(torch.split(x, EVALUATION_BATCH), torch.split(y, EVALUATION_BATCH), strict=True)
