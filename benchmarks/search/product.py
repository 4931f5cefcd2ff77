"""Runs hpo_pipeline's own tuner, scheduler and searcher on a simulated clock: the whole product but its files."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from benchmarks.search.task import Task, Trace, Value
from hpo_pipeline.budget import Budget
from hpo_pipeline.build import build, check
from hpo_pipeline.journal import VERSION, Record
from hpo_pipeline.searcher.trial_generator import TrialGenerator
from hpo_pipeline.simulation import METRIC, CurveExecutor
from hpo_pipeline.trial import Config
from hpo_pipeline.tuner import Tuner
from hpo_pipeline.view import StudyView

CONF = Path(__file__).resolve().parents[2] / "conf"
_METRICS = [{"name": METRIC, "mode": "min"}]
_HEADER: Record = {"event": "study", "version": VERSION, "name": "benchmark", "metrics": _METRICS, "time": 0.0}


@dataclass(frozen=True)
class Study:
    """A searcher and a scheduler of `conf/`, each by name or as {name: {key: value}} with keys that differ.

    Attributes:
        n_seeds: the most seeds that it is run with, where it is slow.
    """

    searcher: str | Mapping[str, Any]
    scheduler: str | Mapping[str, Any]
    n_seeds: int | None = None

    def missing(self) -> str | None:
        """Why it can't run here, or None."""
        for group, part in (("searcher", self.searcher), ("scheduler", self.scheduler)):
            name, _ = _named(part)
            if not (CONF / group / f"{name}.yaml").is_file():
                return f"there is no conf/{group}/{name}.yaml"
            if problems := check(_node(group, part), group):
                return f"{group}={name}: {problems[0]}"
        return None

    def run(self, task: Task, seed: int) -> Trace:
        """One study, until the task's budget is spent."""
        return self.studied(task, seed)[0]

    def studied(self, task: Task, seed: int) -> tuple[Trace, StudyView]:
        """The same, with all that the study was."""
        nodes = {"searcher": _node("searcher", self.searcher), "scheduler": _node("scheduler", self.scheduler)}
        config: Any = OmegaConf.create({"max_resource": task.max_resource, "seed": seed, **nodes})
        config = OmegaConf.to_container(config, resolve=True)
        searcher = build(config["searcher"], "searcher", space=task.space, seed=seed)
        trials = TrialGenerator(searcher, task.space, task.n_trials)
        scheduler = build(config["scheduler"], "scheduler", trials=trials, space=task.space, seed=seed)
        recorder = _Recorder(task, seed)
        executor = CurveExecutor(task.n_workers, recorder.curve)
        budget = Budget(task.n_trials, max_total_resource=task.n_units, max_failures=10**9)
        view = StudyView()
        tuner = Tuner(scheduler, trials, executor, _NoJournal(), view, budget, [recorder])
        tuner.replay([_HEADER])
        end = tuner.run()
        if end.state != "completed":
            raise RuntimeError(f"{task.suite}/{task.group}/{task.name}, seed {seed}: {end.reason}")
        return recorder.trace, view


class _Recorder:
    """Takes down what trials report, in the order of the reports: a `Listener`."""

    def __init__(self, task: Task, seed: int) -> None:
        self.trace = Trace(task)
        self._curve = task.curve(seed)
        self._values: dict[tuple[int, int], Value] = {}

    def curve(self, trial_id: int, config: Config, resource: int) -> float | None:
        value = self._curve(trial_id, config, resource)
        if value is None:
            return None
        self._values[trial_id, resource] = value
        return value.observed

    def update(self, record: Record) -> None:
        if record["event"] == "report":
            self.trace.add(self._values.pop((record["trial"], record["resource"])))

    def say(self, notice: str) -> None: ...


class _NoJournal:
    """A journal that keeps nothing."""

    path = Path("no journal")

    def check(self) -> None: ...

    def append(self, *records: Record) -> None: ...

    def recover(self) -> list[Record]:
        return []


def _named(part: str | Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    return (part, {}) if isinstance(part, str) else next(iter(part.items()))


def _node(group: str, part: str | Mapping[str, Any]) -> dict[str, Any]:
    name, keys = _named(part)
    node = {**_read(CONF / group / f"{name}.yaml"), **keys}
    node.pop("warm_start", None)  # earlier studies, of which there are none; no argument of the searcher
    return node


@functools.cache
def _read(path: Path) -> dict[str, Any]:
    node: Any = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
    return node
