"""Optimizers that are made without torch's compiler, whose import takes more than a second.

torch marks a few methods of its optimizers as none to compile, when they are first called, and imports the compiler for
the mark; the first step of an optimizer imports it in any case. A tuner whose workers train, a dry run, and a command
line with a mistake make optimizers, to see whether they can be made, and take no step.
"""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable
from typing import Any

import torch

_MARK = "__dynamo_disable"
"""Where torch keeps a method's marked form; it looks there first."""


def postpone_compiler() -> None:
    """From now on, the compiler is imported by whoever compiles something; the methods are marked after that."""
    if "torch._dynamo" in sys.modules:
        return
    for method in vars(torch.optim.Optimizer).values():
        function = getattr(method, "__wrapped__", None)
        marks = getattr(method, "__globals__", {}).get("__name__") == "torch._compile"
        if marks and function is not None and not hasattr(function, _MARK):
            setattr(function, _MARK, functools.partial(_call, method, function))


def import_compiler() -> None:
    """For whoever is about to train: it is no part of the first epoch, whose seconds are reported."""
    importlib.import_module("torch._dynamo")


def _call(method: Callable[..., Any], function: Callable[..., Any], *given: Any, **named: Any) -> Any:
    """As it is written; where the compiler was imported meanwhile, marked as torch does it."""
    if "torch._dynamo" not in sys.modules:
        return function(*given, **named)
    delattr(function, _MARK)
    return method(*given, **named)
