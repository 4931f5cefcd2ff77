"""K networks of any architecture, all with the same layers, as one: by `torch.func`.

K trials    B examples a batch    C outputs
"""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from hpo_pipeline.objective.epoch import EVALUATION_BATCH
from hpo_pipeline.objective.packed import dropout
from hpo_pipeline.objective.packed.batches import Batch
from hpo_pipeline.objective.packed.key import layer_key
from hpo_pipeline.objective.packed.loss import StackedLoss
from hpo_pipeline.objective.packed.stack import Stack

_DRAWS = "the model draws random numbers itself; with nn.Dropout layers instead, its trials can be in a pack"


class _Masked(nn.Module):
    """In place of a dropout layer: multiplies by the masks that were drawn, in the order of the calls."""

    def __init__(self, name: str, masks: _Masks, *, inplace: bool) -> None:
        super().__init__()
        self._name = name
        self._masks = masks
        self._inplace = inplace

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        if self._masks.given is None:
            self._masks.calls.append((self._name, x.shape))
            return x
        mask = next(self._masks.given)
        if mask is None:
            return x
        return x.mul_(mask) if self._inplace else x * mask


@dataclass(slots=True)
class _Masks:
    """The dropout of a step.

    Attributes:
        calls: of dropout layers in a forward pass: the layer's name and the shape of its input.
        given: the masks of the current pass, each None where no trial drops anything; or None to note its calls.
    """

    calls: list[tuple[str, torch.Size]] = field(default_factory=list)
    given: Iterator[Tensor | None] | None = None


@dataclass(frozen=True, slots=True)
class _Call:
    """A call of a dropout layer in a forward pass.

    Attributes:
        shape: of one trial's mask.
        rates: the trials' probabilities.
        function: what draws all trials' masks at once; None where generators do, or nothing is dropped.
    """

    shape: tuple[int, ...]
    rates: list[float]
    function: dropout.MaskFunction | None


class ModuleStack(Stack):
    """The weights and buffers of K models with the same `module_key`, each as one tensor `(K, ...)`.

    Args:
        models: the trials' own.
        loss: theirs, as one.
        seeds: each trial's, of its dropout.
        launch_bound: draw the dropout of all trials at once, by functions of their seeds instead of by generators.

    Raises (also later):
        RuntimeError: a model does what can't be done for several at once, such as drawing random numbers by itself.
    """

    def __init__(
        self, models: Sequence[nn.Module], loss: StackedLoss, seeds: Sequence[int], *, launch_bound: bool
    ) -> None:
        self._names = [name for name, weight in models[0].named_parameters() if weight.requires_grad]
        super().__init__([[w for w in model.parameters() if w.requires_grad] for model in models], loss)
        self.evaluation_batch = max(1, EVALUATION_BATCH // len(models))
        self._models = models
        self._launch_bound = launch_bound
        self._others = [
            {name: t for name, t in [*m.named_parameters(), *m.named_buffers()] if name not in self._names}
            for m in models
        ]
        self._buffers = {name: torch.stack([own[name] for own in self._others]) for name in self._others[0]}
        self._masks = _Masks()
        self._template = copy.deepcopy(models[0])
        first_names = {id(module): name for name, module in self._template.named_modules()}
        for name, module in list(self._template.named_modules(remove_duplicate=False)):
            if type(module) in dropout.LAYERS:
                masked = _Masked(first_names[id(module)], self._masks, inplace=bool(module.inplace))
                self._template.set_submodule(name, masked)
        self._beside = self._kept_beside()
        self._calls: dict[torch.Size, list[_Call]] = {}
        self._seeds = seeds
        device = self.tensors[0].device
        self._randoms = [] if launch_bound else [torch.Generator(device=device).manual_seed(seed) for seed in seeds]

    def gradients(self, batch: Batch) -> tuple[Tensor, list[Tensor]]:
        leaves = [tensor.detach().requires_grad_() for tensor in self.tensors]
        self._template.train()
        [x] = [batch.inputs] if isinstance(batch.inputs, Tensor) else batch.inputs
        shared = x is not batch.inputs
        masks = self._dropout(x if shared else x[0], batch.starts)
        scores = self._forward(leaves, x, shared=shared, masks=masks)
        losses, slopes = self.loss.slopes(scores.detach().mT.contiguous(), batch)
        gradients = {i: g.contiguous() for i, g in enumerate(torch.autograd.grad(scores, leaves, slopes.mT))}
        # Weights that are added up have one gradient, in the same memory.
        distinct = {gradient.data_ptr(): i for i, gradient in gradients.items()}
        return losses, [g if distinct[g.data_ptr()] == i else g.clone() for i, g in gradients.items()]

    def scores(self, x: Tensor) -> Tensor:
        self._template.eval()
        return self._forward(self.tensors, x, shared=True, masks=[]).mT

    def _forward(self, weights: Sequence[Tensor], x: Tensor, *, shared: bool, masks: Sequence[Tensor | None]) -> Tensor:
        """Outputs `(K, B, C)`. Buffers are updated in place."""

        drawn = {i: mask for i, mask in enumerate(masks) if mask is not None}

        def one(
            own: Mapping[str, Tensor], buffers: Mapping[str, Tensor], drawn: Mapping[int, Tensor], x: Tensor
        ) -> Tensor:
            self._masks.given = iter([drawn.get(i) for i in range(len(masks))])
            state = {**own, **buffers}
            scores: Tensor = functional_call(self._template, state, (x,))
            if any(state[name] is not buffer for name, buffer in buffers.items()):
                raise RuntimeError("a buffer is replaced instead of changed in place")
            return scores

        over = vmap(one, in_dims=(0, 0, 0, None if shared else 0))
        try:
            scores: Tensor = over(dict(zip(self._names, weights, strict=True)), self._buffers, drawn, x)
        except RuntimeError as error:
            if "randomness" not in str(error):
                raise
            raise RuntimeError(_DRAWS) from None
        return scores

    @torch.no_grad()
    def _dropout(self, x: Tensor, starts: Tensor) -> list[Tensor | None]:
        """For each call of a dropout layer the masks `(K, ...)`, each trial's as drawn alone; None where none drops.

        Args:
            x: one trial's batch.
            starts: as in `Batch`.
        """
        calls = self._calls_on(x)
        masks: list[Tensor | None] = []
        for call in calls:
            if call.function is not None:
                n = call.shape[0] if call.shape else 1
                masks.append(call.function(starts, n, len(self)).view(len(self), *call.shape))
            else:
                masks.append(x.new_ones(len(self), *call.shape) if any(call.rates) else None)
        for k, generator in enumerate(self._randoms):
            for mask, call in zip(masks, calls, strict=True):
                if mask is not None and call.rates[k] > 0:
                    mask[k] = dropout.drawn(mask, call.shape, call.rates[k], generator)
        return masks

    def _calls_on(self, example: Tensor) -> list[_Call]:
        """The calls of dropout layers in a pass of such a batch."""
        if example.shape not in self._calls:
            self._masks.given, self._masks.calls = None, []
            before = _global_random_states()
            self._template(example.clone())  # it may change its input
            if _global_random_states() != before:
                raise RuntimeError(_DRAWS)
            names = [name for name, _ in self._masks.calls]
            calls: list[_Call] = []
            for i, (name, shape) in enumerate(self._masks.calls):
                layers: list[Any] = [model.get_submodule(name) for model in self._models]
                rates = [layer.p for layer in layers]
                size = dropout.mask_shape(layers[0], shape)
                function = None
                if self._launch_bound and any(rates):
                    salts = [[dropout.salt(seed, name, names[:i].count(name))] for seed in self._seeds]
                    function = dropout.MaskFunction(salts, [[p] for p in rates], [math.prod(size[1:])], example)
                calls.append(_Call(size, rates, function))
            self._calls[example.shape] = calls
        return self._calls[example.shape]

    def _kept_beside(self) -> list[tuple[Any, ...]]:
        """What the layers keep besides weights and buffers: the trials have it apart, so that it must not change."""
        return [layer_key(module) for module in self._template.modules() if not isinstance(module, _Masked)]

    @torch.no_grad()
    def write_back(self) -> None:
        if self._kept_beside() != self._beside:
            raise RuntimeError("the model changes what it keeps besides weights and buffers")
        super().write_back()
        for name, stacked in self._buffers.items():
            for own, buffer in zip(self._others, stacked, strict=True):
                own[name].copy_(buffer)


def _global_random_states() -> tuple[Any, ...]:
    """Of Python's and NumPy's generators; torch sees for itself that its own is used."""
    return random.getstate(), str(np.random.get_state())  # noqa: NPY002 (it is read, to see whether a model uses it)
