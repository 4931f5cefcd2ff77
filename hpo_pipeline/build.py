"""Turns a config node with `_target_` into an object: the only place where a config chooses which Python runs.

    {"_target_": "hpo_pipeline.model.mlp.MLP", "n_units_1": 64}  ->  MLP(n_units_1=64)

Nodes are plain dicts (they cross process borders). What a node may name depends on the place where it stands
(`kinds.py`), and on whose code its reader trusts (`trust.py`), never on the config. A target is a module and a name in
it: there is no way from there to an attribute of a class, or to what a module has imported. The arguments are the
node's other keys; those that are nodes are built first, and may only be parts: modules, transforms, or trusted code.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import reprlib
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hpo_pipeline import trust
from hpo_pipeline.errors import ConfigError, Problem, nearest
from hpo_pipeline.garbage import uncollected
from hpo_pipeline.kinds import KINDS, Home, Kind

_TARGET = "_target_"
_DEEPEST = 30
"""Nodes, lists and mappings within each other: far more than anybody writes."""
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 100


@dataclass(frozen=True, slots=True)
class _Target:
    """What a node names.

    Attributes:
        call: the class or function.
        takes: its arguments that have names -> whether each must be given.
        takes_any: whether it takes arguments of any name.
        home: None for a person's own code.
    """

    call: Callable[..., Any]
    takes: Mapping[str, bool]
    takes_any: bool
    home: Home | None

    def is_offered(self, name: str, *, named_only: bool = False) -> bool:
        """Whether it gets an argument of that name. A library's `**arguments` are not meant for ours."""
        open_to_ours = self.takes_any and not named_only and (self.home is None or self.home.is_ours)
        return name in self.takes or open_to_ours


def locate(target: Any, kind: str) -> Callable[..., Any]:
    """The class or function that a dotted path names.

    Args:
        target: what stands in the config.
        kind: what it has to be, a key of `KINDS`.

    Raises:
        ConfigError: it isn't one, isn't trusted, or can't be imported.
    """
    return _located(target, KINDS[kind]).call


def takes(node: Mapping[str, Any], kind: str, name: str) -> bool:
    """Whether what `node` names would get an argument of that name, if it is offered one."""
    return _located(node.get(_TARGET), KINDS[kind]).is_offered(name)


def check(node: Any, kind: str) -> list[Problem]:
    """Every reason why `build(node, kind, …)` could not even make the call; nothing is called.

    Args:
        node: what stands in the config.
        kind: what the place holds, a key of `KINDS`.
    """
    if not isinstance(node, Mapping) or _TARGET not in node:
        return [Problem("", f"must be a mapping with a _target_, got {_shown(node)}")]
    return list(_problems(node, KINDS[kind], 0))


def build(node: Mapping[str, Any], kind: str, /, **offered: Any) -> Any:
    """Calls `node`'s target with its keys.

    Args:
        node: plain mapping with `_target_`.
        kind: what it has to make, a key of `KINDS`.
        offered: what the caller knows and the config doesn't (an input shape, a seed), as the kind's `offers` say. Each
            is passed if the target takes it and the node doesn't set it.

    Raises:
        ConfigError: as `check` finds it, or what was made is not of the kind.
    """
    if problems := check(node, kind):
        raise ConfigError(problems)
    return _made(node, KINDS[kind], offered)


def _made(node: Mapping[str, Any], kind: Kind, offered: Mapping[str, Any]) -> Any:
    """What the node makes; nothing is wrong with its keys."""
    target = _located(node[_TARGET], kind)
    arguments = {key: _value(value) for key, value in node.items() if key != _TARGET}
    for offer in kind.offers:
        if offer.name in offered and target.is_offered(offer.name, named_only=offer.named_only):
            arguments.setdefault(offer.name, offered[offer.name])
    made = target.call(**arguments)
    if lacking := kind.lacking(made):
        raise _refusal(f"{node[_TARGET]} makes no {kind}: {lacking}")
    return made


def _value(value: Any) -> Any:
    """An argument as it is passed on."""
    if isinstance(value, Mapping):
        if _TARGET in value:
            return _made(value, KINDS["part"], {})
        return {key: _value(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_value(item) for item in value]
    return value


def _problems(node: Mapping[Any, Any], kind: Kind, depth: int) -> Iterator[Problem]:
    """What is wrong with a node."""
    for key, value in node.items():
        if not isinstance(key, str):
            wanted = "the keys of a component are names of its arguments"
            yield Problem(_word(key), f"{wanted}, got a key of {type(key).__name__}")
        elif key != _TARGET:
            yield from _nested_problems(value, _word(key), depth + 1)
    try:
        target = _located(node[_TARGET], kind)
    except ConfigError as error:
        yield from error.problems
        return
    name, names = node[_TARGET], [key for key in node if isinstance(key, str) and key != _TARGET]
    offers = {offer.name: offer for offer in kind.offers}
    settable = [key for key in target.takes if key not in offers]
    refused = dict(target.home.refused) if target.home else {}
    for key in sorted(names):
        if not key.isidentifier() or key.startswith("_") or key == "self":
            yield Problem(_word(key), "is no argument; a component takes arguments by name, and _target_")
        elif key in refused and node[key] not in (None, False):
            yield Problem(key, f"{refused[key]}; got {_shown(node[key])}")
        elif key in offers and not offers[key].settable:
            yield Problem(key, f"is not for a config to set; {name} is given it")
        elif key not in target.takes and not target.takes_any:
            yield Problem(_word(key), f"{name} takes no {_shown(key)}{nearest(key, settable)}")
    for key, needed in target.takes.items():
        if needed and key not in node and key not in offers:
            yield Problem(key, f"missing; {name} needs it")


def _nested_problems(value: Any, path: str, depth: int) -> Iterator[Problem]:
    """The problems of the nodes within an argument."""
    if not isinstance(value, (Mapping, list)):
        return
    if depth > _DEEPEST:
        yield Problem(path, f"is nested too deeply, more than {_DEEPEST} times")
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield from _nested_problems(item, f"{path}[{i}]", depth + 1)
    elif _TARGET in value:
        yield from (problem.under(path) for problem in _problems(value, KINDS["part"], depth))
    else:
        for key, item in value.items():
            yield from _nested_problems(item, f"{path}.{_word(key)}", depth + 1)


def _located(target: Any, kind: Kind) -> _Target:
    if not isinstance(target, str):
        raise _refusal(f"must be a dotted path, got {_shown(target)}")
    return _looked_up(target, kind.name, trust.trusted())


@functools.lru_cache(maxsize=1024)
def _looked_up(target: str, kind_name: str, trusted: tuple[str, ...]) -> _Target:
    """Once for every target, as each trial builds a few; `trusted` is what it holds for."""
    kind, shown = KINDS[kind_name], _shown(target)
    module, _, name = target.rpartition(".")
    own = trust.may_be_named(target)
    public = _is_plain(target) and not name.startswith("_")
    homes = [home for home in kind.homes if public and home.holds(module)]
    if not own and not homes:
        raise _refusal(f"{shown} {_why_not(target, kind)}")
    found = _imported(target, module, name)
    if not (inspect.isclass(found) or inspect.isroutine(found)) or inspect.ismethod(found):
        raise _refusal(f"{shown} is not a class or a function")
    if getattr(found, "_is_protocol", False) or inspect.isabstract(found):
        raise _refusal(f"{shown} is an interface; name a class that implements it")
    home = next((home for home in homes if home.admits(name, found)), None)
    if home is None:
        origin = f"{getattr(found, '__module__', '')}.{getattr(found, '__qualname__', '')}"
        if not own:
            raise _refusal(f"{shown} is no {kind}; it may be {kind.sources}")
        if not trust.covers(origin):
            raise _refusal(f"{shown} is really {_shown(origin)}, which is not on the trust list")
        if inspect.isclass(found) and (lacking := kind.lacking(found)):
            raise _refusal(f"{shown} is no {kind}: {lacking}")
    try:
        parameters = inspect.signature(found).parameters.values()
    except (ValueError, TypeError):
        raise _refusal(f"{shown} doesn't tell which arguments it takes; call it in a function of your own") from None
    if any(p.kind == p.POSITIONAL_ONLY and p.default is p.empty for p in parameters):
        raise _refusal(f"{shown} takes arguments by position; call it in a function of your own")
    named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    return _Target(
        call=found,
        takes={p.name: p.default is p.empty for p in named},
        takes_any=any(p.kind == p.VAR_KEYWORD for p in parameters),
        home=home,
    )


def _refusal(why: str) -> ConfigError:
    return ConfigError(Problem(_TARGET, why))


def _why_not(target: str, kind: Kind) -> str:
    """Why a target that is in no home and not trusted is refused; who could trust it is told how."""
    if trust.covers(target):
        return f"is private; to trust it, name it whole in {trust.VARIABLE}"
    top = target.partition(".")[0]
    if top in ("hpo_pipeline", "torch", "torchmetrics", "torchvision"):
        return f"is no {kind}; it may be {kind.sources}"
    if not _is_plain(target) or top in sys.stdlib_module_names:
        return f"is not on the trust list; a {kind} may be {kind.sources}"
    return f"is not on the trust list; if you trust this code, set the environment variable {trust.VARIABLE}='{top}.*'"


def _is_plain(target: str) -> bool:
    """Whether it is a module and a name in it, in letters that can't be taken for others."""
    return "." in target and target.isascii() and all(part.isidentifier() for part in target.split("."))


def _imported(target: str, module: str, name: str) -> Any:
    try:
        with uncollected():  # it may import torch
            holder = importlib.import_module(module)
    except Exception as error:  # whatever somebody's own module may raise
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise _refusal(f"cannot import {_shown(target)} ({reason[:200]})") from None
    try:
        return getattr(holder, name)
    except AttributeError:
        near = nearest(name, dir(holder))
        raise _refusal(f"cannot import {_shown(target)} ({module} has no {_shown(name)}){near}") from None


def _word(key: Any) -> str:
    """A key as part of a path."""
    return _shown(key)[1:-1] if isinstance(key, str) else _shown(key)


def _shown(value: Any) -> str:
    """A value for a message: on one line, not too long, and with letters that only look like others spelled out."""
    return _SHORT.repr(value).encode("ascii", "backslashreplace").decode()
