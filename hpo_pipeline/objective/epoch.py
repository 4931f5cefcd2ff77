"""One pass over data in memory: training and scoring. Nothing in the loops waits for the device."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

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
) -> float:
    """One optimizer step for each batch of `order`, the last and smaller one included.

    Args:
        model: in training mode.
        optimizer: of the model's weights.
        x, y: all examples `(n, *input_shape)` and their classes `(n,)`.
        order: indices into them, on their device.
        batch_size: examples per step.
        grad_clip: largest norm of a step's gradient, or None.

    Returns:
        The mean over the examples of their cross-entropy at the time when they were seen.
    """
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    total = torch.zeros((), dtype=torch.float64, device=x.device)
    # Gathering each batch is faster than permuting all data once an epoch: the batch is still in the cache when used.
    for batch in torch.split(order, batch_size):
        loss = cross_entropy(model(x.index_select(0, batch)), y.index_select(0, batch))
        for weight in weights:  # what zero_grad does, without its bookkeeping
            weight.grad = None
        loss.backward()  # type: ignore[no-untyped-call]
        if grad_clip is not None:
            nn.utils.clip_grad_norm_(weights, grad_clip)
        optimizer.step()
        total.add_(loss.detach(), alpha=len(batch))
    return total.item() / len(order)


@torch.inference_mode()
def evaluate(model: Callable[[Tensor], Tensor], x: Tensor, y: Tensor) -> tuple[float, float]:
    """Error (share of wrong classes) and mean cross-entropy over all examples of `x`; `model` is in evaluation mode.

    Where the mean is not finite the error is NaN: the largest of scores that are NaN is class 0 to `argmax`, and a
    broken network would be ranked by how many examples happen to be of that class.
    """
    wrong = torch.zeros((), dtype=torch.int64, device=x.device)
    total = torch.zeros((), dtype=torch.float64, device=x.device)
    for examples, classes in zip(torch.split(x, EVALUATION_BATCH), torch.split(y, EVALUATION_BATCH), strict=True):
        scores = model(examples)
        wrong += (scores.argmax(dim=1) != classes).sum()
        total += cross_entropy(scores, classes, reduction="sum")
    loss = total.item() / len(y)
    return wrong.item() / len(y) if math.isfinite(loss) else math.nan, loss
