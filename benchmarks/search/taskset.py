"""taskset: learning curves of 1,000 configurations of each of six text classifiers (TaskSet, Metz et al. 2020).

The tables are those that were republished with DyHPO (Wistuba et al. 2022), as `.npz` files with `config` (1000, 8) and
`valid` (1000, 51), whose column r is the validation loss after epoch r.

A configuration has the curve of the nearest row in the unit cube. Losses that are not finite or above 5 count as 5.

    plain     as said: a table's cells are constant, so that a method which comes back to one learns nothing
    unique    each new trial takes the nearest row that this run has not used, as real training never repeats itself

Regret is (loss - best of the table) / (median over its rows of their best - best of the table).
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.search.task import Curve, Task, Value
from hpo_pipeline.objective.lookup import UniqueRows, nearest_row
from hpo_pipeline.space import SearchSpace
from hpo_pipeline.trial import Config

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "taskset"
N_EPOCHS = 50
PROTOCOLS = ("unique", "plain")
WORST = 5.0
RANGES = {  # as the tables' columns
    "learning_rate": (1e-8, 10.0),
    "one_minus_beta1": (1e-4, 1.0),
    "one_minus_beta2": (1e-6, 1.0),
    "epsilon": (1e-10, 1e3),
    "l1": (1e-8, 10.0),
    "l2": (1e-8, 10.0),
    "linear_decay": (1e-7, 1e-4),
    "exponential_decay": (1e-6, 1e-3),
}
COMPLEMENTS = ("one_minus_beta1", "one_minus_beta2")
SPACE = SearchSpace.parse({n: {"type": "float", "low": a, "high": b, "log": True} for n, (a, b) in RANGES.items()})


class Table:
    """One task's curves.

    Attributes:
        points: the rows in the unit cube, `(n, 8)`.
        losses: `(n, 50)`, after each epoch.
    """

    def __init__(self, path: Path) -> None:
        with np.load(path) as arrays:
            config, valid = arrays["config"].astype(float), arrays["valid"].astype(float)
        columns = []
        for column, (name, (low, high)) in zip(config.T, RANGES.items(), strict=True):
            values = 1 - column if name in COMPLEMENTS else column
            columns.append(np.log(np.maximum(values, 1e-300) / low) / np.log(high / low))
        self.points = np.clip(np.stack(columns, axis=1), 0, 1)
        losses = valid[:, 1 : N_EPOCHS + 1]
        self.losses = np.where(np.isfinite(losses) & (losses <= WORST), losses, WORST)
        bests = self.losses.min(1)
        self.best, self.median = float(bests.min()), float(np.median(bests))

    def curve(self, unique: bool) -> Curve:
        """The curves of one run's trials."""
        rows: dict[int, int] = {}
        take = UniqueRows(self.points).take if unique else functools.partial(nearest_row, self.points)

        def value(trial_id: int, config: Config, resource: int) -> Value:
            if trial_id not in rows:
                rows[trial_id] = take(SPACE.to_unit(config))
            loss = float(self.losses[rows[trial_id], resource - 1])
            return Value(loss, loss)

        return value


def tasks(folder: Path = FOLDER) -> Iterator[Task]:
    """Those whose tables are in the folder; none where it is absent."""
    for protocol in PROTOCOLS:
        for path in sorted(folder.glob("*.npz")):
            table = _table(path)
            yield Task(
                suite="taskset",
                group=protocol,
                name=path.stem,
                space=SPACE,
                curve=functools.partial(lambda table, unique, _seed: table.curve(unique), table, protocol == "unique"),
                max_resource=N_EPOCHS,
                n_units=1000,
                best=table.best,
                scale=table.median - table.best,
            )


_table = functools.cache(Table)
