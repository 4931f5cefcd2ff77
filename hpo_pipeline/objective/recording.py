"""Recorded learning curves, read from a CSV or an npz file: hyperparameters of each row, and what it reported.

CSV    a line for each row and resource: hyperparameters, the resource, metrics; `trial` tells rows apart that have
       equal hyperparameters
npz    `config` (n, k) with `names` (k,), or one array (n,) for each hyperparameter; a curve (n, R) for each metric
"""

from __future__ import annotations

import csv
import math
import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hpo_pipeline.errors import ConfigError, Problem, describe, nearest
from hpo_pipeline.trial import Value

Floats = npt.NDArray[np.float64]
TRIAL = "trial"
"""The column of a CSV file that tells its rows apart."""
_MOST_CELLS = 100_000_000
_MOST_BYTES = 8 * _MOST_CELLS
_COMPLEMENT = re.compile(r"1 ?- ?(\S+)")


@dataclass(frozen=True)
class Recording:
    """What was recorded of n configurations.

    Attributes:
        columns: name -> the n values of a hyperparameter, or of anything else that a row has once; None where it has
            none.
        curves: metric -> `(n, R)`, after 1 to R units of resource; NaN where nothing was recorded.
        lengths: `(n,)`, the resource up to which each row goes.
        ids: `(n,)`, the rows' own numbers.
        errors: why a row's trial failed behind its last report; empty where it didn't.
        finished: why a row's trial was through at its last report, if it was; empty elsewhere.
        space: the tree of the search space that the rows come from, where that is known.
    """

    columns: Mapping[str, Sequence[Value]]
    curves: Mapping[str, Floats]
    lengths: npt.NDArray[np.int64]
    ids: npt.NDArray[np.int64]
    errors: Sequence[str] = ()
    finished: Sequence[str] = ()
    space: Mapping[str, Any] | None = None

    def __len__(self) -> int:
        return len(self.lengths)

    def error(self, row: int) -> str:
        return self.errors[row] if self.errors else ""

    def column(self, path: str, given: str | None = None) -> Sequence[Value]:
        """The values of the hyperparameter at a path of the search space.

        Args:
            given: the column's name, or `1 - name`; else the path, or the end of it that is a column's name.

        Raises:
            ConfigError: there is no such column.
        """
        if given is not None:
            complement = _COMPLEMENT.fullmatch(given) if given not in self.columns else None
            name = complement[1] if complement else given
            if name not in self.columns:
                raise ConfigError(self._no_column(f"columns.{path}", name))
            values = self.columns[name]
            return [1 - value if _is_number(value) else None for value in values] if complement else values  # type: ignore[operator]
        parts = path.split(".")
        for name in (".".join(parts[i:]) for i in range(len(parts))):
            if name in self.columns:
                return self.columns[name]
        problem = self._no_column("columns", parts[-1])
        raise ConfigError(Problem("columns", f"nothing is recorded for {path}: {problem.message}"))

    def _no_column(self, where: str, name: str) -> Problem:
        known = list(self.columns)
        return Problem(where, f"there is no column {name!r}, only {', '.join(known) or 'none'}{nearest(name, known)}")


def _is_number(value: Value) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def read_table(path: Path, resource: str, first_resource: int) -> Recording:
    """A CSV or an npz file.

    Args:
        resource: the CSV file's column with the resource.
        first_resource: the resource of the first value of an npz file's curves.

    Raises:
        ConfigError: it can't be read, or is something else.
    """
    kinds = {".csv": lambda: _from_csv(path, resource), ".npz": lambda: _from_npz(path, first_resource)}
    if path.suffix.lower() not in kinds:
        raise ConfigError(Problem("file", "must end in .csv or .npz", str(path)))
    try:
        found = kinds[path.suffix.lower()]()
    except ConfigError as error:
        raise ConfigError([Problem("file", f"{path}: {problem}") for problem in error.problems]) from None
    except OSError as error:
        raise ConfigError(Problem("file", f"{str(path)!r} can't be read ({error.strerror or error})")) from None
    if not len(found) or not found.curves or not found.lengths.any():
        raise ConfigError(Problem("file", f"{path}: there is no learning curve in it"))
    return found


def _from_csv(path: Path, resource: str) -> Recording:
    with open(path, newline="", encoding="utf-8-sig") as file:
        try:
            reader = csv.DictReader(file, strict=True)
            names = [name for name in reader.fieldnames or () if name]
            lines = list(reader)
        except (csv.Error, UnicodeDecodeError) as error:
            raise ConfigError(f"is no CSV file ({describe(error)})") from None
    if resource not in names:
        mend = f"name it: objective.resource=…{nearest(resource, names)}"
        raise ConfigError(f"there is no column {resource!r} with the resource, only {', '.join(names)}; {mend}")
    if wrong := [i for i, line in enumerate(lines, start=2) if None in line or None in line.values()]:
        raise ConfigError(f"line {wrong[0]} has not {len(names)} values")
    values = {name: [_value(line[name]) for line in lines] for name in names}
    at = [r if isinstance(r, int) and 0 <= r <= 10_000_000 else None for r in values.pop(resource)]
    if None in at:
        raise ConfigError(f"line {at.index(None) + 2}: the resource must be an integer of at least 0")
    units = [r or 0 for r in at]
    own = values.pop(TRIAL, None)
    return _of_lines(values, units, own)


def _of_lines(values: dict[str, list[Value]], units: list[int], own: list[Value] | None) -> Recording:
    """The rows of a table with a line for each row and resource.

    What changes along a row is a metric. Without `own`, the rows' numbers, what never changes while the resource grows
    from line to line tells where the next row begins.
    """
    if own is None:
        starts = [i == 0 or units[i] <= units[i - 1] for i in range(len(units))]
        own = [int(n) for n in np.cumsum(starts) - 1]
    keys: dict[Value, int] = {}
    rows = [keys.setdefault(key, len(keys)) for key in own]
    n, longest = len(keys), max(units, default=0)
    if n * longest > _MOST_CELLS:
        raise ConfigError(f"{n} rows up to resource {longest} are more than fits; count the resource in larger units")
    first: dict[int, int] = {}
    for line, row in enumerate(rows):
        first.setdefault(row, line)
    columns: dict[str, list[Value]] = {}
    curves: dict[str, Floats] = {}
    lengths = np.zeros(n, dtype=np.int64)
    np.maximum.at(lengths, rows, units)
    for name, column in values.items():
        if all(_same(value, column[first[row]]) for value, row in zip(column, rows, strict=True)):
            columns[name] = [column[first[row]] for row in range(n)]
        if all(value is None or _is_number(value) for value in column) and any(value is not None for value in column):
            curve = np.full((n, longest + 1), math.nan)
            numbers = [math.nan if value is None else _number(value) for value in column]
            curve[rows, units] = numbers
            curves[name] = _held(curve, rows, units)[:, 1:]
    own_ids = [key if isinstance(key, int) and abs(key) < 2**63 else i for i, key in enumerate(keys)]
    ids = np.array(own_ids, dtype=np.int64)
    return Recording(columns, curves, lengths, ids)


def _number(value: Value) -> float:
    """A number of a table; one with too many digits is infinite, as a float with such an exponent is."""
    try:
        return float(value)  # type: ignore[arg-type]
    except OverflowError:
        return math.inf


def _same(a: Value, b: Value) -> bool:
    return a == b or (a != a and b != b)


def _held(curve: Floats, rows: list[int], units: list[int]) -> Floats:
    """Between two recorded resources of a row the value of the lower one."""
    known = np.zeros(curve.shape, dtype=bool)
    known[rows, units] = True
    latest = np.maximum.accumulate(np.where(known, np.arange(curve.shape[1]), 0), axis=1)
    ended = np.arange(curve.shape[1]) > latest[:, -1:]
    return np.where(ended, math.nan, np.take_along_axis(curve, latest, axis=1))


def _value(text: str) -> Value:
    """What a cell of a CSV file means: a number, true or false, nothing, or text."""
    word = text.strip()
    if not word or word.lower() in ("null", "none"):
        return None
    if word.lower() in ("true", "false"):
        return word.lower() == "true"
    for kind in (int, float):
        try:
            return kind(word) if "_" not in word else word
        except ValueError:
            continue
    return word


def _from_npz(path: Path, first_resource: int) -> Recording:
    arrays = _arrays(path)
    columns: dict[str, Sequence[Value]] = {}
    config, names = arrays.pop("config", None), arrays.pop("names", None)
    if config is not None and names is not None:
        if config.ndim != 2 or names.shape != config.shape[1:]:
            raise ConfigError(f"config is {config.shape} and names {names.shape}; (n, k) and (k,) are needed")
        columns |= {str(name): config[:, i].tolist() for i, name in enumerate(names)}
    curves = {name: array for name, array in arrays.items() if array.ndim == 2 and array.dtype.kind in "fiu"}
    columns |= {
        name: array.tolist() for name, array in arrays.items() if array.ndim == 1 and array.dtype.kind in "fiubU"
    }
    sizes = {name: len(values) for name, values in columns.items()} | {name: len(a) for name, a in curves.items()}
    if len(set(sizes.values())) > 1:
        raise ConfigError(f"its arrays have unlike numbers of rows: {', '.join(f'{k} {v}' for k, v in sizes.items())}")
    if len({array.shape for array in curves.values()}) > 1:
        raise ConfigError(f"its curves are of unlike length: {', '.join(f'{k} {a.shape}' for k, a in curves.items())}")
    if first_resource > _MOST_CELLS:
        raise ConfigError(f"its curves can't begin at resource {first_resource}; count it in larger units")
    cut = {name: _from_one(array.astype(np.float64), first_resource) for name, array in curves.items()}
    n, longest = next((array.shape for array in cut.values()), (0, 0))
    return Recording(columns, cut, np.full(n, longest, dtype=np.int64), np.arange(n))


def _from_one(curve: Floats, first: int) -> Floats:
    """The curve whose first value is at resource `first`, from resource 1 on."""
    missing = np.full((len(curve), max(0, first - 1)), math.nan)
    return np.hstack([missing, curve[:, max(0, 1 - first) :]])


def _arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    """What an npz file holds. Nothing in it is executed: an array of Python objects is refused."""
    found = {}
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > _MOST_BYTES:  # compressed, a few can say many
                raise ConfigError(f"holds more than {_MOST_BYTES:,} bytes, and so more than fits")
            for entry in archive.namelist():
                with archive.open(entry) as file:
                    found[entry.removesuffix(".npy")] = np.lib.format.read_array(file, allow_pickle=False)
    except (ValueError, EOFError, MemoryError, NotImplementedError, RuntimeError, zipfile.BadZipFile) as error:
        raise ConfigError(f"is no npz file of plain arrays ({describe(error)})") from None
    return found
