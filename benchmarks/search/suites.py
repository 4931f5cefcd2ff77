"""The suites: which tasks, which methods, what is reported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.search.methods import MULTI_FIDELITY, SINGLE_FIDELITY, Method
from benchmarks.search.task import Task


@dataclass(frozen=True)
class Suite:
    """What is run and shown together.

    Attributes:
        title: for people, with the unit of what is reported.
        methods: all that can be run; `usual`: those that are if no others are asked for, None for all.
        budgets: what the table shows, in units; all runs go to the last one.
        n_seeds: runs of a method on a task.
        center: "mean" with its standard error, or "median" with its quartiles.
        paired: whether each method is compared with random under the same scheduler.
        representative: the groups that count where suites are put together; empty for all.
    """

    name: str
    title: str
    methods: Mapping[str, Method]
    budgets: Sequence[int]
    n_seeds: int
    usual: Sequence[str] | None = None
    center: str = "mean"
    paired: bool = False
    representative: Sequence[str] = ()

    def tasks(self, out: Path, taskset_folder: Path | None = None) -> list[Task]:
        """The suite's tasks; none where their data are absent. `out`: what may be written to."""
        if self.name == "taskset":
            from benchmarks.search import taskset

            return list(taskset.tasks(taskset_folder or taskset.FOLDER))
        if self.name == "real":
            from benchmarks.search import real  # torch

            return list(real.tasks(out / "curves.sqlite"))
        from benchmarks.search import odd, single, synthetic

        return list({"synthetic": synthetic, "odd": odd, "single": single}[self.name].tasks())


SUITES = {
    suite.name: suite
    for suite in (
        Suite(
            "taskset",
            "Regret on TaskSet's curves, by epochs",
            MULTI_FIDELITY,
            (100, 200, 500, 1000),
            8,
            representative=("unique",),  # the other protocol has the same tables
        ),
        Suite("synthetic", "Regret on made-up trainings, by epochs", MULTI_FIDELITY, (100, 200, 500, 1000), 2),
        Suite(
            "real",
            "Validation error of the perceptron, by epochs",
            MULTI_FIDELITY,
            (100, 300, 1000),
            3,
            usual=("asha", "auto", "Optuna TPE + SHA", "Optuna TPE + Hyperband"),
        ),
        Suite("odd", "Regret in unusual studies, by epochs", MULTI_FIDELITY, (100, 200, 500), 20, paired=True),
        Suite("single", "Lowest value, by evaluations", SINGLE_FIDELITY, (50, 100), 20, center="median"),
    )
}

TOGETHER = ("taskset", "synthetic", "real")
"""The suites whose tasks are ranked together."""
