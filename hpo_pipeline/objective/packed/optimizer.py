"""SGD, Adam and AdamW for a pack of trials, each with its own hyperparameters and its own count of steps.

The formulas are torch.optim's; Kingma & Ba 2015 (Adam) and Loshchilov & Hutter 2019 (AdamW).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import SGD, Adam, AdamW

from hpo_pipeline.objective.packed.stack import Stack

_BUFFERS: dict[type, tuple[str, ...]] = {
    SGD: ("momentum_buffer",),
    Adam: ("exp_avg", "exp_avg_sq"),
    AdamW: ("exp_avg", "exp_avg_sq"),
}


def structure(optimizer: torch.optim.Optimizer) -> Hashable | None:
    """The kind of optimizer, if it is one of those here; None for any other, and for options that aren't here."""
    kind = type(optimizer)
    if kind not in _BUFFERS or len(optimizer.param_groups) != 1:
        return None
    group = optimizer.param_groups[0]
    unusual = ("amsgrad", "maximize", "dampening", "capturable", "differentiable")
    if any(group.get(key) for key in unusual) or group.get("eps") == 0:  # then Adam would divide padding by zero
        return None
    # Adam(decoupled_weight_decay=True) is AdamW.
    return kind, bool(group.get("decoupled_weight_decay", False))


class PackOptimizer:
    """Takes the steps of all trials of a stack.

    Args:
        stack: the weights; they are changed in place.
        optimizers: the trials' own, whose states are continued, and have the new ones after `write_back`.
        each: Adam by torch's fused kernel for each trial, which goes through memory once, instead of a few calls for
            all trials, which go through it several times.
    """

    def __init__(self, stack: Stack, optimizers: Sequence[torch.optim.Optimizer], *, each: bool) -> None:
        self._stack = stack
        self._optimizers = optimizers
        self._kind = type(optimizers[0])
        self._groups = [optimizer.param_groups[0] for optimizer in optimizers]
        self._decoupled = self._kind is AdamW or bool(self._groups[0].get("decoupled_weight_decay", False))
        like = stack.tensors[0]

        def vector(key: str, index: int | None = None) -> Tensor:
            values = [float(g[key] if index is None else g[key][index]) for g in self._groups]
            return torch.tensor(values, dtype=like.dtype, device=like.device)

        self._values = {"lr": vector("lr"), "weight_decay": vector("weight_decay")}
        if self._kind is SGD:
            self._values |= {"momentum": vector("momentum"), "nesterov": vector("nesterov")}
        else:
            self._values |= {"beta1": vector("betas", 0), "beta2": vector("betas", 1), "eps": vector("eps")}
        self._any_momentum = self._kind is SGD and bool(self._values["momentum"].any())
        self._any_decay = bool(self._values["weight_decay"].any())
        self._each = each and self._kind is not SGD
        self._steps = torch.zeros(len(stack), dtype=torch.float32, device=like.device)
        self._buffers: dict[str, list[Tensor]] = {}
        self._read()
        self.narrow(len(stack))

    @torch.no_grad()
    def _read(self) -> None:
        """Takes over the trials' optimizer states."""
        for name in _BUFFERS[self._kind]:
            self._buffers[name] = [torch.zeros_like(tensor) for tensor in self._stack.tensors]
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
        self._tensors = self._stack.narrowed(self._stack.tensors, active)
        self._narrowed = {name: self._stack.narrowed(buffers, active) for name, buffers in self._buffers.items()}
        if self._each:
            moments = (self._stack.of_trials(buffers) for buffers in self._narrowed.values())
            self._own = list(zip(self._stack.of_trials(self._tensors), *moments, strict=True))
        else:
            self._shaped = {key: self._stack.per_trial(value[:active]) for key, value in self._values.items()}

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor]) -> None:
        """One step of each active trial; `gradients` lie like those trials' tensors, and are overwritten."""
        if self._kind is SGD:
            self._step_sgd(gradients)
            return
        self._steps[: self._active] += 1
        if self._each:
            self._step_each(gradients)
        else:
            self._step_adam(gradients)

    def _step_each(self, gradients: Sequence[Tensor]) -> None:
        take = torch._fused_adamw_ if self._decoupled else torch._fused_adam_
        for group, count, own, (weights, means, squares) in zip(
            self._groups, self._steps, self._stack.of_trials(gradients), self._own, strict=False
        ):
            take(
                weights,
                own,
                means,
                squares,
                [],
                [count] * len(weights),
                lr=float(group["lr"]),
                beta1=group["betas"][0],
                beta2=group["betas"][1],
                weight_decay=group["weight_decay"],
                eps=group["eps"],
                amsgrad=False,
                maximize=False,
            )

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
        """Adam's step  lr m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps),  in as few passes over memory as can be:

        with  r = sqrt(1 - beta2^t)  it is  (lr r / (1 - beta1^t)) m / (sqrt(v) + eps r).
        """
        values, steps = {key: value.double() for key, value in self._values.items()}, self._steps.double()
        root = (1 - values["beta2"] ** steps).sqrt()
        factors = {
            "size": -values["lr"] * root / (1 - values["beta1"] ** steps),
            "eps": values["eps"] * root,
            "beta1": 1 - values["beta1"],
            "beta2": 1 - values["beta2"],
            "kept": 1 - values["lr"] * values["weight_decay"],
        }
        dtype = self._tensors[0].dtype
        shaped = {key: self._stack.per_trial(value[: self._active].to(dtype)) for key, value in factors.items()}
        for i, (weight, gradient) in enumerate(zip(self._tensors, gradients, strict=True)):
            if self._any_decay and self._decoupled:
                weight.mul_(shaped["kept"][i])
            elif self._any_decay:
                gradient.addcmul_(weight, self._shaped["weight_decay"][i])
            mean, square = self._narrowed["exp_avg"][i], self._narrowed["exp_avg_sq"][i]
            mean.lerp_(gradient, shaped["beta1"][i])
            square.lerp_(gradient.square_(), shaped["beta2"][i])
            torch.sqrt(square, out=gradient).add_(shaped["eps"][i])
            weight.addcmul_(torch.div(mean, gradient, out=gradient), shaped["size"][i])

    @torch.no_grad()
    def write_back(self) -> None:
        """Gives the trials' own optimizers the states that they would have had alone."""
        for k, optimizer in enumerate(self._optimizers):
            own = {name: dict(self._stack.parts(k, buffers)) for name, buffers in self._buffers.items()}
            group = self._groups[k]
            for parameter, _ in self._stack.parts(k, self._stack.tensors):
                # Laid out in memory as the parameter is: torch's fused kernels count on that.
                state: dict[str, Any] = {
                    name: torch.empty_like(parameter).copy_(parts[parameter]) for name, parts in own.items()
                }
                if self._kind is SGD:
                    state = state if group["momentum"] else {"momentum_buffer": None}
                else:
                    device = parameter.device if group.get("fused") else torch.device("cpu")
                    state["step"] = torch.tensor(float(self._steps[k]), dtype=torch.float32, device=device)
                optimizer.state[parameter] = state
                parameter.grad = None
