"""Turns a config node with `_target_` into an object: the only place where a config chooses which Python runs.

    {"_target_": "hpo_pipeline.model.mlp.MLP", "n_units_1": 64}  ->  MLP(n_units_1=64)

Nodes are plain dicts (they cross process borders). `_partial_: true` gives a `functools.partial`; nested nodes are
built first. A target must be on the trust list, which lives here and in the environment variable HPO_TRUST, never in
a config: `HPO_TRUST="my_lab.*,my_net"`. Both the written name and where the object really comes from are held
against the list, so that an alias (`hpo_pipeline.model.mlp.os.system`) gains nothing.
"""

from __future__ import annotations

import fnmatch
import functools
import importlib.util
import inspect
import os
import pkgutil
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from hpo_pipeline.errors import ConfigError, nearest

TRUSTED = (
    *(
        f"hpo_pipeline.{group}.*"
        for group in ("model", "dataset", "objective", "searcher", "scheduler", "executor", "tracker")
    ),
    "torch.nn.*",
    "torch.optim.*",
    "torchvision.models.*",
    "torchvision.transforms.*",
)
MARKERS = ("_target_", "_partial_")


def _is_trusted(name: str) -> bool:
    patterns = [*TRUSTED, *filter(None, (p.strip() for p in os.environ.get("HPO_TRUST", "").split(",")))]
    return any(fnmatch.fnmatchcase(name, p) or name.startswith(p.removesuffix("*").rstrip(".") + ".") for p in patterns)


def locate(target: str) -> Callable[..., Any]:
    """The class or function that a dotted path names.

    Raises:
        ConfigError: it isn't trusted, can't be imported, or can't be called.
    """
    if not isinstance(target, str):
        raise ConfigError(f"_target_: must be a dotted path, got {target!r}")
    if not _is_trusted(target):
        top = target.partition(".")[0]
        raise ConfigError(
            f"_target_: {target!r} is not on the trust list; if you trust this code, set the environment variable "
            f"HPO_TRUST='{top}.*'"
        )
    try:
        found = _resolve(target)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"_target_: cannot import {target!r} ({error}){_near_target(target)}") from None
    origin = f"{getattr(found, '__module__', '')}.{getattr(found, '__qualname__', '')}"
    if not _is_trusted(origin):
        raise ConfigError(f"_target_: {target!r} is really {origin!r}, which is not on the trust list")
    if not callable(found):
        raise ConfigError(f"_target_: {target!r} is not a class or a function")
    return found  # type: ignore[no-any-return]


def _resolve(target: str) -> Any:
    """The object at a dotted path; an ImportError tells why a module on the way can't be imported."""
    module = target.rpartition(".")[0]
    if module and importlib.util.find_spec(module) is not None:
        importlib.import_module(module)
    return pkgutil.resolve_name(target)


def _near_target(target: str) -> str:
    module, _, name = target.rpartition(".")
    try:
        return nearest(name, dir(pkgutil.resolve_name(module)))
    except (ImportError, AttributeError, ValueError):
        return ""


def build(node: Mapping[str, Any], **supplied: Any) -> Any:
    """Calls `node`'s target with its keys.

    Args:
        node: plain mapping with `_target_`.
        supplied: what the caller knows and the config doesn't (an input shape, a generator). Each is passed only if
            the target's signature names it and the node doesn't set it.

    Raises:
        ConfigError: the target is not trusted or can't be found.
    """
    target = locate(node["_target_"])
    arguments = {key: _built(value) for key, value in node.items() if key not in MARKERS}
    named = inspect.signature(target).parameters
    arguments |= {key: value for key, value in supplied.items() if key in named and key not in arguments}
    return functools.partial(target, **arguments) if node.get("_partial_") else target(**arguments)


def _built(value: Any) -> Any:
    if isinstance(value, Mapping):
        return build(value) if "_target_" in value else {key: _built(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_built(item) for item in value]
    return value


def check(node: Any, path: str, supplied: Collection[str] = ()) -> list[str]:
    """Every reason why `build(node, **supplied)` could not even make the call; nothing is called.

    Args:
        node: what stands in the config.
        path: where it stands there, for the messages.
        supplied: names of the arguments that the caller will add if they fit.
    """
    if not isinstance(node, Mapping) or "_target_" not in node:
        return [f"{path}: must be a mapping with a _target_, got {node!r}"]
    return list(_problems(node, path, supplied))


def _nested_problems(value: Any, path: str) -> Iterator[str]:
    """The problems of the nodes that `_built` would build."""
    if isinstance(value, Mapping):
        if "_target_" in value:
            yield from _problems(value, path, ())
        else:
            for key, item in value.items():
                yield from _nested_problems(item, f"{path}.{key}")
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield from _nested_problems(item, f"{path}[{i}]")


def _problems(node: Mapping[str, Any], path: str, supplied: Collection[str]) -> Iterator[str]:
    for key, value in node.items():
        yield from _nested_problems(value, f"{path}.{key}")
    try:
        target = locate(node["_target_"])
    except ConfigError as error:
        yield from error.under(path).problems
        return
    parameters = inspect.signature(target).parameters.values()
    takes = [p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    given = {key for key in node if key not in MARKERS}
    if not any(p.kind == p.VAR_KEYWORD for p in parameters):
        settable = [name for name in takes if name not in supplied]
        for key in sorted(given.difference(takes)):
            yield f"{path}.{key}: {node['_target_']} takes no {key!r}{nearest(key, settable)}"
    if not node.get("_partial_"):
        for p in parameters:
            needed = p.default is p.empty and p.name in takes
            if needed and p.name not in given and p.name not in supplied:
                yield f"{path}.{p.name}: missing; {node['_target_']} needs it"
