"""Which trials can be in one pack: those with equal keys. What isn't known exactly has none, and is trained alone.

A stack is its networks' forward passes and its optimizers' formula and no more. A hook, a patched method, weights that
lie in the same memory or that the optimizer doesn't have would be passed over in silence, and a trial would train
something else in a pack than alone.
"""

from __future__ import annotations

import types
from collections.abc import Hashable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules import module as torch_modules
from torch.optim import optimizer as torch_optimizers

from hpo_pipeline.objective.packed import dropout
from hpo_pipeline.objective.packed.optimizer import structure
from hpo_pipeline.objective.packed.perceptron import perceptron
from hpo_pipeline.objective.packed.stack import launch_bound

LARGE = 150_000
"""Weights from which on, on a processor, padding a perceptron costs more than it saves."""

_TENSORS = (nn.Parameter, getattr(nn, "Buffer", Tensor), Tensor)  # torch 2.4 has no Buffer
_INTERNAL = frozenset(vars(nn.Module()))


def pack_key(model: nn.Module, optimizer: torch.optim.Optimizer, batch_size: int) -> Hashable | None:
    """Equal for trials that can be in one pack (on the same data); None for one that can only be trained alone."""
    kind = structure(optimizer)
    if why_alone(model, optimizer):
        return None
    net = perceptron(model)
    if net is None:
        return kind, module_key(model), batch_size
    first, last = net.linears[0], net.linears[-1]
    n_weights = sum(weight.numel() for weight in model.parameters())
    return (
        kind,
        len(net.linears),
        repr(net.activation),
        first.in_features,
        last.out_features,
        first.weight.dtype,
        first.weight.device,
        tuple(net.widths) if n_weights > LARGE and not launch_bound(first.weight.device) else (),
    )


def why_alone(model: nn.Module, optimizer: torch.optim.Optimizer) -> str:
    """Why trials with such a model and optimizer can't be in a pack; empty if they can."""
    if structure(optimizer) is None:
        return f"packs have SGD, Adam and AdamW with their usual options, not this {type(optimizer).__name__}"
    if not is_plain(model, optimizer):
        return (
            f"something is added to {type(model).__name__} or its optimizer (a hook, a method), or weights are shared"
        )
    if perceptron(model) is None and module_key(model) is None:
        return f"{type(model).__name__} has a layer twice, or keeps what can't be compared with another trial's"
    return ""


def module_key(model: nn.Module) -> Hashable | None:
    """Equal for models that compute the same but for weights, buffers and rates of dropout; None if that can't be told.

    What a module keeps besides is compared if it is plain data, a function or a class.
    """
    first: dict[int, int] = {}  # shows which tensors are the same
    modules = [id(module) for _, module in model.named_modules(remove_duplicate=False) if _own_tensors(module)]
    if len(set(modules)) < len(modules):
        return None  # torch.func can't do with a layer that is there twice
    try:
        return tuple(
            (
                name,
                *layer_key(module),
                tuple(first.setdefault(id(t), len(first)) for t in _own_tensors(module).values()),
            )
            for name, module in model.named_modules()
        )
    except TypeError:
        return None


def layer_key(module: nn.Module) -> tuple[Any, ...]:
    """The part of `module_key` of one module without its submodules.

    Raises:
        TypeError: it keeps what can't be compared.
    """
    own = {name: value for name, value in vars(module).items() if name not in _INTERNAL}
    if type(module) in dropout.LAYERS:
        del own["p"]
    shapes = tuple(
        (name, None if t is None else (tuple(t.shape), t.dtype, t.device, t.requires_grad))
        for name, t in _own_tensors(module).items()
    )
    return type(module), shapes, _plain(own)


def _own_tensors(module: nn.Module) -> dict[str, Tensor | None]:
    return {**module._parameters, **module._buffers}


def _plain(value: Any) -> Hashable:
    match value:
        case None | bool() | int() | float() | str() | torch.dtype() | type():
            return type(value), value
        case types.FunctionType() | types.BuiltinFunctionType():
            return value
        case list() | tuple():
            return type(value), tuple(_plain(item) for item in value)
        case dict():
            return tuple((_plain(key), _plain(item)) for key, item in value.items())
        case _:
            raise TypeError(f"{type(value).__name__} can't be compared")


def is_plain(model: nn.Module, optimizer: torch.optim.Optimizer) -> bool:
    """Whether nothing is added to the model, its weights and its optimizer, whose classes are for others to look at."""
    if _global_hooks() or _is_changed(optimizer) or any(map(_is_changed, model.modules())):
        return False
    owned = set(model.parameters())  # a tensor is equal to itself alone there
    tensors = owned | set(model.buffers())
    if any(type(tensor) not in _TENSORS or tensor._backward_hooks for tensor in tensors):
        return False
    if any(getattr(tensor, "_post_accumulate_grad_hooks", None) for tensor in tensors):
        return False
    places = [tensor.untyped_storage().data_ptr() for tensor in tensors if tensor.numel()]
    if len(set(places)) < len(places):
        return False  # one is a part of another
    stepped = {weight for group in optimizer.param_groups for weight in group["params"]}
    return {weight for weight in owned if weight.requires_grad} <= stepped <= owned


def _is_changed(it: nn.Module | torch.optim.Optimizer) -> bool:
    """Whether it has hooks, or a method of its own in place of its class's."""
    own = vars(it)
    return any(
        (name.endswith("_hooks") and held) or callable(getattr(type(it), name, None)) for name, held in own.items()
    )


def _global_hooks() -> bool:
    """Whether there are hooks on all modules or all optimizers of this process."""
    of_optimizers = torch_optimizers._global_optimizer_pre_hooks or torch_optimizers._global_optimizer_post_hooks
    return bool(of_optimizers or torch_modules._has_any_global_hook())  # type: ignore[no-untyped-call]
