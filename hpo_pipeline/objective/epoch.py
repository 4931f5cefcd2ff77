"""One pass over data in memory: training and scoring. Nothing in the loops waits for the device."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from hpo_pipeline.objective.scoring import Scores
from hpo_pipeline.seeding import derived_seed

EVALUATION_BATCH = 2048
"""Examples scored at once: enough to be fast, and few enough for the activations of a convolutional network."""


def data_order(n: int, study_seed: int, epoch: int) -> Tensor:
    """The order of the `n` training examples in `epoch` (from 0), the same for every trial. On the CPU."""
    random = torch.Generator().manual_seed(derived_seed(study_seed, "data", epoch))
    return torch.randperm(n, generator=random)


def train(
    model: Callable[[Tensor], Tensor],
    optimizer: torch.optim.Optimizer,
    x: Tensor,
    y: Tensor,
    order: Tensor,
    batch_size: int,
    grad_clip: float | None = None,
    loss: Callable[[Tensor, Tensor], Tensor] = cross_entropy,
) -> float:
    """One optimizer step for each batch of `order`, the last and smaller one included.

    Args:
        model: in training mode.
        optimizer: of the model's weights.
        x, y: all examples `(n, *input_shape)` and their targets `(n, ...)`.
        order: indices into them, on their device.
        batch_size: examples per step.
        grad_clip: largest norm of a step's gradient, or None.
        loss: (outputs, targets) -> the mean that a step minimises.

    Returns:
        The mean over the examples of their loss at the time when they were seen.
    """
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    total = torch.zeros((), dtype=torch.float64, device=x.device)
    # Gathering each batch is faster than permuting all data once an epoch: the batch is still in the cache when used.
    for batch in torch.split(order, batch_size):
        value = loss(model(x.index_select(0, batch)), y.index_select(0, batch))
        for weight in weights:  # what zero_grad does, without its bookkeeping
            weight.grad = None
        value.backward()  # type: ignore[no-untyped-call]
        if grad_clip is not None:
            nn.utils.clip_grad_norm_(weights, grad_clip)
        optimizer.step()
        total.add_(value.detach(), alpha=len(batch))
    return total.item() / len(order)


@torch.inference_mode()
def evaluate(model: Callable[[Tensor], Tensor], x: Tensor, y: Tensor, scores: Scores) -> dict[str, float]:
    """The scores of all examples of `x`; `model` is in evaluation mode."""
    for examples, targets in zip(torch.split(x, EVALUATION_BATCH), torch.split(y, EVALUATION_BATCH), strict=True):
        scores.add(model(examples), targets)
    return scores.result()
