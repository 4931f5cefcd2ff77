"""What of a table fits into a terminal: columns that give way, configurations in lines, what differs in them."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from hpo_pipeline.trial import Value
from hpo_pipeline.view import TrialView

if TYPE_CHECKING:
    from rich.text import Text

GAP = 2
"""Columns of the terminal between two columns of the table."""
MOST_LINES = 4
"""Of one configuration."""


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """A column with its cells.

    Attributes:
        gives_way: the higher, the sooner it is left out; 0: never.
        left: whether it is justified to the left, and stands before the configuration.
    """

    name: str
    cells: Sequence[Text]
    gives_way: int
    left: bool = False

    @property
    def width(self) -> int:
        """In columns of the terminal, with the gap."""
        names = [len(line) for line in self.name.splitlines()]
        return max([*names, *(cell.cell_len for cell in self.cells)]) + GAP


def fitting(columns: Sequence[Column], configs: Sequence[str], width: int) -> tuple[list[Column], int]:
    """As many columns as leave the configurations on as few lines as they would have without all that may give way.

    Args:
        configs: as text, which may go on in further lines.
        width: of the terminal, in columns.

    Returns:
        And the room that a configuration gets.
    """
    longest = max([*configs, "configuration"], key=len)
    order = sorted((column for column in columns if column.gives_way), key=lambda column: -column.gives_way)
    left = [[column for column in columns if column not in order[:n]] for n in range(len(order) + 1)]
    rooms = [max(1, width - sum(column.width for column in kept)) for kept in left]
    fewest = len(_lines(longest, rooms[-1]))
    return next((k, room) for k, room in zip(left, rooms, strict=True) if len(_lines(longest, room)) == fewest)


def folded(text: str, width: int) -> str:
    """`a=1 b=2 c=3` in lines of at most `width`; what doesn't fit into `MOST_LINES` is counted: `+2 more`."""
    lines = _lines(text, width)
    if len(lines) > MOST_LINES:
        left_out = sum(len(line.split()) for line in lines[MOST_LINES - 1 :])
        lines = [*lines[: MOST_LINES - 1], f"+{left_out} more"]
    return "\n".join(lines)


def _lines(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, break_on_hyphens=False) or [""]


class Varying:
    """Which hyperparameters all trials have with one and the same value; told of new trials now and then."""

    def __init__(self) -> None:
        self._first: dict[str, Value] = {}
        self._counts: Counter[str] = Counter()
        self._varying: set[str] = set()
        self._n_noted = 0

    def note(self, trials: Sequence[TrialView]) -> None:
        """Takes in the trials that weren't there before; `trials` are all."""
        for trial in islice(trials, self._n_noted, None):
            self._counts.update(trial.config.keys())
            for path, value in trial.config.items():
                if self._first.setdefault(path, value) != value:
                    self._varying.add(path)
        self._n_noted = len(trials)

    def of(self, config: Mapping[str, Value]) -> Iterable[str]:
        """The paths of a configuration that differ from trial to trial; all, if none does."""
        return [path for path in config if path in self._varying or self._counts[path] < self._n_noted] or list(config)
