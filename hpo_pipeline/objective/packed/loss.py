"""The losses of a pack's trials, with their derivatives by hand: autograd would take several times as many calls.

With the outputs before the examples: along a last dimension of few classes, softmax is many times as slow.

K trials    B examples a batch    C outputs    z outputs `(K, C, B)`    t targets
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, log_softmax

from hpo_pipeline.objective.loss import Loss
from hpo_pipeline.objective.packed.batches import Batch


def why_alone(loss: Loss) -> str:
    """Why trials with this loss can't be in a pack; empty if they can."""
    module: Any = loss.module
    match loss.name:
        case "MSELoss":
            return ""
        case "CrossEntropyLoss":
            return "loss.ignore_index is set" if module.ignore_index >= 0 else ""
        case "BCEWithLogitsLoss":
            weights = (module.weight, module.pos_weight)
            return "" if all(w is None or w.dim() == 1 for w in weights) else "the loss has weights of another shape"
    name = loss.name or type(module).__qualname__
    return f"packs have cross_entropy, mse and bce_with_logits as a loss, not {name}"


class StackedLoss:
    """The losses of K trials, all of one kind, of which each may have its own weights and label smoothing.

    Args:
        losses: for which `why_alone` is empty, with one `Loss.name`.
        like: a tensor of the type and on the device of the outputs.
    """

    def __init__(self, losses: Sequence[Loss], like: Tensor) -> None:
        self._losses = losses
        modules = [loss.module for loss in losses]
        self._is_plain = all(loss.is_plain_cross_entropy for loss in losses)
        self._is_classes = losses[0].name == "CrossEntropyLoss"
        if self._is_classes:
            self._weights = _rows(modules, "weight", like)
            smoothing = [module.label_smoothing for module in modules if isinstance(module, nn.CrossEntropyLoss)]
            self._smoothing = torch.tensor(smoothing, device=like.device, dtype=like.dtype).view(-1, 1, 1)
        elif losses[0].name == "BCEWithLogitsLoss":
            self._weights, self._positive = _rows(modules, "weight", like), _rows(modules, "pos_weight", like)

    def slopes(self, outputs: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Each trial's mean loss over its own examples `(K,)`, and its derivative by the outputs `(K, C, B)`."""
        if self._is_plain:
            return _plain_cross_entropy(outputs, batch)
        terms, slopes, counts = self._terms_of(outputs, batch.targets)
        n = outputs.shape[2]
        if batch.counts is not None:
            padding = torch.arange(n, device=outputs.device) >= batch.counts.unsqueeze(1)
            terms, counts = terms.masked_fill(padding, 0.0), counts.masked_fill(padding, 0.0)
            slopes = slopes.masked_fill(padding.unsqueeze(1), 0.0)
        total = counts.sum(1)
        return terms.sum(1) / total, slopes / total.view(-1, 1, 1)

    def sums(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Each trial's sum of the loss over the same examples `(K,)`, in float64, as `Loss.summed`."""
        if self._is_plain:
            logs = outputs.log_softmax(dim=1).gather(1, targets.expand(len(outputs), 1, -1))
            return -logs.sum((1, 2), dtype=torch.float64)
        terms, _, _ = self._terms_of(outputs, targets.expand(len(outputs), *targets.shape))
        return terms.sum(1, dtype=torch.float64)

    def counts(self, targets: Tensor) -> list[float]:
        """What each trial's sum over all examples is to be divided by."""
        return [float(loss.count(targets)) for loss in self._losses]

    def _terms_of(self, z: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Of each example its loss `(K, B)`, that one's derivative by z `(K, C, B)`, and what it counts `(K, B)`.

        Args:
            targets: `(K, B)` classes, or `(K, B, C)`.
        """
        active = len(z)
        if self._is_classes:
            classes, weights = targets.unsqueeze(1), self._weights[:active]
            logs = log_softmax(z, dim=1)
            own = weights.expand_as(logs).gather(1, classes)
            # The share of the target in each class, times the class's weight; they sum up to less or more than 1.
            smoothing = self._smoothing[:active]
            shares = (weights * smoothing / z.shape[1]).expand_as(logs).clone()
            shares.scatter_add_(1, classes, own * (1 - smoothing))
            return -(shares * logs).sum(1), logs.exp() * shares.sum(1, keepdim=True) - shares, own.squeeze(1)
        t = targets.mT
        every = z.new_full((), z.shape[1]).expand(active, z.shape[2])
        if self._losses[0].name == "MSELoss":
            off = z - t
            return off.square().sum(1), 2 * off, every
        weights, positive = self._weights[:active], self._positive[:active]
        # t may be an expanded view; with positive weights p, a label costs -w (p t log s(z) + (1 - t) log(1 - s(z))).
        costs = binary_cross_entropy_with_logits(z, t, weights.expand_as(z), reduction="none", pos_weight=positive)
        return costs.sum(1), weights * (z.sigmoid() * (positive * t + 1 - t) - positive * t), every


def _rows(modules: Sequence[nn.Module], name: str, like: Tensor) -> Tensor:
    """The trials' tensors of that name `(K, C, 1)`, ones for those that have none; `(K, 1, 1)` where nobody has any."""
    own = [getattr(module, name) for module in modules]
    n_outputs = max(1 if row is None else len(row) for row in own)
    rows = [like.new_ones(n_outputs) if row is None else row.to(like) for row in own]
    return torch.stack(rows).unsqueeze(2)


def _plain_cross_entropy(outputs: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """`StackedLoss.slopes` without weights and smoothing, in few calls."""
    classes = batch.targets.unsqueeze(1)
    logs = log_softmax(outputs, dim=1)
    own = logs.gather(1, classes).squeeze(1)
    slopes = logs.exp_().scatter_add_(1, classes, own.new_full((), -1.0).expand(classes.shape))
    if batch.counts is None:
        return own.mean(1).neg_(), slopes.div_(own.shape[1])
    padding = torch.arange(own.shape[1], device=own.device) >= batch.counts.unsqueeze(1)
    losses = own.masked_fill_(padding, 0.0).sum(1).div_(-batch.counts)
    return losses, slopes.masked_fill_(padding.unsqueeze(1), 0.0).div_(batch.counts.view(-1, 1, 1))
