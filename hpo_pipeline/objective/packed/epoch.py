"""One epoch of several trials as one program: it takes few more calls than an epoch of one.

A small network leaves a processor idle: most of a step is the overhead of its calls. Here one step is taken for all
trials, and each sees just what it would see alone: its own batches, learning rate, momentum, dropout, and gradient.
Cf. Wang et al. 2021, "HFTA", whose trials have to have equal shapes; here batch sizes may differ, and the widths of
perceptrons.
"""

from __future__ import annotations

import contextlib
import copy
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from hpo_pipeline.dataset.task import Task
from hpo_pipeline.objective import scoring
from hpo_pipeline.objective.epoch import Batch, in_memory, train
from hpo_pipeline.objective.loss import Loss
from hpo_pipeline.objective.metrics import Measured
from hpo_pipeline.objective.packed.batches import Batches
from hpo_pipeline.objective.packed.dropout import masked
from hpo_pipeline.objective.packed.loss import StackedLoss
from hpo_pipeline.objective.packed.module_stack import ModuleStack
from hpo_pipeline.objective.packed.optimizer import PackOptimizer
from hpo_pipeline.objective.packed.perceptron import PerceptronStack, perceptron
from hpo_pipeline.objective.packed.stack import Stack, launch_bound
from hpo_pipeline.objective.precision import Forward, in_precision
from hpo_pipeline.objective.step import Step


@dataclass(slots=True)
class Member:
    """One trial of a pack.

    Attributes:
        order: indices of the training examples, `(n,)`, in the order of this epoch; the same tensor for trials whose
            order is the same.
        seed: of this epoch's dropout.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    order: Tensor
    batch_size: int
    seed: int
    grad_clip: float | None
    loss: Loss

    def copied(self) -> Member:
        """The same, to be trained without consequences."""
        model, optimizer = copy.deepcopy((self.model, self.optimizer))
        return replace(self, model=model, optimizer=optimizer)


def train_alone(member: Member, x: Tensor, y: Tensor) -> float:
    """One epoch for one member by itself, with the random numbers that it would have in a pack.

    Returns:
        The mean loss over the examples at the time when they were seen.
    """
    batches = in_memory(x, y, member.order, member.batch_size)
    return train_on(member, batches, Step(member.optimizer, member.grad_clip), x.device)


def train_on(
    member: Member,
    batches: Iterable[Batch],
    step: Step,
    device: torch.device,
    precision: str = "float32",
    compiled: Forward | None = None,
) -> float:
    """`train_alone`, on batches from anywhere.

    Args:
        precision: what the network computes in.
        compiled: runs in place of the model; it is in no pack, and drops out what torch's own generator says.
    """
    torch.manual_seed(member.seed)
    as_in_pack: contextlib.AbstractContextManager[Forward] = contextlib.nullcontext(compiled or member.model)
    if launch_bound(device) and compiled is None:
        as_in_pack = masked(member.model, member.seed)
    with as_in_pack as forward:
        return train(in_precision(forward, precision, device), step, batches, member.loss.mean)


def train_pack(members: Sequence[Member], x: Tensor, y: Tensor) -> tuple[list[float], Stack]:
    """One epoch for all members.

    Args:
        members: by batch size, the smallest first, those with the same order beside each other; they have one
            `pack_key`.

    Returns:
        Each member's mean loss over the examples at the time when they were seen, and the trained stack,
        whose weights and optimizer states the members have too.
    """
    stack, batches = _stacked(members, x, y)
    optimizer = PackOptimizer(stack, [member.optimizer for member in members], each=not launch_bound(x.device))
    limits = torch.tensor([member.grad_clip or math.inf for member in members], device=x.device, dtype=x.dtype)
    any_limit = bool(limits.isfinite().any())
    totals = torch.zeros(len(members), dtype=torch.float64, device=x.device)
    active = len(members)
    for batch in batches:
        if len(batch) != active:
            active = len(batch)
            optimizer.narrow(active)
        losses, gradients = stack.gradients(batch)
        if any_limit:
            factors = (limits[:active] / (stack.squared_norms(gradients, active).sqrt() + 1e-6)).clamp(max=1.0)
            for gradient, factor in zip(gradients, stack.per_trial(factors), strict=True):
                gradient.mul_(factor)
        optimizer.step(gradients)
        if batch.counts is None:
            totals[:active].add_(losses, alpha=batch.lengths[0])
        else:
            totals[:active].addcmul_(losses, batch.counts)
    stack.write_back()
    optimizer.write_back()
    return (totals / len(members[0].order)).tolist(), stack


def _stacked(members: Sequence[Member], x: Tensor, y: Tensor) -> tuple[Stack, Batches]:
    """The members' networks and what they see, each in the form that suits them."""
    bound = launch_bound(x.device)
    sizes, orders = [member.batch_size for member in members], [member.order for member in members]
    models, seeds = [member.model for member in members], [member.seed for member in members]
    loss = StackedLoss([member.loss for member in members], x)
    nets = [net for net in map(perceptron, models) if net is not None]
    if nets:
        batches = Batches(x.flatten(1), y, sizes, orders, stacked=bound)
        return PerceptronStack(nets, loss, batches.groups, seeds, launch_bound=bound), batches
    return ModuleStack(models, loss, seeds, launch_bound=bound), Batches(x, y, sizes, orders, stacked=True)


@torch.inference_mode()
def evaluate_pack(
    stack: Stack, x: Tensor, y: Tensor, task: Task, metrics: Sequence[Measured | None] | None = None
) -> list[dict[str, float]]:
    """Each trial's scores of all examples of `x`, as `Scores` has them; `metrics`: each trial's own, if it has any."""
    metrics = metrics or [None] * len(stack)
    wrong = torch.zeros(len(stack), dtype=torch.int64, device=x.device)
    total = torch.zeros(len(stack), dtype=torch.float64, device=x.device)
    at_once = stack.evaluation_batch
    for inputs, targets in zip(torch.split(x, at_once), torch.split(y, at_once), strict=True):
        outputs = stack.scores(inputs)
        if task.kind != "regression":
            told = outputs if task.kind == "classification" else outputs.mT
            wrong += scoring.wrong(told, targets, task).flatten(1).sum(1)
        total += stack.loss.sums(outputs, targets)
        for own, measured in zip(outputs, metrics, strict=True):
            if measured is not None:
                measured.update(own.mT, targets)
    mistakes = [None if task.kind == "regression" else count / y.numel() for count in wrong.tolist()]
    losses = [loss / count for loss, count in zip(total.tolist(), stack.loss.counts(y), strict=True)]
    return [scoring.scored(*each) for each in zip(mistakes, losses, metrics, strict=True)]
