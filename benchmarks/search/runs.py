"""One run, made in a process of its own."""

from __future__ import annotations

import functools
import multiprocessing
import os
import threading
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.search.results import Run, recorded_units
from benchmarks.search.suites import SUITES
from benchmarks.search.task import Task
from hpo_pipeline.seeding import derived_seed


@dataclass(frozen=True)
class Order:
    """A run that is to be made; plain data.

    Attributes:
        budgets: of the suite; the run goes to the last one.
        out: the folder of what may be written.
        taskset: the folder of TaskSet's tables, if it isn't the usual one.
    """

    suite: str
    group: str
    task: str
    method: str
    seed: int
    budgets: Sequence[int]
    out: Path
    taskset: Path | None = None

    @property
    def key(self) -> tuple[str, ...]:
        return self.suite, self.group, self.task, self.method, str(self.seed)


def make(order: Order) -> Run | str:
    """Makes the run; a text if it failed: why."""
    try:
        tasks = _tasks(order.suite, order.out, order.taskset)
        task = replace(tasks[order.group, order.task], n_units=order.budgets[-1])
        # The same for both protocols of a table, and other ones for other tasks, so that these are independent.
        seed = derived_seed(order.seed, task.suite, task.name) % 2**31
        began = time.process_time()
        trace = SUITES[order.suite].methods[order.method].run(task, seed)
        seconds = time.process_time() - began
        scores = {unit: trace.at(unit) for unit in recorded_units(order.budgets)}
        return Run(order.suite, order.group, order.task, order.method, order.seed, seconds, scores)
    except Exception:
        return f"\n{' / '.join(order.key)} failed:\n{traceback.format_exc()}"


def end_with_parent() -> None:
    """Has this process end when the one that has started it does, however that ends."""

    def wait() -> None:
        parent = multiprocessing.parent_process()
        assert parent is not None  # it was started by one
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


@functools.cache
def _tasks(suite: str, out: Path, taskset: Path | None) -> dict[tuple[str, str], Task]:
    return {(task.group, task.name): task for task in SUITES[suite].tasks(out, taskset)}
