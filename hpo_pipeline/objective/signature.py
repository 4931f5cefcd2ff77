"""Whether a function can be called as its objective does."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from hpo_pipeline.errors import Problem

_WAYS = {("config", "trial"): "train_function", ("config", "resource", "seed"): "function"}


def signature_problem(path: str, function: Callable[..., Any], needed: tuple[str, ...]) -> Problem | None:
    """Why a function can't be called with these arguments, by position."""
    what = f"{path} must take ({', '.join(needed)})"
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        return Problem("function", f"{what} and be no async function")
    if _takes(function, needed):
        return None
    other = next((name for names, name in _WAYS.items() if names != needed and _takes(function, names)), None)
    hint = f"; for one like this there is objective={other}" if other else ""
    return Problem("function", f"{what}, it takes {inspect.signature(function)}{hint}")


def _takes(function: Callable[..., Any], arguments: tuple[str, ...]) -> bool:
    try:
        inspect.signature(function).bind(*arguments)
    except TypeError:
        return False
    return True
