"""The tree that describes a search space, before it is parsed: how one domain replaces another, and what values do.

A value that is set though the search space tunes it: typed, it is pinned; in a file, it has no effect.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from hpo_pipeline.config.composed import flatten
from hpo_pipeline.errors import Problem
from hpo_pipeline.report.command import hydra_value


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


def pin(space: dict[str, Any], values: Mapping[str, Any], typed: Iterable[str]) -> tuple[list[Problem], list[str]]:
    """Makes constants of the hyperparameters whose value was typed.

    Args:
        space: the tree of the search space, which is changed.
        values: path in the config -> value, or group -> option, as typed.
        typed: all paths that were typed.

    Returns:
        A problem for each path that was typed twice, as a value and as a domain; and a line for each hyperparameter
        that is not tuned because of this.
    """
    problems, notes = [], []
    for path, value in values.items():
        found = [(tree, key) for there, tree, key in domains(space) if there == path]
        if not found:
            continue
        if twice := [other for other in typed if f"{other}.".startswith(f"search_space.{path}.")]:
            what = f"is typed, and so is {twice[0]}, which tunes it; leave one of them out"
            problems.append(Problem(path, what))
            continue
        for tree, key in found:
            tree[key] = pinned(tree[key], value)
        notes.append(f"{path}={hydra_value(value)} was typed, so it is not tuned")
    return problems, notes


def with_group_choices(space: dict[str, Any], groups: Iterable[str]) -> dict[str, Any]:
    """The tree with a choice in place of each constant that chooses the option of a config group."""
    return {
        key: {"type": "choice", "choices": [node]} if key in groups and isinstance(node, str) else node
        for key, node in space.items()
    }


def without_effect(
    space: Mapping[str, Any], layers: Iterable[tuple[str, str, Mapping[str, Any]]], typed: Iterable[str]
) -> Iterator[str]:
    """A line for each value that a file sets though the search space tunes it.

    Args:
        layers: (name of the file, the group that it is an option of, content). What an option says of its own group
            are defaults; whatever else a file says is meant.
    """
    tuned = {path for path, _, _ in domains(dict(space))} - set(typed)
    for name, group, content in layers:
        meant = flatten({key: node for key, node in content.items() if key not in (group, "search_space", "hydra")})
        for path, value in meant.items():
            if path in tuned and not is_domain(value):
                yield f"{name} sets {path}={hydra_value(value)}, without effect: the search space tunes it"
