"""Contract suites that anyone's own searcher or scheduler can be run through, and the simulation they run on.

from hpo_pipeline.testing import check_scheduler
check_scheduler(lambda trials: MyScheduler(trials, max_resource=9), n_workers=4, seed=0)
"""

from __future__ import annotations

import heapq
import math
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hpo_pipeline.journal import Journal, Record, read
from hpo_pipeline.report.view import StudyView
from hpo_pipeline.scheduler import Scheduler
from hpo_pipeline.searcher import Searcher
from hpo_pipeline.searcher.random import RandomSearch
from hpo_pipeline.searcher.suggestions import Suggestions
from hpo_pipeline.seeding import generator
from hpo_pipeline.space import SearchSpace
from hpo_pipeline.trial import Budget, Config, Event, Job, Outcome, Report, Result
from hpo_pipeline.tuner import End, Tuner

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

    def clock(self) -> float:
        return self.now

    def submit(self, job: Job, recorded: int) -> None:
        if job.trial.id in self._running:
            raise ContractError(f"trial {job.trial.id} got a second job while it has one")
        if len(self._running) >= self.capacity:
            raise ContractError(f"more than {self.capacity} jobs at once")
        if job.resource <= recorded:
            raise ContractError(f"trial {job.trial.id} is sent to {job.resource}, and has {recorded} already")
        self.jobs.append(job)
        self._running[job.trial.id] = _Running(job, recorded)
        self._advance(self._running[job.trial.id])

    def _advance(self, running: _Running) -> None:
        trial, resource = running.job.trial, running.resource + 1
        at = self.now + self.seconds(trial.id, resource)
        value = self.curve(trial.id, trial.config, resource)
        if value is None:
            self._push(at, Result(trial.id, Outcome.FAILED, at, "simulated failure", "simulated failure"))
        else:
            self._push(at, Report(trial.id, resource, {METRIC: value}, at))

    def _push(self, at: float, event: Report | Result) -> None:
        self._count += 1
        heapq.heappush(self._queue, (at, self._count, event))

    def wait(self, timeout: float | None = None) -> list[Event]:
        if self.dies_after is not None:
            self.dies_after -= 1
            if self.dies_after < 0:
                raise KeyboardInterrupt
        self.now, _, event = heapq.heappop(self._queue)
        if isinstance(event, Result):
            del self._running[event.trial_id]
            return [event]
        running = self._running[event.trial_id]
        running.resource = event.resource
        if event.resource == running.job.resource:
            del self._running[event.trial_id]
            return [event, Result(event.trial_id, Outcome.DONE, self.now)]
        if event.resource not in running.job.decide_at:
            self._advance(running)
        return [event]

    def decide(self, trial_id: int, *, stop: bool) -> None:
        if stop:
            self._push(self.now, Result(trial_id, Outcome.STOPPED, self.now))
        elif trial_id in self._running:
            self._advance(self._running[trial_id])

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
    make: Callable[[Suggestions], Scheduler],
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
    max_failures: int = 10**9,
) -> Outcomes:
    """Runs a study with `make`'s scheduler, through the real tuner and a real journal, in no time.

    Args:
        make: the scheduler, given where its trials come from.
        searcher: made anew for each session, from `space` and `seed`.
        points: configurations to try first.
        interrupt_after: cut the study off after so many events, resume it from its journal, and so on.
    """
    budget = budget or Budget(n_trials=10)
    cuts: list[int | None] = [*interrupt_after, None]
    now = 0.0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "journal.jsonl")
        for cut in cuts:
            trials = Suggestions(searcher(space, seed), space, budget.n_trials, points)
            executor = SimulatedExecutor(n_workers, curve, seconds, cut, now)
            with Journal(path) as journal:
                records = [record for record, _ in read(path)]
                if not records:
                    records = [{"event": "study", "name": "simulated", "metric": METRIC, "mode": mode, "time": 0.0}]
                    journal.append(*records)
                view = StudyView()
                tuner = Tuner(make(trials), trials, executor, journal, view, budget, max_failures, clock=executor.clock)
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


def check_scheduler(
    make: Callable[[Suggestions], Scheduler],
    n_workers: int,
    seed: int,
    n_trials: int = 40,
    *,
    searcher: MakeSearcher = RandomSearch,
    space: SearchSpace = SPACE,
) -> None:
    """Runs a scheduler through random failures, NaNs and orders of results, and holds it to its contract.

    Never more jobs than workers, nor two for one trial, nor one that goes backwards; nothing after a trial failed or
    was stopped; no more trials than allowed, and no two with the same configuration unless there is no other; the same
    seed gives the same jobs; a study that is cut off and resumed from its journal comes to the same end; and it ends.

    Raises:
        ContractError: naming the promise.
    """
    curve, seconds = random_world(seed)
    budget = Budget(n_trials=n_trials)
    first, again = (
        simulate(make, curve, n_workers, budget, searcher=searcher, space=space, seed=seed, seconds=seconds)
        for _ in range(2)
    )
    _expect(first.jobs == again.jobs, "the same seed gives the same jobs")
    _expect(len(first.view.trials) <= n_trials, "no more trials than allowed")
    _expect(first.end.state == "completed", f"the study ends by itself, not: {first.end}")
    first.rung_table()
    _check_life_of_trials(first.records)
    _check_distinct(first.suggested(), space)
    _check_resumed(
        lambda cuts: simulate(
            make, curve, 1, Budget(15), searcher=searcher, space=space, seed=seed, interrupt_after=cuts
        ),
        seed,
    )


def _check_life_of_trials(records: list[Record]) -> None:
    over: dict[int, str] = {}
    for record in records:
        trial = record.get("trial")
        if record["event"] == "submitted":
            _expect(trial not in over, f"no job for trial {trial} after it has {over.get(trial or 0)}")
        elif record["event"] == "decision" and record["state"] in ("STOPPED", "FAILED", "COMPLETED"):
            over[record["trial"]] = record["state"].lower()


def _check_distinct(configs: Sequence[Config], space: SearchSpace) -> None:
    distinct = len({space.key(config) for config in configs})
    expected = len(configs) if space.size is None else min(len(configs), space.size)
    _expect(distinct == expected, f"no configuration twice while there are others: {expected}, not {distinct} distinct")


def _check_resumed(study: Callable[[Sequence[int]], Outcomes], seed: int) -> None:
    """With one worker the order of results is the same with and without the break, so the ends must be equal."""
    whole = study(())
    rng = generator(seed, "cuts")
    cuts = [int(cut) for cut in rng.integers(0, 20, size=3)]
    pieces = study(cuts)
    _expect(whole.suggested() == pieces.suggested(), f"cut off after {cuts} events and resumed, the trials are equal")
    _expect(whole.rung_table() == pieces.rung_table(), f"cut off after {cuts} events and resumed, the rungs are equal")
    states = [{i: t.state for i, t in outcome.view.trials.items()} for outcome in (whole, pieces)]
    _expect(states[0] == states[1], f"cut off after {cuts} events and resumed, the trials' states are equal")


def check_searcher(make: Callable[[SearchSpace], Searcher], space: SearchSpace, n: int = 20) -> None:
    """Holds a searcher to its contract: configurations of the space, the same ones for the same calls, resumable.

    And none twice unless the space is exhausted.

    Raises:
        ContractError: naming the promise.
    """
    configs = _suggested(make(space), space, n, recorded=[])
    for config in configs:
        _expect(not space.contains(config), f"{config} is in the space: {space.contains(config)}")
    _expect(configs == _suggested(make(space), space, n, recorded=[]), "the same calls give the same configurations")
    half = _suggested(make(space), space, n, recorded=configs[: n // 2])
    _expect(half == configs, "with the first half recorded instead of suggested, the second half is the same")
    _check_distinct(configs, space)


def _suggested(searcher: Searcher, space: SearchSpace, n: int, recorded: list[Config]) -> list[Config]:
    """`n` configurations, with a result after each third one, good, NaN and failed ones among them."""
    trials = Suggestions(searcher, space, n)
    for config in recorded:
        trials.replay(config)
    configs: list[Config] = []
    while (trial := trials.new(level=trials.next_id % 2)) is not None:
        configs.append(trial.config)
        if trial.id % 3 == 2:
            trials.observe(trial, 1, math.inf if trial.id % 2 else float(trial.id))
    return configs


def _expect(kept: bool, promise: str) -> None:
    if not kept:
        raise ContractError(f"broken: {promise}")
