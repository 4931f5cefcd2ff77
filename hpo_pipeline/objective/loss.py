"""The loss: what the steps of a training minimise, and what `train_loss` and `validation_loss` are.

A config's `loss` names a loss of `torch.nn`, or a module of somebody's own that makes one number, a mean, of a model's
outputs `(n, n_outputs)` and the targets (`dataset.task.Task`). Where it is null, the loss follows from the task.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from hpo_pipeline.build import build, check
from hpo_pipeline.checks import is_number, value_problems
from hpo_pipeline.dataset.task import Task
from hpo_pipeline.errors import ConfigError, Problem, reason

OF_TASK = {"classification": "CrossEntropyLoss", "multilabel": "BCEWithLogitsLoss", "regression": "MSELoss"}
"""The loss of a task where none is chosen."""
FITTING = {
    "classification": ("CrossEntropyLoss", "NLLLoss", "MultiMarginLoss"),
    "multilabel": ("BCEWithLogitsLoss", "MultiLabelSoftMarginLoss"),
    "regression": ("MSELoss", "L1Loss", "HuberLoss", "SmoothL1Loss", "PoissonNLLLoss"),
}
"""Losses of torch.nn by what they are for. Many run with the targets of another task, and tell nothing then."""
_OPTIONS = {"classification": "cross_entropy", "multilabel": "bce_with_logits", "regression": "mse, l1 or huber"}
_OF_EACH_EXAMPLE = ("MultiMarginLoss", "MultiLabelSoftMarginLoss")
"""Of torch's losses, those whose mean is over the examples, not over all targets."""
_TENSORS = ("weight", "pos_weight")
"""Arguments of torch's losses that a config gives as lists."""


@dataclass(frozen=True, slots=True)
class Loss:
    """A loss, for steps and for scoring.

    Attributes:
        module: as it was built.
        mean: (outputs, targets) -> what a step minimises.
        summed: the same, as a sum; of all batches, divided by the sum of their `count`, it is the mean over all data.
        count: targets -> how many terms their `summed` has, or their weights.
    """

    module: nn.Module
    mean: Callable[[Tensor, Tensor], Tensor]
    summed: Callable[[Tensor, Tensor], Tensor]
    count: Callable[[Tensor], int | Tensor]

    @property
    def name(self) -> str:
        """Of one of torch's own, `CrossEntropyLoss`; empty of any other."""
        return type(self.module).__name__ if _is_torchs(self.module) else ""

    @property
    def is_plain_cross_entropy(self) -> bool:
        return self.mean is cross_entropy


def build_loss(node: Mapping[str, Any] | None, task: Task, device: torch.device | str = "cpu") -> Loss:
    """The loss that a config's `loss` names, on `device`.

    Raises:
        ConfigError: as `problems` says; whether it fits the task isn't looked at.
    """
    if node is None:
        node = {"_target_": f"torch.nn.{OF_TASK[task.kind]}"}
    if str(node.get("_target_")).startswith("torch."):
        numbers = {key: node[key] for key in _TENSORS if isinstance(node.get(key), Sequence)}
        kind = torch.get_default_dtype()
        node = {**node, **{key: torch.tensor(value, dtype=kind) for key, value in numbers.items()}}
    return _loss(build(node, "loss", n_outputs=task.n_outputs).to(device))


def _loss(module: nn.Module) -> Loss:
    if not _is_torchs(module):  # the mean over the batches, weighted by their examples
        return Loss(module, module, lambda outputs, targets: module(outputs, targets) * len(targets), len)
    summed, name = copy.copy(module), type(module).__name__
    vars(summed).update(reduction="sum")
    count: Callable[[Tensor], int | Tensor] = len if name in _OF_EACH_EXAMPLE else Tensor.numel
    mean: Callable[[Tensor, Tensor], Tensor] = module
    if isinstance(module, (nn.CrossEntropyLoss, nn.NLLLoss)):
        weight, ignored = module.weight, module.ignore_index
        if weight is not None or ignored >= 0:  # torch divides by the weights of the examples' classes
            count = _weighed(weight, ignored)
        elif isinstance(module, nn.CrossEntropyLoss) and module.label_smoothing == 0.0:
            mean = cross_entropy  # the same, without a module's overhead in every step
    return Loss(module, mean, summed, count)


def _weighed(weight: Tensor | None, ignored: int) -> Callable[[Tensor], Tensor]:
    def count(targets: Tensor) -> Tensor:
        weights = targets.new_ones((), dtype=torch.float64).expand(targets.shape)
        if weight is not None:
            weights = weight.index_select(0, targets.clamp(min=0)).double()
        return weights.masked_fill(targets == ignored, 0.0).sum()

    return count


def problems(node: Any, task: Task | None) -> Iterator[Problem]:
    """Why a config's `loss` is none for this task, or for any, where the task isn't known yet; without data."""
    if node is None:
        return
    if found := check(node, "loss"):
        yield from (problem.under("loss") for problem in found)
        return
    if found := list(_value_problems(node)):
        yield from (problem.under("loss") for problem in found)
        return
    name, module = node["_target_"], None
    try:
        module = build_loss(node, task or Task("classification", 2)).module
    except ConfigError as error:
        yield from error.under("loss").problems
    except Exception as error:  # whatever somebody's own code may raise
        yield Problem("loss", f"{name} refuses these values ({reason(error)})")
    if module is None:
        return
    if getattr(module, "reduction", "mean") != "mean":
        what = "must be mean, which a step's gradient is that of"
        yield Problem("loss.reduction", what, getattr(module, "reduction", None))
    elif any(weight.requires_grad for weight in module.parameters()):
        yield Problem("loss", f"{name} has weights to be trained, which no optimizer gets; make them the model's")
    elif task is not None:
        yield from _misfits(name, module, task)


def _value_problems(node: Mapping[str, Any]) -> Iterator[Problem]:
    if not str(node["_target_"]).startswith("torch."):
        return
    for key in _TENSORS:
        wanted = "a list of numbers of at least 0, or null"
        yield from value_problems(wanted, _are_weights, **{key: node.get(key)})
    if "label_smoothing" in node:
        wanted = "a number from 0 to 1"
        yield from value_problems(wanted, lambda value: is_number(value, 0, 1), label_smoothing=node["label_smoothing"])


def _are_weights(value: Any) -> bool:
    return value is None or (isinstance(value, list) and all(is_number(number, 0) for number in value))


def _misfits(name: str, module: nn.Module, task: Task) -> Iterator[Problem]:
    fitting = FITTING[task.kind]
    if _is_torchs(module) and type(module).__name__ not in fitting:
        take = f"take loss={_OPTIONS[task.kind]} ({', '.join(fitting)} of torch.nn fit), or loss=auto"
        yield Problem("loss", f"{name} is no loss of a {task}; {take}")
        return
    outputs = torch.zeros(3, task.n_outputs, requires_grad=True)
    is_classes = task.kind == "classification"
    targets = torch.zeros(3, dtype=torch.int64) if is_classes else torch.zeros(3, task.n_outputs)
    shapes = f"outputs of shape {tuple(outputs.shape)} and targets of shape {tuple(targets.shape)}"
    try:
        with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            value = module(outputs, targets)
    except Exception as error:  # whatever somebody's own code may raise
        yield Problem("loss", f"{name} fails on {shapes} ({reason(error)})")
        return
    if not isinstance(value, Tensor) or value.shape != ():
        given = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
        yield Problem("loss", f"{name} must make one number of {shapes}, a mean; it gives {given}")
    elif not value.requires_grad:
        yield Problem("loss", f"{name} gives a number that does not depend on the outputs: no gradient comes of it")


def _is_torchs(module: nn.Module) -> bool:
    return type(module).__module__ == "torch.nn.modules.loss"
