"""A search space narrowed to the neighbourhood of one configuration: the winner of an earlier study.

    log scale      [winner / factor, winner * factor]
    linear scale   1 / factor of the range's width, the winner in its middle

both clipped to the bounds that there were. What lists its values (integers, and ranges with `step`, `n` or `base`, and
ordinals) keeps those of them that are within, and the winner's neighbours in any case: what is tuned stays tuned. A
choice keeps its options, and a distribution of scipy, which has no bounds, stays as it is.

It works on the tree that describes the space, so that what comes out can be saved and read.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hpo_pipeline.checks import is_number
from hpo_pipeline.errors import ConfigError, Problem
from hpo_pipeline.space.domain import Choice, Constant, Domain, Ordinal, identity, text
from hpo_pipeline.space.parameter import Condition, Parameter
from hpo_pipeline.space.parsing import parse
from hpo_pipeline.space.ranges import Float, Int
from hpo_pipeline.space_tree import is_domain
from hpo_pipeline.trial import Config, Value

_HAIR = 1e-9
"""Of the scale: a listed value at a bound is within, whatever the rounding."""


@dataclass(frozen=True, slots=True)
class Narrowed:
    """One domain that has become narrower.

    Attributes:
        path: in the config.
        keys: in the tree of the search space.
        node: what stands there now.
        before, after: what it could be, and can be.
        winner: the value in the middle, as it can be there.
        given: the value that the winner has.
    """

    path: str
    keys: tuple[str, ...]
    node: dict[str, Any]
    before: Domain
    after: Domain
    winner: Value
    given: Value

    def __str__(self) -> str:
        around = text(self.given)
        if self.winner != self.given:
            around = f"{text(self.winner)}, which is the nearest to {around}"
        elif isinstance(self.before, (Float, Int)) and self.winner in (self.before.low, self.before.high):
            around += f", its {'lower' if self.winner == self.before.low else 'upper'} bound"
        return f"{self.path}: {self.after} around {around} (before: {self.before})"


@dataclass(frozen=True, slots=True)
class Narrowing:
    """What became of a search space.

    Attributes:
        narrowed: the domains that are narrower now.
        kept: path -> why it has the domain that it had.
        point: the winner as a configuration of the space: as far as it has values there.
    """

    narrowed: list[Narrowed]
    kept: dict[str, str]
    point: dict[str, Value]

    def applied(self, tree: Mapping[str, Any]) -> dict[str, Any]:
        """The tree with the narrower domains in place of the others."""
        return _replaced(tree, {change.keys: change.node for change in self.narrowed})


def narrowing(tree: Mapping[str, Any], values: Config, own: Collection[str], factor: float) -> Narrowing:
    """What to narrow of the space that a tree describes.

    Args:
        tree: as `SearchSpace.parse` takes it.
        values: path -> what the winner has there. Values of any kind: they may come from anybody.
        own: the paths among them that the winner was found by, or has set; what it merely has, nothing is known of.
        factor: above 1.

    Raises:
        ConfigError: the tree is wrong, or a range is to be narrowed around something that is no number.
    """
    parameters, _ = parse(tree)
    point, problems = _point(parameters, values, own)
    if problems:
        raise ConfigError(problems)
    narrowed: list[Narrowed] = []
    kept: dict[str, str] = {}
    parents = {condition.parent for p in parameters for condition in p.when}
    by_path: dict[str, list[Domain]] = {}
    for p in parameters:
        if p.is_active(point):
            by_path.setdefault(p.path, []).append(p.domain)
    for path, keys, node in _active(tree, "", (), point):
        domain = by_path[path][0]
        if isinstance(domain, Constant):
            continue
        if path not in own or path not in values:
            kept[path] = "has no value of its own there"
        elif path not in point:
            kept[path] = f"has {text(values[path])}, which is no option"
        elif isinstance(domain, Ordinal) and path in parents:
            kept[path] = "conditions refer to its options"
        elif isinstance(domain, (Float, Int, Ordinal)):
            new = _node(node, domain, point[path], factor)
            after = _domain(new)
            if after == domain:
                kept[path] = "is within the factor already"
            else:
                narrowed.append(Narrowed(path, keys, new, domain, after, point[path], values[path]))
        else:
            kept[path] = "a choice" if isinstance(domain, Choice) else "a distribution"
    return Narrowing(narrowed, kept, {path: value for path, value in point.items() if _is_tuned(by_path[path])})


def _is_tuned(domains: Sequence[Domain]) -> bool:
    return not isinstance(domains[0], Constant)


def _point(
    parameters: Sequence[Parameter], values: Config, own: Collection[str]
) -> tuple[dict[str, Value], list[Problem]]:
    """The winner in the space, parents before children: numbers of its own moved to the nearest that there is."""
    point: dict[str, Value] = {}
    problems = []
    for p in parameters:
        if not p.is_active(point):
            continue
        if isinstance(p.domain, Constant):
            point[p.path] = p.domain.value
        elif p.path in values:
            value = values[p.path]
            if p.domain.contains(value):
                point[p.path] = value
            elif isinstance(p.domain, (Float, Int)) and p.path in own:
                if is_number(value):
                    point[p.path] = _nearest(p.domain, value)
                else:
                    problems.append(Problem(p.path, "must be a number", value))
    return point, problems


def _nearest(domain: Float | Int, value: Any) -> float | int:
    """The value of a range that is nearest to a number, on its scale."""
    listed = domain.values()
    if not listed:
        return float(min(max(value, domain.low), domain.high))
    i = bisect_left(listed, value)
    around = listed[max(i - 1, 0) : i + 1]
    return min(around, key=lambda one: abs(_scaled(one, _is_log(domain)) - _scaled(value, _is_log(domain))))


def _is_log(domain: Float | Int | Ordinal) -> bool:
    return domain.log or (isinstance(domain, Int) and domain.base is not None)


def _scaled(value: float, log: bool) -> float:
    if not log:
        return value
    return math.log(value) if value > 0 else -math.inf


def _node(node: Mapping[str, Any], domain: Float | Int | Ordinal, winner: Any, factor: float) -> dict[str, Any]:
    """The narrower domain, as the tree has it."""
    listed = domain.values()
    if not listed:
        assert isinstance(domain, Float)
        low, high = _bounds(winner, domain.low, domain.high, factor, domain.log)
        new = {**node, "low": max(domain.low, low), "high": min(domain.high, high)}
    else:
        first, last = _within(domain, listed, winner, factor)
        if isinstance(domain, Ordinal):
            new = {**node, "choices": list(listed[first : last + 1])}
        else:
            new = _range(node, domain, listed[first : last + 1])
    prior = new.get("prior")
    if isinstance(prior, Mapping) and not _domain(new).contains(prior.get("center")):
        new["prior"] = {**prior, "center": winner}  # what was found is better known than what was believed
    return new


def _bounds(winner: float, first: float, last: float, factor: float, log: bool) -> tuple[float, float]:
    if log:
        return winner / factor, winner * factor
    half = (last / factor - first / factor) / 2  # of a range that may be as wide as floats allow
    return winner - half, winner + half


def _within(domain: Float | Int | Ordinal, listed: Sequence[Any], winner: Any, factor: float) -> tuple[int, int]:
    """The first and the last index of the listed values that are kept."""
    values: Sequence[Any] = listed
    if isinstance(domain, Ordinal):
        at = [identity(value) for value in listed].index(identity(winner))
    elif isinstance(domain, Float):  # a value may be a hair beside the listed one
        at = round(domain.to_unit(winner) * (len(listed) - 1))
    else:
        at = bisect_left(listed, winner)
    if isinstance(domain, Ordinal) and domain.encoding == "equal":
        values, width = range(len(listed)), float(len(listed))
        low, high = _bounds(at, 0.0, width, factor, log=False)
    else:
        low, high = _bounds(winner, values[0], values[-1], factor, _is_log(domain))
    first = bisect_left(values, low - _HAIR * abs(low))
    last = bisect_right(values, high + _HAIR * abs(high)) - 1
    return max(0, min(first, at - 1)), min(len(listed) - 1, max(last, at + 1))


def _range(node: Mapping[str, Any], domain: Float | Int, kept: Sequence[Any]) -> dict[str, Any]:
    new: dict[str, Any] = {**node, "low": kept[0], "high": kept[-1]}
    if domain.n is None:
        return new
    new["n"] = len(kept)
    try:
        same = all(map(_domain(new).contains, kept))
    except ConfigError:
        same = False
    if same:
        return new
    # Rounded values, of which a part isn't evenly spaced in itself.
    others = {key: value for key, value in node.items() if key in ("when", "prior")}
    return {"type": "ordinal", "choices": list(kept), "encoding": "nearest", "log": domain.log, **others}


def _domain(node: Mapping[str, Any]) -> Domain:
    """What one leaf of a tree describes."""
    parameters, _ = parse({"x": {key: value for key, value in node.items() if key not in ("when", "prior")}})
    return parameters[0].domain


def _active(
    tree: Mapping[str, Any], base: str, keys: tuple[str, ...], point: Config
) -> Iterator[tuple[str, tuple[str, ...], Mapping[str, Any]]]:
    """(path in the config, keys in the tree, node) of each domain that exists where the winner is."""
    for key, node in tree.items():
        path, here = f"{base}.{key}" if base else str(key), (*keys, key)
        if not isinstance(node, Mapping) or (not base and key == "constraints"):
            continue
        if not is_domain(node):
            yield from _active(node, path, here, point)
        elif all(_condition(parent, values).holds(point) for parent, values in (node.get("when") or {}).items()):
            yield path, here, node
            options = node.get("choices")
            for option, inside in options.items() if isinstance(options, Mapping) else ():
                if isinstance(inside, Mapping) and Condition(path, (option,)).holds(point):
                    yield from _active(inside, base or path, (*here, "choices", option), point)


def _condition(parent: str, values: Any) -> Condition:
    return Condition(str(parent), tuple(values) if isinstance(values, list | tuple) else (values,))


def _replaced(tree: Mapping[str, Any], nodes: Mapping[tuple[str, ...], Any]) -> dict[str, Any]:
    replaced = {}
    for key, node in tree.items():
        if (key,) in nodes:
            replaced[key] = nodes[(key,)]
            continue
        below = {keys[1:]: new for keys, new in nodes.items() if keys[0] == key}
        replaced[key] = _replaced(node, below) if below else node
    return replaced
