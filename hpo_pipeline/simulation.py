"""Studies without training: the real tuner and a real journal, trials on given curves, and a clock of their own.

from hpo_pipeline.simulation import simulate
outcome = simulate(lambda trials: ASHA(trials, 3, 1, 9), lambda trial_id, config, resource: config["x"] / resource)
"""

from __future__ import annotations

import heapq
import math
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from hpo_pipeline.journal import VERSION, Journal, Record, read
from hpo_pipeline.scheduler import Scheduler
from hpo_pipeline.searcher import Searcher
from hpo_pipeline.searcher.random import RandomSearch
from hpo_pipeline.searcher.trial_generator import TrialGenerator
from hpo_pipeline.seeding import generator
from hpo_pipeline.space import SearchSpace
from hpo_pipeline.trial import Budget, Config, Event, Job, Outcome, Report, Result
from hpo_pipeline.tuner import End, Tuner
from hpo_pipeline.view import StudyView

Curve = Callable[[int, Config, int], float | None]
"""(trial id, configuration, resource) -> value of the metric; None makes the trial fail there."""

MakeSearcher = Callable[[SearchSpace, int], Searcher]
"""(space, seed) -> a new searcher."""

METRIC = "loss"
SPACE = SearchSpace.parse({"x": {"type": "float", "low": 0.0, "high": 1.0}})


class ContractError(AssertionError):
    """A component broke its promise."""


@dataclass(slots=True)
class _Running:
    job: Job
    resource: int


@dataclass
class SimulatedExecutor:
    """Runs jobs on a clock of its own: nothing is trained, no time passes.

    Attributes:
        capacity: jobs at once.
        curve: what trials report.
        seconds: (trial id, resource) -> how long that unit takes; equal times are settled by the order of submission.
        dies_after: Ctrl-C after so many answers of `wait`; None for never.
        now: the simulated time.
        jobs: every job that was submitted, in order.
    """

    capacity: int
    curve: Curve
    seconds: Callable[[int, int], float] = lambda _trial_id, _resource: 1.0
    dies_after: int | None = None
    now: float = 0.0
    jobs: list[Job] = field(default_factory=list)
    _running: dict[int, _Running] = field(default_factory=dict)
    _queue: list[tuple[float, int, Report | Result]] = field(default_factory=list)
    _count: int = 0
    _at_rest: tuple[int, _Running] | None = None
    works_in_wait: bool = True

    def clock(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now

    def wake(self) -> None:
        """No time passes in `wait`."""

    def submit(self, job: Job, recorded: int) -> None:
        if job.trial.id in self._running:
            raise ContractError(f"trial {job.trial.id} got a second job while it has one")
        if len(self._running) >= self.capacity:
            raise ContractError(f"more than {self.capacity} jobs at once")
        if job.resource <= recorded:
            raise ContractError(f"trial {job.trial.id} is sent to {job.resource}, and has {recorded} already")
        self.jobs.append(job)
        self._running[job.trial.id] = _Running(job, recorded)
        self._advance(self._running[job.trial.id], self._next_number())

    def _advance(self, running: _Running, number: int) -> None:
        trial, resource = running.job.trial, running.resource + 1
        at = self.now + self.seconds(trial.id, resource)
        value = self.curve(trial.id, trial.config, resource)
        if value is None:
            failed = Result(trial.id, Outcome.FAILED, at, "simulated failure", "simulated failure")
            heapq.heappush(self._queue, (at, number, failed))
        else:
            heapq.heappush(self._queue, (at, number, Report(trial.id, resource, {METRIC: value}, at)))

    def _next_number(self) -> int:
        self._count += 1
        return self._count

    def wait(self, timeout: float | None = None) -> list[Event]:
        if self.dies_after is not None:
            self.dies_after -= 1
            if self.dies_after < 0:
                raise KeyboardInterrupt
        if self._at_rest is not None:
            number, running = self._at_rest
            self._at_rest = None
            self._advance(running, number)
        self.now, _, event = heapq.heappop(self._queue)
        if isinstance(event, Result):
            del self._running[event.trial_id]
            return [event]
        running = self._running[event.trial_id]
        running.resource = event.resource
        if event.resource == running.job.resource:
            del self._running[event.trial_id]
            return [event, Result(event.trial_id, Outcome.DONE, self.now)]
        if event.resource in running.job.milestones:
            self._at_rest = self._next_number(), running
        else:
            self._advance(running, self._next_number())
        return [event]

    def cancel(self, trial_id: int) -> None:
        if trial_id not in self._running:
            return
        if self._at_rest is not None and self._at_rest[1].job.trial.id == trial_id:
            self._at_rest = None
        self._queue = [entry for entry in self._queue if entry[2].trial_id != trial_id]
        heapq.heapify(self._queue)
        stopped = Result(trial_id, Outcome.STOPPED, self.now)
        heapq.heappush(self._queue, (self.now, self._next_number(), stopped))

    def discard(self, trial_id: int) -> None:
        """There are no checkpoints."""

    def close(self) -> None:
        self._running.clear()
        self._queue.clear()


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
        for record in self.records:
            if record["event"] == "rung":
                rung = table.setdefault((record["bracket"], record["rung"]), {})
                if record["trial"] in rung:
                    raise ContractError(f"trial {record['trial']} was evaluated twice on a rung: {record}")
                rung[record["trial"]] = repr(record["value"])
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
    seed: int = 0,
    seconds: Callable[[int, int], float] = lambda _trial_id, _resource: 1.0,
    interrupt_after: Sequence[int] = (),
    n_trials: Sequence[int] = (),
    max_failures: int = 10**9,
) -> Outcomes:
    """Runs a study with `make`'s scheduler, through the real tuner and a real journal, in no time.

    Args:
        make: the scheduler, given where its trials come from.
        searcher: made anew for each session, from `space` and `seed`.
        points: configurations to try first.
        interrupt_after: cut the study off after so many events, resume it from its journal, and so on.
        n_trials: of each session, if they differ; else the budget's.
    """
    budget = budget or Budget(n_trials=10)
    cuts: list[int | None] = [*interrupt_after, None]
    now = 0.0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "journal.jsonl")
        for session, cut in enumerate(cuts):
            if n_trials:
                budget = replace(budget, n_trials=n_trials[session])
            trials = TrialGenerator(searcher(space, seed), space, budget.n_trials, points)
            executor = SimulatedExecutor(n_workers, curve, seconds, cut, now)
            with Journal(path) as journal:
                records = [record for record, _ in read(path)]
                if not records:
                    header = {"event": "study", "version": VERSION, "name": "simulated", "metric": METRIC}
                    records = [{**header, "mode": mode, "time": 0.0}]
                    journal.append(*records)
                view = StudyView()
                clock = executor.clock
                tuner = Tuner(make(trials), trials, executor, journal, view, budget, max_failures, (), clock, clock)
                tuner.replay(records)
                end = tuner.run()
            now = executor.now
        return Outcomes(view, [record for record, _ in read(path)], executor.jobs, end)


def random_world(seed: int, failures: float = 0.1, nans: float = 0.1) -> tuple[Curve, Callable[[int, int], float]]:
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
