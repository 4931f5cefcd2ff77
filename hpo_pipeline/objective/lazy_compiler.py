"""Optimizers that are made, and take steps, without torch's compiler, whose import takes more than a second.

torch marks a few methods of its optimizers as none to compile, when they are first called, and imports the compiler for
the mark; so does every step, to tell the compiler where a graph ends. Nobody who doesn't compile needs either.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

import torch

_MARK = "__dynamo_disable"
"""Where torch keeps a method's marked form; it looks there first."""
_COMPILER = "torch._dynamo"


def postpone_compiler() -> None:
    """From now on, the compiler is imported by whoever compiles something; the methods are marked after that."""
    if _COMPILER in sys.modules:
        return
    for method in vars(torch.optim.Optimizer).values():
        function = getattr(method, "__wrapped__", None)
        marks = getattr(method, "__globals__", {}).get("__name__") == "torch._compile"
        if marks and function is not None and not hasattr(function, _MARK):
            setattr(function, _MARK, functools.partial(_call, method, function))
    for made in vars(torch.optim).values():
        step = vars(made).get("step") if isinstance(made, type) and issubclass(made, torch.optim.Optimizer) else None
        # What torch has put around the algorithm: its own function of this name, from this file.
        if getattr(getattr(step, "__code__", None), "co_name", "") == "_use_grad" and hasattr(step, "__wrapped__"):
            made.step = _uncompiled(step)


def _call(method: Callable[..., Any], function: Callable[..., Any], *given: Any, **named: Any) -> Any:
    """As it is written; where the compiler was imported meanwhile, marked as torch does it."""
    if _COMPILER not in sys.modules:
        return function(*given, **named)
    delattr(function, _MARK)
    return method(*given, **named)


def _uncompiled(step: Any) -> Callable[..., Any]:
    """A step as torch makes it, less its calls of the compiler; where that was imported meanwhile, torch's own."""
    algorithm = step.__wrapped__

    @functools.wraps(algorithm)
    def uncompiled(optimizer: torch.optim.Optimizer, *given: Any, **named: Any) -> Any:
        if _COMPILER in sys.modules:
            return step(optimizer, *given, **named)
        with torch.set_grad_enabled(optimizer.defaults["differentiable"]):
            return algorithm(optimizer, *given, **named)

    return uncompiled
