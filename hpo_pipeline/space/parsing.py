"""From the YAML of a search space, as plain data, to its parameters and constraints.

All that is wrong in it is found at once. The syntax is described in hpo_pipeline/space/__init__.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any, TypeVar

from hpo_pipeline.checks import is_number, option_problems
from hpo_pipeline.errors import ConfigError, Problem, nearest
from hpo_pipeline.space.constraint import Constraint
from hpo_pipeline.space.distribution import Scipy
from hpo_pipeline.space.domain import Choice, Constant, Domain, Ordinal, identity, is_value
from hpo_pipeline.space.parameter import Condition, Parameter
from hpo_pipeline.space.prior import Prior
from hpo_pipeline.space.ranges import Float, Int
from hpo_pipeline.trial import Value

_TYPES: dict[str, tuple[Callable[..., Domain], tuple[str, ...], tuple[str, ...]]] = {
    # type: (domain, keys that are needed, keys that may be given)
    "float": (Float, ("low", "high"), ("log", "step", "n")),
    "int": (Int, ("low", "high"), ("log", "step", "n", "base")),
    "choice": (Choice, ("choices",), ()),
    "ordinal": (Ordinal, ("choices",), ("encoding", "log")),
    "scipy": (Scipy, ("distribution",), ()),
}
Made = TypeVar("Made")
_COMMON = ("type", "when", "prior")
_TELLTALE = ("low", "high", "choices", "distribution")
"""Keys that only a leaf has."""


def parse(tree: Mapping[str, Any]) -> tuple[list[Parameter], list[Constraint]]:
    """The parameters that the tree describes, parents before children, and the constraints between them.

    Raises:
        ConfigError: with everything that is wrong in it.
    """
    if not isinstance(tree, Mapping):
        raise ConfigError(Problem("", "must be a mapping that mirrors the config it tunes", tree))
    if isinstance(tree.get("type"), str):
        raise ConfigError("is a leaf; it must mirror the config: {optimizer: {lr: {type: float, ...}}}")
    parser = _Parser()
    parser.branch({key: node for key, node in tree.items() if key != "constraints"}, "", ())
    constraints = parser.constraints(tree.get("constraints") or [])
    parser.problems += _condition_problems(parser.parameters)
    parameters = _in_order(parser.parameters, parser.problems)
    if parser.problems:
        raise ConfigError(parser.problems)
    return parameters, constraints


class _Parser:
    """Collects parameters and problems on its way through the tree."""

    def __init__(self) -> None:
        self.parameters: list[Parameter] = []
        self.problems: list[Problem] = []

    def problem(self, path: str, message: str, *value: Any) -> None:
        self.problems.append(Problem(path, message, *value))

    def made(self, path: str, make: Callable[..., Made], **arguments: Any) -> Made | None:
        try:
            return make(**arguments)
        except ConfigError as error:
            self.problems += error.under(path).problems
            return None

    def branch(self, tree: Mapping[Any, Any], base: str, when: tuple[Condition, ...]) -> None:
        for key, node in tree.items():
            path = f"{base}.{key}" if base else str(key)
            if not isinstance(key, str):
                self.problem(path, "a key must be a string", key)
            elif isinstance(node, Mapping):
                self.mapping(node, path, when)
            elif isinstance(node, Sequence) and not isinstance(node, str):
                self.problem(path, f"is a list; write {{type: choice, choices: {list(node)!r}}}")
            elif not is_value(node):
                self.problem(path, "must be a finite number, a string, a bool or null", node)
            else:
                self.parameters.append(Parameter(path, Constant(node), when))

    def mapping(self, node: Mapping[Any, Any], path: str, when: tuple[Condition, ...]) -> None:
        if "type" in node and not isinstance(node["type"], Mapping):
            self.leaf(node, path, when)
            return
        scalars = [key for key, value in node.items() if not isinstance(value, Mapping)]
        if not any(key in node and (key in scalars or key == "choices") for key in _TELLTALE):
            if "when" in node:
                self.problem(f"{path}.when", "belongs to a leaf, beside its type; write it there")
            self.branch({key: value for key, value in node.items() if key != "when"}, path, when)
            return
        mistyped = [key for key in scalars if isinstance(key, str) and nearest(key, ["type"])]
        if mistyped:
            self.problem(f"{path}.{mistyped[0]}", "unknown key for a leaf; did you mean 'type'?")
        else:
            self.problem(path, f"has no type; add one of {', '.join(_TYPES)}")

    def leaf(self, node: Mapping[Any, Any], path: str, when: tuple[Condition, ...]) -> None:
        kind = node["type"]
        if not isinstance(kind, str) or kind not in _TYPES:
            self.problems += [problem.under(path) for problem in option_problems(_TYPES, type=kind)]
            return
        _, needed, optional = _TYPES[kind]
        known = (*_COMMON, *needed, *optional)
        if kind != "scipy":
            for key in [key for key in node if key not in known]:
                near = nearest(str(key), known) or f"; it knows {', '.join(known)}"
                self.problem(f"{path}.{key}", f"unknown key for type {kind!r}{near}")
        for key in needed:
            if key not in node:
                self.problem(f"{path}.{key}", f"missing; type {kind!r} needs it")
        when = (*when, *self.conditions(node.get("when"), path))
        domain = self.domain(node, path, known) if all(key in node for key in needed) else None
        # what is wrong here is known by now: no further problems because others depend on it
        prior = self.prior(node["prior"], domain, path) if "prior" in node and domain else None
        self.parameters.append(Parameter(path, domain or Constant(None), when, prior))
        if kind == "choice" and isinstance(node.get("choices"), Mapping):
            self.options(node["choices"], path, when)

    def domain(self, node: Mapping[Any, Any], path: str, known: Sequence[str]) -> Domain | None:
        build = _TYPES[node["type"]][0]
        scipy = node["type"] == "scipy"
        arguments = {k: v for k, v in node.items() if k not in _COMMON and (scipy or k in known)}
        if scipy:
            arguments = {"distribution": arguments.pop("distribution"), "parameters": arguments}
        elif isinstance(node.get("choices"), Mapping) and node["type"] == "choice":
            arguments["choices"] = list(node["choices"])
        return self.made(path, build, **arguments)

    def prior(self, node: Any, domain: Domain, path: str) -> Prior | None:
        keys = ("center", "confidence")
        if not isinstance(node, Mapping) or "center" not in node or any(key not in keys for key in node):
            self.problem(f"{path}.prior", "must be a mapping with center and confidence", node)
            return None
        if not domain.contains(node["center"]):
            self.problem(f"{path}.prior.center", f"{node['center']!r} is not in the search space ({domain})")
            return None
        return self.made(f"{path}.prior", Prior, **node)

    def constraints(self, node: Any) -> list[Constraint]:
        if not isinstance(node, Sequence) or isinstance(node, str):
            self.problem("constraints", "must be a list of expressions", node)
            return []
        found = []
        known = {p.path for p in self.parameters}
        for i, source in enumerate(node):
            constraint = self.made(f"constraints[{i}]", Constraint, source=source)
            found += [constraint] if constraint else []
            for path in sorted(constraint.paths - known) if constraint else ():
                self.problem(f"constraints[{i}]", f"{path} is not in the search space{nearest(path, known)}")
        return found

    def options(self, choices: Mapping[Value, Any], path: str, when: tuple[Condition, ...]) -> None:
        parent, _, _ = path.rpartition(".")
        inside = parent or path  # a choice at the root selects a config group
        for option, tree in choices.items():
            if isinstance(tree, Mapping) and isinstance(tree.get("type"), str):
                what = f"is a leaf; give it a name: {{name: {{type: {tree['type']}, ...}}}}"
                self.problem(f"{path}.choices.{option}", what)
            elif isinstance(tree, Mapping):
                self.branch(tree, inside, (*when, Condition(path, (option,))))
            elif tree is not None:
                self.problem(f"{path}.choices.{option}", "must be a sub-space or {}", tree)

    def conditions(self, node: Any, path: str) -> Iterator[Condition]:
        if node is None:
            return
        if not isinstance(node, Mapping):
            self.problem(f"{path}.when", "must be a mapping path -> value or list of values", node)
            return
        for parent, values in node.items():
            allowed = values if isinstance(values, Sequence) and not isinstance(values, str) else [values]
            if not allowed or not all(map(is_value, allowed)):
                self.problem(f"{path}.when.{parent}", "must be a value or a list of values", values)
            else:
                yield Condition(str(parent), tuple(allowed))


def _condition_problems(parameters: list[Parameter]) -> Iterator[Problem]:
    declared: dict[str, list[Parameter]] = {}
    for p in parameters:
        declared.setdefault(p.path, []).append(p)
    for p in parameters:
        for parent, values in p.when:
            if parent not in declared:
                hint = nearest(parent, declared) or "; add it there, or drop the condition"
                yield Problem(f"{p.path}.when.{parent}", f"not in the search space{hint}")
                continue
            domains = [other.domain for other in declared[parent]]
            for value in values:
                if not any(_conceivable(domain, value) for domain in domains):
                    options = [str(v) for d in domains if isinstance(d, (Choice, Ordinal)) for v in d.choices]
                    near = nearest(str(value), options)
                    yield Problem(f"{p.path}.when.{parent}", f"is never {value!r} ({domains[0]}){near}")
    for path, same in declared.items():
        for one, other in combinations(same, 2):
            if not _exclude_each_other(one.when, other.when):
                yield Problem(path, "declared twice, under conditions that can hold together; declare it once")
                break


def _conceivable(domain: Domain, value: Value) -> bool:
    """Whether `domain` could have this value were it not narrowed: pinning a parent, or moving its bounds, is fine."""
    if isinstance(domain, (Choice, Ordinal)):
        return domain.contains(value)
    return isinstance(domain, Constant) or is_number(value)


def _exclude_each_other(one: tuple[Condition, ...], other: tuple[Condition, ...]) -> bool:
    return any(
        a.parent == b.parent and not {identity(v) for v in a.values} & {identity(v) for v in b.values}
        for a in one
        for b in other
    )


def _in_order(parameters: list[Parameter], problems: list[Problem]) -> list[Parameter]:
    """Parents before children, otherwise as declared. A cycle is added to `problems`."""
    ordered: list[Parameter] = []
    left = list(parameters)
    while left:
        waiting = {p.path for p in left}
        ready = next((p for p in left if not any(c.parent in waiting for c in p.when)), None)
        if ready is None:
            cycle = ", ".join(dict.fromkeys(p.path for p in left))
            problems.append(Problem("", f"conditions depend on each other in a circle: {cycle}; remove one of them"))
            return ordered
        ordered.append(ready)
        left.remove(ready)
    return ordered
