"""Trains several perceptrons as one program: an epoch of all of them costs little more calls than an epoch of one.

A small network leaves a processor idle: most of a step is the overhead of its calls. Here the weights of K trials are
stacked, one step is taken for all of them, and each sees just what it would see alone: its own batches, learning rate,
momentum, dropout, and gradient (the loss is summed over trials). Cf. Wang et al. 2021, "HFTA", whose trials have to
have equal shapes; here widths may differ, padded with units that stay zero, and batch sizes too.

Nothing is kept between epochs: weights and optimizer states are taken from the trials' own models and optimizers
and put back, so a trial can go on alone, elsewhere, or with others.

    K trials    B examples a batch    d inputs    h hidden units    C classes
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import log_softmax

from hpo_pipeline.objective.stack import Stack, perceptron
from hpo_pipeline.objective.stacked_optimizer import LARGE, StackedOptimizer, structure

_EVALUATION_BATCH = 512


def is_large(model: nn.Module) -> bool:
    return sum(weight.numel() for weight in model.parameters()) > LARGE


def fusion_key(model: nn.Module, optimizer: torch.optim.Optimizer) -> Hashable | None:
    """Equal for trials that can be trained together (on the same data); None for one that can't with any other."""
    net, kind = perceptron(model), structure(optimizer)
    if net is None or kind is None:
        return None
    first, last = net.linears[0], net.linears[-1]
    # Padding a large network costs more than it saves, and its own optimizer needs its weights in one piece.
    large = is_large(model)
    return (
        kind,
        len(net.linears),
        repr(net.activation),
        first.in_features,
        last.out_features,
        first.weight.dtype,
        first.weight.device,
        large,
        tuple(net.widths) if large else (),
    )


@dataclass(slots=True)
class Member:
    """One trial of a pack.

    Attributes:
        order: indices of the training examples, `(n,)`, in the order of this epoch.
        seed: of this epoch's dropout.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    order: Tensor
    batch_size: int
    seed: int
    grad_clip: float | None


def train_together(members: Sequence[Member], x: Tensor, y: Tensor) -> tuple[list[float], Stack]:
    """One epoch for all members.

    Args:
        members: by batch size, the smallest first; their models are perceptrons with one `fusion_key`.
        x, y: all training examples `(n, *input_shape)` and their classes `(n,)`.

    Returns:
        Each member's mean cross-entropy over the examples at the time when they were seen, and the trained stack,
        whose weights and optimizer states the members have too.
    """
    nets = [net for member in members if (net := perceptron(member.model)) is not None]
    shared = len({member.batch_size for member in members}) == 1 and all(
        torch.equal(member.order, members[0].order) for member in members[1:]
    )
    stack = Stack(nets, shared=shared, large=is_large(members[0].model))
    optimizer = StackedOptimizer(stack, [member.optimizer for member in members])
    batches = _Batches(members, x.flatten(1), y, shared=shared)
    randoms = [torch.Generator(device=x.device).manual_seed(member.seed) for member in members]
    limits = [member.grad_clip or math.inf for member in members]
    clips = torch.tensor(limits, device=x.device, dtype=x.dtype)
    totals = torch.zeros(len(members), dtype=torch.float64, device=x.device)
    active = 0
    for step in range(batches.n_steps):
        if batches.n_active(step) != active:
            active = batches.n_active(step)
            tensors = stack.tensors(active)
            leaves = [tensor.detach().requires_grad_(i % stack.n_layers > 0) for i, tensor in enumerate(tensors)]
            others = [leaf for leaf in leaves if leaf.requires_grad]
            buffer = torch.empty_like(tensors[0], memory_format=torch.contiguous_format)
            optimizer.narrow(active)
        inputs, classes, lengths, counts = batches.at(step, active)
        masks = _dropout_masks(stack, lengths, classes.shape[1], randoms, inputs[0])
        units = stack.first_layer(tensors, inputs, classes.shape[1]).requires_grad_()
        scores = log_softmax(stack.rest(leaves, units, active, masks), dim=2)
        own = -scores.gather(2, classes.unsqueeze(2)).squeeze(2)
        if counts is None:
            losses = own.mean(1)
        else:
            valid = torch.arange(own.shape[1], device=x.device) < counts.unsqueeze(1)
            losses = torch.where(valid, own, 0.0).sum(1) / counts
        slopes, *gradients = torch.autograd.grad(losses.sum(), [units, *others])
        with torch.no_grad():
            first_weight, first_bias = stack.first_gradients(inputs, slopes, buffer)
            half = len(gradients) // 2
            gradients = [first_weight, *gradients[:half], first_bias, *gradients[half:]]
            if min(limits) < math.inf:
                factors = (clips[:active] / (stack.squared_norms(gradients, active).sqrt() + 1e-6)).clamp(max=1.0)
                for gradient, factor in zip(gradients, stack.per_trial(factors, active), strict=True):
                    gradient.mul_(factor)
            optimizer.step(gradients)
            totals[:active] += losses.detach() * (lengths[0] if counts is None else counts)
    stack.write_back()
    optimizer.write_back()
    return (totals / len(members[0].order)).tolist(), stack


class _Batches:
    """The batches of an epoch, one for all trials (`shared`) or one for each."""

    def __init__(self, members: Sequence[Member], x: Tensor, y: Tensor, *, shared: bool) -> None:
        self._x, self._y = x, y
        self._sizes = [member.batch_size for member in members]
        self._n = len(members[0].order)
        self._steps = [-(-self._n // size) for size in self._sizes]  # not increasing
        self._orders = members[0].order if shared else torch.stack([member.order for member in members])
        self._size = torch.tensor(self._sizes, device=x.device).unsqueeze(1)
        self._range = torch.arange(max(self._sizes), device=x.device)
        self._shared = shared
        self.n_steps = self._steps[0]

    def n_active(self, step: int) -> int:
        """How many trials, the first ones, still have a batch at this step."""
        return sum(step < steps for steps in self._steps)

    def at(self, step: int, active: int) -> tuple[list[Tensor], Tensor, list[int], Tensor | None]:
        """Inputs `(B, d)` (one for all, or one each), classes `(K, B)`, numbers of examples, and those as a tensor.

        Where batch sizes differ, the classes of the shorter batches are filled up with some that must not count.
        """
        if self._shared:
            batch = self._orders[step * self._sizes[0] : (step + 1) * self._sizes[0]]
            classes = self._y.index_select(0, batch).expand(active, -1)
            return [self._x.index_select(0, batch)], classes, [len(batch)] * active, None
        lengths = [min(size, self._n - step * size) for size in self._sizes[:active]]
        place = step * self._size[:active] + self._range[: max(lengths)]
        batch = self._orders[:active].gather(1, place.clamp_(max=self._n - 1))
        inputs = [self._x.index_select(0, own[:length]) for own, length in zip(batch, lengths, strict=True)]
        return inputs, self._y[batch], lengths, torch.tensor(lengths, device=self._x.device)


def _dropout_masks(
    stack: Stack, lengths: Sequence[int], rows: int, randoms: Sequence[torch.Generator], like: Tensor
) -> list[Tensor | None]:
    """Each hidden layer's mask `(K, rows, h)`, each trial's drawn for its `lengths` rows as it would be alone."""
    masks: list[Tensor | None] = []
    active = len(lengths)
    if not any(p for net in stack.nets[:active] for p in net.dropouts):
        return [None] * (stack.n_layers - 1)
    for layer in range(stack.n_layers - 1):
        width = max(net.widths[layer] for net in stack.nets)
        masks.append(like.new_ones(active, rows, width))
    for k in range(active):
        for layer, p in enumerate(stack.nets[k].dropouts):
            if p > 0:
                own = like.new_empty(lengths[k], stack.nets[k].widths[layer])
                own.bernoulli_(1 - p, generator=randoms[k]).div_(1 - p)
                masks[layer][k, : lengths[k], : own.shape[1]] = own  # type: ignore[index]
    return masks


@torch.inference_mode()
def evaluate_together(stack: Stack, x: Tensor, y: Tensor) -> list[tuple[float, float]]:
    """Each trial's error and mean cross-entropy over all examples of `x`."""
    k = len(stack)
    wrong = torch.zeros(k, dtype=torch.int64, device=x.device)
    total = torch.zeros(k, dtype=torch.float64, device=x.device)
    none: list[Tensor | None] = [None] * (stack.n_layers - 1)
    tensors = stack.tensors()
    # One product for all, as the examples are the same.
    weight, bias = tensors[0].flatten(0, -2).t(), tensors[stack.n_layers].flatten()
    examples, labels = torch.split(x.flatten(1), _EVALUATION_BATCH), torch.split(y, _EVALUATION_BATCH)
    for inputs, classes in zip(examples, labels, strict=True):
        units = torch.addmm(bias, inputs, weight)
        units = units if stack.shared else units.view(len(inputs), k, -1).transpose(0, 1)
        scores = log_softmax(stack.rest(tensors, units, k, none), dim=2)
        wrong += (scores.argmax(dim=2) != classes).sum(1)
        total -= scores.gather(2, classes.expand(k, -1).unsqueeze(2)).sum((1, 2), dtype=torch.float64)
    return [(w / len(y), t / len(y)) for w, t in zip(wrong.tolist(), total.tolist(), strict=True)]
