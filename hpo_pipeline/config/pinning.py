"""Values that are set though the search space tunes them: typed, they are pinned; in a file, they have no effect."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from hpo_pipeline.errors import Problem
from hpo_pipeline.report.command import hydra_value
from hpo_pipeline.space_tree import domains, is_domain, pinned
from hpo_pipeline.tree import flatten


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
        if twice := _domain_of(path, typed):
            what = f"is typed, and so is {twice[0]}, which tunes it; leave one of them out"
            problems.append(Problem(path, what))
            continue
        for tree, key in found:
            tree[key] = pinned(tree[key], value)
        notes.append(f"{path}={hydra_value(value)} was typed, so it is not tuned")
    return problems, notes


def pinning_paths(given: Mapping[str, Any], typed: Iterable[str]) -> list[str]:
    """The paths whose typed values are meant to stay.

    What is typed of a whole component, `model={_target_: my_net.Net, lr: 0.1}`, are defaults like those in a file, if
    a domain is typed as well.

    Args:
        given: key -> value, of each override.
        typed: all paths that were typed.
    """
    whole = {key: value for key, value in given.items() if isinstance(value, Mapping) and "_target_" in value}
    defaults = set(flatten(whole))
    return [path for path in typed if path not in defaults or not _domain_of(path, typed)]


def _domain_of(path: str, typed: Iterable[str]) -> list[str]:
    """What was typed of the domain that tunes `path`."""
    return [other for other in typed if f"{other}.".startswith(f"search_space.{path}.")]


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
