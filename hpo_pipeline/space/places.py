"""Whether each parameter of a search space has its place in the config that is tuned."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from hpo_pipeline.errors import Problem, nearest
from hpo_pipeline.space.domain import Choice, Constant, text
from hpo_pipeline.space.parameter import Parameter
from hpo_pipeline.trial import Value

_ABSENT = object()


def place_problems(
    parameters: Iterable[Parameter],
    config: Mapping[str, Any],
    options: Mapping[str, Mapping[Value, Mapping[str, Any]]],
) -> list[Problem]:
    """Every parameter whose path is not in the config, or leads to a group where it must lead to a value.

    Args:
        config: the composed config: nested and plain.
        options: path of a choice that selects a config group -> its options -> what each is composed to. What exists
            only under an option that isn't given here is not checked.
    """
    problems = []
    known = _tunable(config)
    for p in parameters:
        group = next((c for c in p.when if p.path.startswith(f"{c.parent}.")), None)
        trees: list[tuple[str, Mapping[str, Any]]] = [("", config)]
        if group:
            composed = options.get(group.parent, {})
            trees = [
                (f" with {group.parent}={text(value)}", _nested(group.parent, composed[value]))
                for value in group.values
                if value in composed
            ]
        for where, tree in trees:
            found = _lookup(tree, p.path)
            if found is _ABSENT:
                near = nearest(p.path, known if not group else _tunable(tree))
                problems.append(Problem(p.path, f"not in the config that is tuned{where}{near}"))
            elif isinstance(found, Mapping) and not isinstance(p.domain, (Choice, Constant)):
                problems.append(Problem(p.path, "is a group of the config, not a value; tune one of its keys"))
    return problems


def _lookup(tree: Mapping[str, Any], path: str) -> Any:
    node: Any = tree
    for key in path.split("."):
        if not isinstance(node, Mapping) or key not in node:
            return _ABSENT
        node = node[key]
    return node


def _nested(path: str, node: Mapping[str, Any]) -> Mapping[str, Any]:
    for key in reversed(path.split(".")):
        node = {key: node}
    return node


def _paths(tree: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in tree.items():
        yield f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from _paths(value, f"{prefix}{key}.")


def _tunable(tree: Mapping[str, Any]) -> list[str]:
    """The paths that a person may have meant: what a component is, `_target_`, is chosen by its group."""
    return [path for path in _paths(tree) if not path.endswith("_target_")]
