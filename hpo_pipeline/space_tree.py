"""The tree that describes a search space, before it is parsed: plain dicts, and no need of numpy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def is_domain(node: Any) -> bool:
    """Whether it describes a hyperparameter that is tuned: a mapping with a `type`."""
    return isinstance(node, Mapping) and "type" in node and not isinstance(node["type"], Mapping)


def merged(old: Any, new: Any) -> Any:
    """`new` put on top of `old`, key by key; but a domain with its own `type` replaces the one that was there.

    One value in place of a choice whose options have sub-spaces keeps that option's.
    """
    if isinstance(old, Mapping) and isinstance(new, Mapping) and not (is_domain(old) and is_domain(new)):
        return {**old, **{key: merged(old[key], value) if key in old else value for key, value in new.items()}}
    return new if isinstance(new, Mapping) else pinned(old, new)


def replaces(old: Any, new: Any) -> bool:
    """Whether `merged` does more than to put values over values: a domain is replaced, or pinned with what it holds."""
    if is_domain(old):
        return is_domain(new) or (not isinstance(new, Mapping) and pinned(old, new) is not new)
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return any(replaces(old[key], value) for key, value in new.items() if key in old)
    return False


def pinned(old: Any, value: Any) -> Any:
    """What stands for the one value `value` where the domain `old` stood: a constant, unless that would lose something.

    The sub-space of the chosen option is kept, and so is the condition under which the hyperparameter exists.
    """
    if not is_domain(old):
        return value
    options = old.get("choices")
    kept = {key: node for key, node in old.items() if key == "when"}
    if isinstance(options, Mapping):
        option = next(
            (key for key in options if key == value and isinstance(key, bool) == isinstance(value, bool)), None
        )
        if option is not None:
            return {"type": "choice", "choices": {option: options[option]}, **kept}
    return {"type": "choice", "choices": [value], **kept} if kept else value


def domains(tree: Mapping[str, Any], base: str = "") -> Iterator[tuple[str, dict[str, Any], str]]:
    """Every domain of a tree of plain dicts, those of options too: its path in the config, and (mapping, key) it is at.

    The same path comes again where it is declared under several options.
    """
    for key, node in tree.items():
        path = f"{base}.{key}" if base else str(key)
        if is_domain(node):
            yield path, tree, key  # type: ignore[misc]
            options = node.get("choices")
            inside = base or path  # a choice at the root selects a config group
            for option in options.values() if isinstance(options, Mapping) else ():
                if isinstance(option, Mapping):
                    yield from domains(option, inside)
        elif isinstance(node, Mapping):
            yield from domains(node, path)


def values_at(tree: Mapping[Any, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Path -> value of every key, groups as well. A key with a dot in it has no path."""
    for key, value in tree.items():
        if "." not in str(key):
            yield f"{prefix}{key}", value
            if isinstance(value, Mapping):
                yield from values_at(value, f"{prefix}{key}.")
