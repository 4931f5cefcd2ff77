"""SGD, Adam and AdamW for a stack of trials, each with its own hyperparameters and its own count of steps.

The formulas are torch.optim's; Kingma & Ba 2015 (Adam) and Loshchilov & Hutter 2019 (AdamW). Where the networks are
large, a step is no longer calls but memory traffic, and each trial's own optimizer, which torch has fused, is faster.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import SGD, Adam, AdamW

from hpo_pipeline.objective.stack import Stack

LARGE = 150_000
"""Weights of a trial from which on its own optimizer takes its steps."""

_BUFFERS: dict[type, tuple[str, ...]] = {
    SGD: ("momentum_buffer",),
    Adam: ("exp_avg", "exp_avg_sq"),
    AdamW: ("exp_avg", "exp_avg_sq"),
}


def structure(optimizer: torch.optim.Optimizer) -> Hashable | None:
    """The kind of optimizer, if it is one of those here in a form that can be stacked; else None."""
    kind = type(optimizer)
    if kind not in _BUFFERS or len(optimizer.param_groups) != 1:
        return None
    group = optimizer.param_groups[0]
    unusual = ("amsgrad", "maximize", "dampening", "capturable", "differentiable")
    if any(group.get(key) for key in unusual):
        return None
    # Adam(decoupled_weight_decay=True) is AdamW.
    return kind, bool(group.get("decoupled_weight_decay", False))


class StackedOptimizer:
    """Takes the steps of all trials of a stack.

    Args:
        stack: the weights; they are changed in place.
        optimizers: the trials' own, whose states are continued, and have the new ones after `write_back`.
    """

    def __init__(self, stack: Stack, optimizers: Sequence[torch.optim.Optimizer]) -> None:
        self._stack = stack
        self._optimizers = optimizers
        self._kind = type(optimizers[0])
        groups = [optimizer.param_groups[0] for optimizer in optimizers]
        self._decoupled = self._kind is AdamW or bool(groups[0].get("decoupled_weight_decay", False))
        self._alone = stack.large
        like = stack.weights[0]

        def vector(key: str, index: int | None = None) -> Tensor:
            values = [float(g[key] if index is None else g[key][index]) for g in groups]
            return torch.tensor(values, dtype=like.dtype, device=like.device)

        self._values = {"lr": vector("lr"), "weight_decay": vector("weight_decay")}
        if self._kind is SGD:
            self._values |= {"momentum": vector("momentum"), "nesterov": vector("nesterov")}
        else:
            self._values |= {"beta1": vector("betas", 0), "beta2": vector("betas", 1), "eps": vector("eps")}
        self._any_momentum = self._kind is SGD and bool(self._values["momentum"].any())
        self._any_decay = bool(self._values["weight_decay"].any())
        self._buffers: dict[str, list[Tensor]] = {}
        self._steps = torch.zeros(len(stack), dtype=torch.float64, device=like.device)
        self._active = len(stack)
        if not self._alone:
            self._read()

    @torch.no_grad()
    def _read(self) -> None:
        """Takes over the trials' optimizer states."""
        for name in _BUFFERS[self._kind]:
            self._buffers[name] = [torch.zeros_like(tensor) for tensor in self._stack.tensors()]
        for k, optimizer in enumerate(self._optimizers):
            for name, buffers in self._buffers.items():
                for parameter, part in self._stack.parts(k, buffers):
                    state = optimizer.state.get(parameter, {})
                    if state.get(name) is not None:
                        part.copy_(state[name])
                    if "step" in state:
                        self._steps[k] = float(state["step"])

    def narrow(self, active: int) -> None:
        """From now on only the first `active` trials take steps."""
        self._active = active
        self._tensors = self._stack.tensors(active)
        self._shaped = {key: self._stack.per_trial(value, active) for key, value in self._values.items()}
        self._narrowed = {name: self._stack.narrowed(b, active) for name, b in self._buffers.items()}

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor]) -> None:
        """One step of each active trial; `gradients` belong to `stack.tensors(active)` and are overwritten."""
        if self._alone:
            self._step_alone(gradients)
        elif self._kind is SGD:
            self._step_sgd(gradients)
        else:
            self._step_adam(gradients)

    def _step_alone(self, gradients: Sequence[Tensor]) -> None:
        for k in range(self._active):
            weights, slopes = self._stack.parts(k, self._tensors), self._stack.parts(k, gradients)
            for (parameter, part), (_, gradient) in zip(weights, slopes, strict=True):
                # The trial's parameter is its part of the stack for as long as the pack trains.
                parameter.data = part
                # The fused kernels go through memory in order and take the gradient's strides for the weight's.
                parameter.grad = gradient.contiguous()
            self._optimizers[k].step()

    def _step_sgd(self, gradients: Sequence[Tensor]) -> None:
        for i, (weight, gradient) in enumerate(zip(self._tensors, gradients, strict=True)):
            if self._any_decay:
                gradient.addcmul_(weight, self._shaped["weight_decay"][i])
            if self._any_momentum:
                momentum, buffer = self._shaped["momentum"][i], self._narrowed["momentum_buffer"][i]
                buffer.mul_(momentum).add_(gradient)
                ahead = self._shaped["nesterov"][i]
                # nesterov: g + m·b; else b
                gradient = torch.where(ahead > 0, torch.addcmul(gradient, buffer, momentum), buffer)
            weight.addcmul_(gradient, self._shaped["lr"][i], value=-1.0)

    def _step_adam(self, gradients: Sequence[Tensor]) -> None:
        self._steps[: self._active] += 1
        beta1, beta2 = self._values["beta1"].double(), self._values["beta2"].double()
        dtype = self._values["lr"].dtype
        steps = self._steps
        size = (self._values["lr"].double() / (1 - beta1**steps)).to(dtype)
        root = (1 - beta2**steps).sqrt().to(dtype)
        sizes, roots = (self._stack.per_trial(value, self._active) for value in (size, root))
        shaped = self._shaped
        for i, (weight, gradient) in enumerate(zip(self._tensors, gradients, strict=True)):
            if self._any_decay:
                if self._decoupled:
                    weight.mul_(1 - shaped["lr"][i] * shaped["weight_decay"][i])
                else:
                    gradient.addcmul_(weight, shaped["weight_decay"][i])
            mean, square = self._narrowed["exp_avg"][i], self._narrowed["exp_avg_sq"][i]
            mean.lerp_(gradient, (1 - shaped["beta1"][i]).expand_as(mean))
            square.mul_(shaped["beta2"][i]).addcmul_(gradient, gradient.mul(1 - shaped["beta2"][i]))
            denominator = square.sqrt().div_(roots[i]).add_(shaped["eps"][i])
            weight.sub_(mean.div(denominator).mul_(sizes[i]))

    @torch.no_grad()
    def write_back(self) -> None:
        """Gives the trials' own optimizers the states that they would have had alone."""
        for k, optimizer in enumerate(self._optimizers):
            own = {name: dict(self._stack.parts(k, buffers)) for name, buffers in self._buffers.items()}
            for parameter, _ in self._stack.parts(k, self._stack.tensors()):
                parameter.grad = None
                if self._alone:
                    parameter.data = parameter.data.clone()
                    continue
                state: dict[str, Any] = {name: parts[parameter].contiguous().clone() for name, parts in own.items()}
                group = optimizer.param_groups[0]
                if self._kind is SGD:
                    state = state if group["momentum"] else {"momentum_buffer": None}
                else:
                    device = parameter.device if group.get("fused") else torch.device("cpu")
                    state["step"] = torch.tensor(float(self._steps[k]), dtype=torch.float32, device=device)
                optimizer.state[parameter] = state
