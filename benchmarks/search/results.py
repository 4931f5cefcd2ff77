"""The CSV of a suite: a row a run, written as soon as the run has ended, so that what was broken off can go on."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

KEYS = ("suite", "group", "task", "method", "seed")
_N_COLUMNS = 30


@dataclass(frozen=True)
class Run:
    """What came of a run: the score after each of the units that are recorded; `seconds` of processor time."""

    suite: str
    group: str
    task: str
    method: str
    seed: int
    seconds: float
    scores: dict[int, float]

    @property
    def key(self) -> tuple[str, ...]:
        return tuple(str(getattr(self, name)) for name in KEYS)


def recorded_units(budgets: Sequence[int]) -> list[int]:
    """After which units the score is recorded: the budgets, and evenly on a log scale up to the last one."""
    spread = np.geomspace(1, budgets[-1], _N_COLUMNS).round().astype(int)
    return sorted({*spread.tolist(), *budgets})


class Results:
    """A file of runs.

    Args:
        path: made if it isn't there; a line that was cut off is dropped.
        units: the columns of scores.

    Raises:
        SystemExit: the file has other columns.
    """

    def __init__(self, path: Path, units: Sequence[int]) -> None:
        self._path = path
        self._columns = [*KEYS, "seconds", *map(str, units)]
        self.runs: list[Run] = []
        if path.is_file():
            whole = path.read_text().rpartition("\n")[0] + "\n"
            path.write_text(whole)
            rows = csv.DictReader(whole.splitlines())
            if rows.fieldnames != self._columns:
                raise SystemExit(f"{path}: was made with other budgets; remove it, or give another --out")
            self.runs = [_run(row) for row in rows]
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(",".join(self._columns) + "\n")

    def done(self) -> set[tuple[str, ...]]:
        """The keys of the runs that are there."""
        return {run.key for run in self.runs}

    def add(self, run: Run) -> None:
        self.runs.append(run)
        scores = [f"{score:.6g}" for score in run.scores.values()]
        with open(self._path, "a", newline="") as file:
            csv.writer(file, lineterminator="\n").writerow([*run.key, f"{run.seconds:.3f}", *scores])


def _run(row: dict[str, str]) -> Run:
    scores = {int(unit): float(score) for unit, score in row.items() if unit.isdigit()}
    return Run(*(row[name] for name in KEYS[:-1]), int(row["seed"]), float(row["seconds"]), scores)


def in_order(names: Iterable[str], wanted: Iterable[str]) -> list[str]:
    """The names that are there, each once, in the order of `wanted`."""
    there = set(names)
    return [name for name in wanted if name in there]
