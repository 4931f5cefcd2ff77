"""Whether a trial is its layers' forward passes and its optimizer's formula and no more: that is what a stack does.

A hook, a patched method, weights that lie in the same memory or that the optimizer doesn't have would be passed over in
silence, and the trial would train something else together than alone. What isn't known exactly is trained alone.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.modules import module as torch_modules
from torch.optim import optimizer as torch_optimizers

_TENSORS = (nn.Parameter, getattr(nn, "Buffer", Tensor), Tensor)  # torch 2.4 has no Buffer


def is_plain(model: nn.Module, optimizer: torch.optim.Optimizer) -> bool:
    """Whether nothing is added to the model, its weights and its optimizer, whose classes are for others to look at."""
    if _global_hooks() or _is_changed(optimizer) or any(map(_is_changed, model.modules())):
        return False
    tensors = _distinct([*model.parameters(), *model.buffers()])
    if any(type(tensor) not in _TENSORS or _is_hooked(tensor) for tensor in tensors):
        return False
    places = {tensor.untyped_storage().data_ptr() for tensor in tensors if tensor.numel()}
    if len(places) < sum(1 for tensor in tensors if tensor.numel()):
        return False  # one is a part of another
    owned = {id(weight) for weight in model.parameters()}
    stepped = {id(weight) for group in optimizer.param_groups for weight in group["params"]}
    trained = {id(weight) for weight in model.parameters() if weight.requires_grad}
    return trained <= stepped <= owned


def overrides_only_its_constructor(kind: type[nn.Module], base: type[nn.Module]) -> bool:
    """Whether `kind` is `base` with another `__init__`; methods that `base` doesn't have may have been added."""
    added = kind.__mro__[: kind.__mro__.index(base)] if issubclass(kind, base) else [kind]
    names = {name for cls in added for name in vars(cls)} - {"__init__", *vars(type("Empty", (), {})), *_ABOUT}
    return issubclass(kind, base) and not any(hasattr(base, name) for name in names)


_ABOUT = ("__annotations__", "__annotate__", "__annotate_func__", "__annotations_cache__", "__parameters__")
"""What Python itself may put into a class, besides what every class has."""


def _is_changed(it: nn.Module | torch.optim.Optimizer) -> bool:
    """Whether it has hooks, or a method of its own in place of its class's."""
    own = vars(it)
    return any(
        (name.endswith("_hooks") and held) or callable(getattr(type(it), name, None)) for name, held in own.items()
    )


def _is_hooked(tensor: Tensor) -> bool:
    return bool(tensor._backward_hooks) or bool(getattr(tensor, "_post_accumulate_grad_hooks", None))


def _global_hooks() -> bool:
    """Whether there are hooks on all modules or all optimizers of this process."""
    of_optimizers = torch_optimizers._global_optimizer_pre_hooks or torch_optimizers._global_optimizer_post_hooks
    return bool(of_optimizers or torch_modules._has_any_global_hook())  # type: ignore[no-untyped-call]


def _distinct(tensors: Iterable[Tensor]) -> list[Tensor]:
    return list({id(tensor): tensor for tensor in tensors}.values())
