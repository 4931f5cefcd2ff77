"""Which recorded row stands for a configuration: the nearest in the unit cube of the search space.

Numbers are as far apart as in the unit cube, different options of a choice 1. A row whose value is no option of its
choice stands for nothing, and numbers outside their range count as its end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hpo_pipeline.errors import ConfigError, Problem
from hpo_pipeline.journal import read
from hpo_pipeline.objective.recording import Floats, Recording
from hpo_pipeline.space import Constant, Float, Int, SearchSpace
from hpo_pipeline.space.domain import Domain, identity
from hpo_pipeline.space.unit_cube import UnitCube
from hpo_pipeline.trial import Config, Value

Bools = npt.NDArray[np.bool_]


def nearest_row(points: Floats, point: Floats, candidates: Bools | None = None) -> int:
    """The row of `points` (n, d) nearest to `point` (d,), the first of equals, of the `candidates` (n,) alone."""
    distances = ((points - point) ** 2).sum(1)
    if candidates is not None:
        distances[~candidates] = np.inf
    return int(distances.argmin())


class UniqueRows:
    """Each row once: who comes takes the nearest that is left, and when none is, the nearest of all.

    Args:
        points: the rows, `(n, d)`.
    """

    def __init__(self, points: Floats) -> None:
        self._points = points
        self._free = np.ones(len(points), dtype=bool)

    @property
    def any_left(self) -> bool:
        return bool(self._free.any())

    def take(self, point: Floats) -> int:
        row = nearest_row(self._points, point, self._free if self.any_left else None)
        self._free[row] = False
        return row


class Rows:
    """A recording's rows as points of a search space.

    Attributes:
        points: those that stand for a configuration, `(n, d)`.
        numbers: their rows in the recording, `(n,)`.

    Raises:
        ConfigError: a hyperparameter is not recorded, or no row lies in the space.
    """

    def __init__(self, space: SearchSpace, recording: Recording, columns: Mapping[str, str]) -> None:
        self.space = space
        self._cube = UnitCube(space)
        problems: list[Problem] = []
        known: dict[str, Sequence[Value]] = {}
        for path in dict.fromkeys(p.path for p in space.parameters if not isinstance(p.domain, Constant)):
            try:
                known[path] = recording.column(path, columns.get(path))
            except ConfigError as error:
                problems += error.problems
        if problems:
            raise ConfigError(problems)
        configs = {
            i: c for i in range(len(recording)) if (c := self._config({p: values[i] for p, values in known.items()}))
        }
        if not configs:
            raise ConfigError(Problem("", f"none of the {len(recording)} recorded rows lies in the search space"))
        self.numbers = np.array(list(configs))
        self._lengths, self._ids = recording.lengths[self.numbers], recording.ids[self.numbers]
        self.points = self._cube.features(np.array([space.to_unit(config) for config in configs.values()]))

    def _config(self, row: Mapping[str, Value]) -> dict[str, Value] | None:
        """A recorded row as a configuration of the space; None if it can't be one."""
        config: dict[str, Value] = {}
        for p in self.space.parameters:
            if isinstance(p.domain, Constant):
                config[p.path] = p.domain.value  # what isn't tuned puts no row further away
            elif p.is_active(config):
                value = _within(p.domain, row[p.path])
                if value is None and not p.domain.contains(None):
                    return None
                config[p.path] = value
        return config

    def point(self, config: Config) -> Floats:
        """Where a configuration of the space lies, `(d,)`."""
        found: Floats = self._cube.features(self.space.to_unit(config)[None, :])[0]
        return found

    def nearest(self, point: Floats, trial: int) -> int:
        """The recording's row nearest to a point; of equals that of the recorded trial of this number, or the first."""
        distances = ((self.points - point) ** 2).sum(1)
        equal = distances == distances.min()
        return int(self.numbers[(equal * (1 + (self._ids == trial))).argmax()])

    def further(self, point: Floats, resource: int) -> int:
        """The nearest row that goes as far as `resource`.

        Raises:
            RuntimeError: none does.
        """
        far = self._lengths >= resource
        if not far.any():
            raise RuntimeError(f"nothing is recorded at {resource}")
        return int(self.numbers[nearest_row(self.points, point, far)])


def _within(domain: Domain, value: Value) -> Value:
    """A recorded value as one of the domain's; None if there is none for it."""
    if isinstance(domain, (Float, Int)):
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and value == value
        return min(max(value, domain.low), domain.high) if is_number else None  # type: ignore[type-var]
    options = domain.values()
    same = (option for option in options if identity(option) == identity(value))
    return next(same, next((option for option in options if str(option) == str(value)), None))


class Assignment:
    """Each of a study's trials gets a row of its own, in the order of their ids.

    Which row that is follows from the trials before it. Their configurations are in the journal before any of them is
    at work, and there they are read: so every process, a resumed study and a training that is repeated agree.

    Args:
        rows: what there is to be had.
        journal: the study's; None for a trial that has no study.
    """

    def __init__(self, rows: Rows, journal: Path | None) -> None:
        self._rows = rows
        self._unique = UniqueRows(rows.points)
        self._taken: dict[int, int] = {}
        self._journal = journal
        self._offset = 0

    def index(self, trial: int, point: Floats) -> int:
        """The trial's own place among the rows."""
        if trial not in self._taken and self._journal is not None and self._unique.any_left:
            self._read(self._journal)
        return self._taken[trial] if trial in self._taken else nearest_row(self._rows.points, point)

    def _read(self, journal: Path) -> None:
        """Takes in the trials that have come since, as long as there are rows."""
        for record, end in read(journal, self._offset):
            self._offset = end
            if record["event"] == "suggested":
                self._taken[record["trial"]] = self._unique.take(self._rows.point(record["config"]))
                if not self._unique.any_left:
                    return
