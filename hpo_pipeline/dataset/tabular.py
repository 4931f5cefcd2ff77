"""A table in a CSV or Parquet file, read by pandas: one column to predict, numbers and categories to predict it from.

Numbers are standardised (mean 0, standard deviation 1), categories become one 0 or 1 each; means, deviations and
categories are those of the training rows alone, as everything else is unknown when a model is used.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from hpo_pipeline.checks import integer_problems, is_number, option_problems, value_problems
from hpo_pipeline.dataset import Splits
from hpo_pipeline.dataset.task import Task
from hpo_pipeline.errors import ConfigError, Problem, StudyError, nearest
from hpo_pipeline.seeding import generator

TASKS = ("classification", "regression")
MISSING = ("error", "drop", "fill")
MOST_CATEGORIES = 1000
"""Of one column; one with more is an id or a text, and of no use as so many inputs."""

Floats = npt.NDArray[np.float32]


class Tabular:
    """The rows of a table, split at random: for a classification by class, so that each part has its share of each.

    Args:
        path: a .csv (or .csv.gz) or .parquet file; `~` is the home folder.
        target: the column to predict; of a regression it may be several.
        task: "classification" or "regression".
        numeric, categorical: columns to predict it from; null for all numbers, and all texts and booleans. A column of
            numbers that are codes is a category if it is named so.
        leave_out: columns that are not to be used.
        missing: what becomes of rows with missing values: "error", "drop" them, or "fill" them (numbers by the mean of
            the training rows, categories by none of them). Rows without a target can't be filled, and are dropped then.
        validation, test: share of the rows, in (0, 1).
        split_seed: which ones.
    """

    def __init__(
        self,
        path: str,
        target: str | Sequence[str],
        task: str = "classification",
        numeric: Sequence[str] | None = None,
        categorical: Sequence[str] | None = None,
        leave_out: Sequence[str] = (),
        missing: str = "error",
        validation: float = 0.2,
        test: float = 0.1,
        split_seed: int = 0,
    ) -> None:
        targets = [target] if isinstance(target, str) else target
        problems = option_problems(TASKS, task=task) + option_problems(MISSING, missing=missing)
        problems += integer_problems(least=0, split_seed=split_seed)
        lists = {"target": targets, "numeric": numeric or (), "categorical": categorical or (), "leave_out": leave_out}
        problems += value_problems("a list of columns", _is_columns, **lists)
        if not isinstance(path, str) or _kind(path) is None:
            problems.append(Problem("path", "must be a .csv, .csv.gz or .parquet file", path))
        shares = {"validation": validation, "test": test}
        fits = value_problems("a share between 0 and 1", lambda x: is_number(x) and 0 < x < 1, **shares)
        problems += fits
        if not fits and validation + test >= 1:
            what = f"leaves nothing to train on: validation and test are {validation + test:g} of the rows"
            problems.append(Problem("validation", what))
        if not problems and (not targets or (task == "classification" and len(targets) > 1)):
            problems.append(Problem("target", "must be one column to predict; a regression may have several", target))
        if problems:
            raise ConfigError(problems)
        self.path = Path(path).expanduser()
        self._targets = list(targets)
        self._of_classes = task == "classification"
        self._lists = {name: _given(value) for name, value in lists.items()}
        self._lists |= {"numeric": _given(numeric), "categorical": _given(categorical)}
        self._missing = missing
        self._shares = shares
        self._split_seed = split_seed
        if not self._of_classes:
            self.task = Task("regression", len(self._targets))

    def available(self) -> None:
        self._parts()

    def load(self) -> Splits:
        parts, task = self._parts()
        return Splits(*parts["train"], *parts["validation"], task=task)

    def load_test(self) -> tuple[torch.Tensor, torch.Tensor]:
        return self._parts()[0]["test"]

    def sources(self) -> list[Path]:
        return [self.path]

    def _parts(self) -> tuple[dict[str, tuple[torch.Tensor, torch.Tensor]], Task]:
        table = _read(self.path)
        if problems := list(self._column_problems(table)):
            raise ConfigError(problems).under("dataset")
        numeric, categorical = self._columns(table)
        table = self._whole(table, [*numeric, *categorical])
        y, task = self._target(table)
        rows = self._rows(y)
        x = np.concatenate(
            [
                _standardised(table[numeric].to_numpy(np.float64), rows["train"]),
                *(_one_hot(table[name], rows["train"]) for name in categorical),
            ],
            axis=1,
        )
        return {name: (torch.from_numpy(x[at]), torch.from_numpy(y[at])) for name, at in rows.items()}, task

    def _column_problems(self, table: pd.DataFrame) -> Iterator[Problem]:
        there = list(map(str, table.columns))
        known = True
        for key, names in self._lists.items():
            for name in names or ():
                if name not in there:
                    known = False
                    yield Problem(key, f"{self.path.name} has no column {name!r}{nearest(name, there)}")
        if not known:
            return
        used = [*self._targets, *(self._lists["numeric"] or ()), *(self._lists["categorical"] or ())]
        if twice := sorted({name for name in used if used.count(name) > 1}):
            yield Problem(
                "numeric", f"the column {twice[0]!r} is named twice; it is the target, a number or a category"
            )
            return
        numeric, categorical = self._columns(table)
        if not numeric and not categorical:
            yield Problem("numeric", "there is no column left to predict from")
        for name in numeric:
            if not pd.api.types.is_numeric_dtype(table[name]):
                yield Problem("numeric", f"the column {name!r} holds no numbers, but {table[name].dtype}")
        for name in categorical:
            if pd.api.types.is_datetime64_any_dtype(table[name]):
                yield Problem("leave_out", f"the column {name!r} holds dates; leave it out, or make numbers of it")
            elif (n := table[name].nunique()) > MOST_CATEGORIES:
                yield Problem("leave_out", f"the column {name!r} has {n} categories; leave it out, or group them")
        for name in () if self._of_classes else self._targets:
            if not pd.api.types.is_numeric_dtype(table[name]):
                what = f"the column {name!r} holds no numbers, but {table[name].dtype}; "
                yield Problem("target", f"{what}for classes, set dataset.task=classification")

    def _columns(self, table: pd.DataFrame) -> tuple[list[str], list[str]]:
        """The numeric and the categorical columns."""
        named_numeric, named_categorical = self._lists["numeric"], self._lists["categorical"]
        taken = {*self._targets, *(self._lists["leave_out"] or ()), *(named_numeric or ()), *(named_categorical or ())}
        rest = [name for name in table.columns if name not in taken]
        are_numbers = {
            name: pd.api.types.is_numeric_dtype(table[name]) and not pd.api.types.is_bool_dtype(table[name])
            for name in rest
        }
        numeric = named_numeric if named_numeric is not None else [name for name in rest if are_numbers[name]]
        categorical = named_categorical if named_categorical is not None else [n for n in rest if not are_numbers[n]]
        return numeric, categorical

    def _whole(self, table: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
        """The rows that are used; what is missing in them may be filled."""
        table = table.replace([np.inf, -np.inf], np.nan)
        used = [*self._targets, *columns]
        lacking = table[used].isna()
        if self._missing == "error" and lacking.to_numpy().any():
            named = ", ".join(f"{name} ({count})" for name, count in lacking.sum().items() if count)
            what = "drop (leaves out these rows) or fill (numbers by their mean)"
            raise StudyError(f"{self.path.name}: values are missing in {named}; set dataset.missing to {what}")
        rows = ~lacking[self._targets if self._missing == "fill" else used].any(axis=1)
        if not rows.any():
            raise StudyError(f"{self.path.name}: no row is left that has all values")
        return table[rows]

    def _target(self, table: pd.DataFrame) -> tuple[npt.NDArray[Any], Task]:
        if not self._of_classes:
            return table[self._targets].to_numpy(np.float32), self.task
        classes, names = pd.factorize(table[self._targets[0]], sort=True)
        if len(names) < 2:
            raise StudyError(f"{self.path.name}: all rows are of one class, {self._targets[0]} = {names[0]}")
        if len(names) > MOST_CATEGORIES:
            what = f"{self._targets[0]} has {len(names)} classes; for numbers, set dataset.task=regression"
            raise StudyError(f"{self.path.name}: {what}")
        return classes.astype(np.int64), Task("classification", len(names))

    def _rows(self, y: npt.NDArray[Any]) -> dict[str, npt.NDArray[np.intp]]:
        """Which rows belong to which part."""
        groups = [np.flatnonzero(y == number) for number in np.unique(y)] if self._of_classes else [np.arange(len(y))]
        parts: dict[str, list[int]] = {"train": [], "validation": [], "test": []}
        for i, group in enumerate(groups):
            order = generator(self._split_seed, "split", i).permutation(group)
            for name, share in self._shares.items():
                n = round(share * len(group))
                parts[name] += order[:n].tolist()
                order = order[n:]
            parts["train"] += order.tolist()
        if empty := [name for name, rows in parts.items() if not rows]:
            raise StudyError(f"{self.path.name}: {len(y)} rows are too few, none is left for {empty[0]}")
        return {name: np.sort(np.array(rows)) for name, rows in parts.items()}


def _standardised(values: npt.NDArray[np.float64], train: npt.NDArray[np.intp]) -> Floats:
    """Mean 0 and deviation 1 over the training rows; what is missing is at their mean, what never varies is 0."""
    known = np.where(np.isnan(values[train]).all(axis=0), 0.0, values[train])
    mean, deviation = np.nanmean(known, axis=0), np.nanstd(known, axis=0)
    scaled = (values - mean) / np.where(deviation > 0, deviation, 1.0)
    filled: Floats = np.nan_to_num(scaled, nan=0.0).astype(np.float32)
    return filled


def _one_hot(column: pd.Series[Any], train: npt.NDArray[np.intp]) -> Floats:
    """A column for each category of the training rows; one that only other rows have is none of them."""
    texts = column.astype(str).to_numpy()
    known = np.unique(texts[train][column.notna().to_numpy()[train]])
    is_of: Floats = (texts[:, None] == known[None, :]).astype(np.float32)
    return is_of


def _read(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise StudyError(f"{path.absolute()}: there is no such file; set dataset.path")
    try:
        table = pd.read_parquet(path) if _kind(path.name) == "parquet" else pd.read_csv(path)
    except ImportError as error:
        raise StudyError(f"{path}: reading Parquet needs pyarrow (pip install pyarrow): {error}") from None
    except (OSError, ValueError, EOFError, MemoryError, zlib.error) as error:
        raise StudyError(f"{path}: can't be read as a table ({str(error).partition(chr(10))[0]})") from None
    return table.rename(columns=str)


def _kind(path: str) -> str | None:
    lower = path.lower()
    return "parquet" if lower.endswith(".parquet") else "csv" if lower.endswith((".csv", ".csv.gz")) else None


def _is_columns(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and all(isinstance(name, str) for name in value)


def _given(names: Sequence[str] | None) -> list[str] | None:
    return None if names is None else list(names)
