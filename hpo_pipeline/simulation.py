"""Studies without training: the real tuner and a real journal, trials on given curves, and a clock of their own.

from hpo_pipeline.simulation import simulate
outcome = simulate(lambda trials: ASHA(trials, 3, 1, 9), lambda trial_id, config, resource: config["x"] / resource)
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hpo_pipeline.budget import Budget, End
from hpo_pipeline.executor.runner import StudySetup
from hpo_pipeline.executor.simulated import SimulatedWorkers
from hpo_pipeline.journal import VERSION, Journal, Record, read
from hpo_pipeline.objective import TrialSpec
from hpo_pipeline.scheduler import Scheduler
from hpo_pipeline.scheduler.finalists import NO_FINALISTS, FinalistSettings
from hpo_pipeline.searcher import Searcher
from hpo_pipeline.searcher.random import RandomSearch
from hpo_pipeline.searcher.trial_generator import TrialGenerator
from hpo_pipeline.seeding import generator
from hpo_pipeline.space import SearchSpace
from hpo_pipeline.trial import Config, Event, Job
from hpo_pipeline.tuner import Tuner
from hpo_pipeline.view import StudyView

Curve = Callable[[int, Config, int], float | Mapping[str, float] | None]
"""(trial id, configuration, resource) -> value of the metric, or of several by name; None: the trial fails there."""

Seconds = Callable[[int, int], float]
"""(trial id, resource) -> how long that unit takes."""

Finishes = Callable[[int, int], bool]
"""(trial id, resource) -> whether the trial is through there."""

MakeSearcher = Callable[[SearchSpace, int], Searcher]
"""(space, seed) -> a new searcher."""

METRIC = "loss"
SPACE = SearchSpace.parse({"x": {"type": "float", "low": 0.0, "high": 1.0}})


class ContractError(AssertionError):
    """A component broke its promise."""


class _Curves:
    """A curve, and how long its units take, as an objective."""

    def __init__(self, curve: Curve, seconds: Seconds, finishes: Finishes) -> None:
        self._curve = curve
        self._seconds = seconds
        self._finishes = finishes

    def start(self, trial: TrialSpec) -> dict[str, Any]:
        return {**trial.config, "resource": 0}

    def advance(self, state: dict[str, Any]) -> dict[str, float]:
        state["resource"] += 1
        value = self._curve(state["trial"], state["sample"], state["resource"])
        if value is None:
            raise RuntimeError("simulated failure")
        values = value if isinstance(value, Mapping) else {METRIC: value}
        return {**values, "seconds": self._seconds(state["trial"], state["resource"])}

    def finished(self, state: dict[str, Any]) -> str:
        return "the curve is over" if self._finishes(state["trial"], state["resource"]) else ""


class CurveExecutor(SimulatedWorkers):
    """A simulated executor over a curve.

    Attributes:
        jobs: every job that was submitted, in order.
        answers_left: after so many answers of `wait` comes Ctrl-C; None for never.
    """

    def __init__(
        self,
        n_workers: int,
        curve: Curve,
        seconds: Seconds = lambda _trial_id, _resource: 1.0,
        dies_after: int | None = None,
        now: float = 0.0,
        finishes: Finishes = lambda _trial_id, _resource: False,
    ) -> None:
        def merge(trial_id: int, sample: Config) -> dict[str, Any]:
            return {"trial": trial_id, "sample": sample}

        setup = StudySetup({}, (), Path(), merge, trial_seed=lambda trial_id: trial_id)
        super().__init__(setup, n_workers, _Curves(curve, seconds, finishes), now)
        self.jobs: list[Job] = []
        self.answers_left = dies_after

    def submit(self, job: Job, recorded: int) -> None:
        self.jobs.append(job)
        super().submit(job, recorded)

    def wait(self, timeout: float | None = None) -> list[Event]:
        if self.answers_left == 0:
            raise KeyboardInterrupt
        if self.answers_left is not None:
            self.answers_left -= 1
        return super().wait(timeout)


@dataclass(frozen=True)
class Outcomes:
    """What a simulated study came to."""

    view: StudyView
    records: list[Record]
    jobs: list[Job]
    end: End

    def suggested(self) -> list[Config]:
        """The configurations that trials began with, in order."""
        return [record["config"] for record in self.records if record["event"] == "suggested"]

    def rung_table(self) -> dict[tuple[int, int], dict[int, str]]:
        """(bracket, rung) -> trial -> value to the last digit, as text: NaN is equal to itself there."""
        table: dict[tuple[int, int], dict[int, str]] = {}
        for trial in self.view.trials.values():
            for reached in trial.rungs:
                rung = table.setdefault((reached.bracket, reached.rung), {})
                if trial.id in rung:
                    raise ContractError(f"trial {trial.id} was evaluated twice on a rung: {reached}")
                rung[trial.id] = repr(reached.metrics[self.view.metric])
        return table


def simulate(
    make: Callable[[TrialGenerator], Scheduler],
    curve: Curve,
    n_workers: int = 1,
    budget: Budget | None = None,
    *,
    searcher: MakeSearcher = RandomSearch,
    space: SearchSpace = SPACE,
    points: Sequence[Config] = (),
    mode: str = "min",
    compared: Mapping[str, Any] | None = None,
    seed: int = 0,
    seconds: Seconds = lambda _trial_id, _resource: 1.0,
    interrupt_after: Sequence[int] = (),
    n_trials: Sequence[int] = (),
    finishes: Finishes = lambda _trial_id, _resource: False,
    finalists: FinalistSettings = NO_FINALISTS,
) -> Outcomes:
    """Runs a study with `make`'s scheduler, through the real tuner and a real journal, in no time.

    Args:
        make: the scheduler, given where its trials come from.
        searcher: made anew for each session, from `space` and `seed`.
        points: configurations to try first.
        compared: what the journal's first record says of several metrics or constraints, in place of one and `mode`.
        interrupt_after: cut the study off after so many events, resume it from its journal, and so on.
        n_trials: of each session, if they differ; else the budget's.
        finalists: what comes after the search.
    """
    budget = replace(budget or Budget(n_trials=10), max_failures=10**9)
    cuts: list[int | None] = [*interrupt_after, None]
    now = 0.0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "journal.jsonl")
        for session, cut in enumerate(cuts):
            if n_trials:
                budget = replace(budget, n_trials=n_trials[session])
            trials = TrialGenerator(searcher(space, seed), space, budget.n_trials, points)
            executor = CurveExecutor(n_workers, curve, seconds, cut, now, finishes)
            with Journal(path) as journal:
                records = [record for record, _ in read(path)]
                if not records:
                    header = {"event": "study", "version": VERSION, "name": "simulated"}
                    records = [{**header, **(compared or {"metrics": [{"name": METRIC, "mode": mode}]}), "time": 0.0}]
                    journal.append(*records)
                view = StudyView()
                tuner = Tuner(make(trials), trials, executor, journal, view, budget, finalists=finalists)
                tuner.replay(records)
                end = tuner.run()
            now = executor.clock()
        return Outcomes(view, [record for record, _ in read(path)], executor.jobs, end)


def random_world(seed: int, failures: float = 0.1, nans: float = 0.1) -> tuple[Curve, Seconds]:
    """A curve with ties, NaNs, infinities and failures, and durations that shuffle the order of results."""

    def curve(trial_id: int, _config: Config, resource: int) -> float | None:
        rng = generator(seed, "curve", trial_id, resource)
        fate = rng.random()
        if fate < failures:
            return None
        if fate < failures + nans:
            return (math.nan, math.inf, -math.inf)[int(rng.integers(3))]
        return float(rng.integers(12)) + 10.0 / resource

    def seconds(trial_id: int, resource: int) -> float:
        return float(generator(seed, "seconds", trial_id, resource).exponential())

    return curve, seconds
