"""The table of compared methods in a terminal; elsewhere the same lines, without colours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

from hpo_pipeline.analysis.comparison import Method, MethodComparison, RanksAt
from hpo_pipeline.errors import one_line
from hpo_pipeline.report.columns import GAP, Column
from hpo_pipeline.report.comparison.words import (
    at_end,
    headline,
    n_reached,
    range_text,
    ranks_text,
    says_something,
    spent_text,
    target_text,
    to_target,
    value_text,
)
from hpo_pipeline.report.terminal import terminal_on

_LEAST_NAME = 12
"""Columns of the terminal that the name of a method gets in any case."""

_EDGES = 2
"""Columns of the terminal beside a table without a frame."""


def print_table(found: MethodComparison, is_default: bool = True, file: TextIO | None = None) -> None:
    """Prints the table, and what it is worth.

    Args:
        is_default: whether the target is the default.
        file: where to; standard output if None.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    terminal = terminal_on(file)
    table = Table(title=headline(found), title_justify="left", box=box.SIMPLE_HEAD, padding=(0, GAP - 1, 0, 0))
    table.pad_edge = False
    columns, room = _fitting(found, terminal.width)
    table.add_column("\nmethod", no_wrap=True, overflow="ellipsis", min_width=room, max_width=room)
    for column in columns:
        table.add_column(column.name, no_wrap=True, justify="left" if column.left else "right")
    for i, method in enumerate(found.methods):
        table.add_row(Text(method.name, style="bold" if i == 0 else ""), *(column.cells[i] for column in columns))
    terminal.print()
    terminal.print(table)
    for line in filter(None, [target_text(found, is_default), ranks_text(found, at_end(found)), *found.notes]):
        terminal.print(Text(one_line(line)), soft_wrap=not terminal.is_terminal)


def _fitting(found: MethodComparison, width: int) -> tuple[list[Column], int]:
    """As many columns as have room, and the room for the names of the methods."""
    columns = _columns(found)
    longest = max([len(method.name) for method in found.methods] + [_LEAST_NAME])
    wanted = min(longest, max(_LEAST_NAME, width // 3))
    room = width - _EDGES
    while sum(column.width for column in columns) + wanted > room and any(c.gives_way for c in columns):
        columns.remove(max(columns, key=lambda column: column.gives_way))
    return columns, max(_LEAST_NAME, min(longest, room - sum(column.width for column in columns)))


def _columns(found: MethodComparison) -> list[Column]:
    methods, unit = found.methods, found.unit
    columns = [
        _column("\nstudies", [str(len(method.members)) for method in methods], 5),
        _column("final\nmedian", [value_text(found, float(method.finals[1])) for method in methods], 0),
        _column("\nquartiles", [range_text(found, method) for method in methods], 4, left=True),
    ]
    if found.target is not None:
        columns += [
            _column("target\nafter", [_spent(found, method, "seconds") for method in methods], 1),
            _column(f"\n{unit}s", [_spent(found, method, "resource") for method in methods], 2),
            _column("reached\nby", [f"{n_reached(found, m)} of {len(m.members)}" for m in methods], 3),
        ]
    if says_something(found):
        at = [ranks for ranks in found.ranks if ranks.by == "resource"]
        columns += [_rank_column(ranks, len(methods), 6 + len(at) - i) for i, ranks in enumerate(at)]
    return columns


def _rank_column(at: RanksAt, n: int, gives_way: int) -> Column:
    cells = ["–"] * n if at.ranks is None else [f"{rank:.2f}" for rank in at.ranks.average]
    return _column(f"rank at\n{spent_text(at.amount, 'resource')}", cells, gives_way)


def _spent(found: MethodComparison, method: Method, by: str) -> str:
    return spent_text(
        to_target(found, method, "seconds" if by == "seconds" else "resource"),
        "seconds" if by == "seconds" else "resource",
    )


def _column(name: str, cells: Sequence[str], gives_way: int, left: bool = False) -> Column:
    from rich.text import Text

    return Column(name, [Text(cell) for cell in cells], gives_way, left)
