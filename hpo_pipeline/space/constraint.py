"""Constraints between hyperparameters: `model.n_units_2 <= model.n_units_1`, parsed and evaluated without `eval`.

The language: paths with dots, numbers, strings, True/False/None; and, or, not; == != < <= > >=, chained as in
`1 < a <= b`; `in` and `not in` a list of values; + - * / // % ** on numbers. Where a hyperparameter that the
constraint names doesn't exist in a configuration (it is inactive), the constraint holds.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from hpo_pipeline.checks import is_number
from hpo_pipeline.errors import ConfigError
from hpo_pipeline.trial import Config

MAX_LENGTH = 1000
"""Characters in an expression. Also bounds how deep it can be nested, and how large its integers can grow."""

_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: math.pow,  # in floating point: an integer power could take all memory
}
_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda value, listed: value in listed,
    ast.NotIn: lambda value, listed: value not in listed,
}
_LITERALS = (bool, int, float, str, type(None))


@dataclass(frozen=True, slots=True)
class Constraint:
    """An expression over a configuration.

    Attributes:
        source: as it was written.
        paths: the hyperparameters that it names.
    """

    source: str
    paths: frozenset[str] = field(init=False, compare=False)
    _tree: ast.expr = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not isinstance(self.source, str):
            raise ConfigError(f"must be an expression like 'a.b <= a.c', got {self.source!r}")
        if len(self.source) > MAX_LENGTH:
            raise ConfigError(f"is {len(self.source)} characters long; {MAX_LENGTH} are allowed, split it")
        try:
            tree = ast.parse(self.source.strip(), mode="eval").body
            paths = frozenset(_paths(tree))
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            if isinstance(error, ConfigError):
                raise
            reason = error.msg if isinstance(error, SyntaxError) else error
            raise ConfigError(f"{self.source!r} is not an expression ({reason}); write e.g. 'a.b <= a.c'") from None
        if not paths:
            raise ConfigError(f"{self.source!r} names no hyperparameter")
        object.__setattr__(self, "paths", paths)
        object.__setattr__(self, "_tree", tree)

    def holds(self, config: Config) -> bool:
        """Whether `config` meets it. Dividing by zero, or a power that isn't real or finite, does not.

        Raises:
            ConfigError: it combines values that don't go together, such as a string and a number.
        """
        if not self.paths.issubset(config):
            return True
        try:
            return _truth(_evaluate(self._tree, config), self._tree)
        except (ArithmeticError, ValueError) as error:
            if not isinstance(error, ConfigError):
                return False
            raise ConfigError(f"{self.source!r}: {error}") from None


def _path(node: ast.expr) -> str | None:
    """`model.n_units` for the chain of attributes that Python sees in it; None for any other node."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        parent = _path(node.value)
        return None if parent is None else f"{parent}.{node.attr}"
    return None


def _paths(node: ast.expr) -> Iterator[str]:
    """The paths named at and below `node`; anything outside the language is an error."""
    path = _path(node)
    if path is not None:
        yield path
        return
    match node:
        case ast.Constant(value=value) if isinstance(value, _LITERALS):
            children: list[ast.expr] = []
        case ast.BoolOp(values=children):
            pass
        case ast.UnaryOp(op=ast.Not() | ast.USub() | ast.UAdd(), operand=operand):
            children = [operand]
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
            children = [left, right]
        case ast.Compare(left=left, ops=ops, comparators=others) if all(type(op) in _COMPARISONS for op in ops):
            for comparison, other in zip(ops, others, strict=True):
                if isinstance(comparison, (ast.In, ast.NotIn)) != isinstance(other, (ast.List, ast.Tuple)):
                    raise ConfigError(f"{ast.unparse(node)!r}: 'in' needs a list of values, and only 'in' takes one")
            children = [left]
            for other in others:
                children += other.elts if isinstance(other, (ast.List, ast.Tuple)) else [other]
        case _:
            raise ConfigError(
                f"{ast.unparse(node)!r} is not allowed; use paths, numbers, strings, and/or/not, comparisons, "
                "'in' a list, and + - * / // % **"
            )
    for child in children:
        yield from _paths(child)


def _truth(value: Any, node: ast.expr) -> bool:
    if not isinstance(value, bool):
        raise ConfigError(f"{ast.unparse(node)!r} is {value!r}, neither true nor false; compare it with something")
    return value


def _evaluate(node: ast.expr, config: Config) -> Any:
    path = _path(node)
    if path is not None:
        return config[path]
    match node:
        case ast.Constant(value=value):
            return value
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return [_evaluate(item, config) for item in items]
        case ast.BoolOp(op=op, values=values):
            quantifier = all if isinstance(op, ast.And) else any
            return quantifier(_truth(_evaluate(value, config), value) for value in values)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return not _truth(_evaluate(operand, config), operand)
        case ast.UnaryOp(op=op, operand=operand):
            value = _number(_evaluate(operand, config), operand)
            return -value if isinstance(op, ast.USub) else value
        case ast.BinOp(left=left, op=op, right=right):
            numbers = [_number(_evaluate(side, config), side) for side in (left, right)]
            return _number(_ARITHMETIC[type(op)](*numbers), node)
        case ast.Compare(left=left, ops=ops, comparators=others):
            return _compare(_evaluate(left, config), ops, others, config)
    raise TypeError(f"unreachable: {ast.dump(node)}")


def _number(value: Any, node: ast.expr) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        raise OverflowError
    if not is_number(value):
        raise ConfigError(f"{ast.unparse(node)!r} is {value!r}, not a number")
    return value


def _compare(value: Any, ops: list[ast.cmpop], others: list[ast.expr], config: Config) -> bool:
    for op, node in zip(ops, others, strict=True):
        other = _evaluate(node, config)
        if isinstance(op, (ast.Lt, ast.LtE, ast.Gt, ast.GtE)):
            alike = all(map(is_number, (value, other))) or all(isinstance(v, str) for v in (value, other))
            if not alike:
                raise ConfigError(f"can't order {value!r} and {other!r}")
        if not _COMPARISONS[type(op)](value, other):
            return False
        value = other
    return True
