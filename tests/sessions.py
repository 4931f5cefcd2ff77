"""Sessions of a study with a simulated executor, for the tests of the tuner."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hpo_pipeline.budget import Budget, End
from hpo_pipeline.journal import VERSION, Journal, Record, read
from hpo_pipeline.scheduler import Scheduler
from hpo_pipeline.scheduler.asha import ASHA
from hpo_pipeline.scheduler.fifo import FIFO
from hpo_pipeline.scheduler.finalists import NO_FINALISTS, FinalistSettings
from hpo_pipeline.scheduler.hyperband import Hyperband
from hpo_pipeline.scheduler.median_stopping import MedianStopping
from hpo_pipeline.scheduler.pasha import PASHA
from hpo_pipeline.scheduler.pbt import PBT
from hpo_pipeline.scheduler.successive_halving import SuccessiveHalving
from hpo_pipeline.searcher.random import RandomSearch
from hpo_pipeline.searcher.trial_generator import TrialGenerator
from hpo_pipeline.simulation import METRIC, SPACE, Curve, CurveExecutor
from hpo_pipeline.trial import Job
from hpo_pipeline.tuner import Listener, Tuner
from hpo_pipeline.view import StudyView

Make = Callable[[TrialGenerator], Scheduler]


def fifo(trials: TrialGenerator) -> FIFO:
    return FIFO(trials, max_resource=4)


def halving(trials: TrialGenerator) -> SuccessiveHalving:
    return SuccessiveHalving(trials, eta=2, min_resource=1, max_resource=4)


def promotion(trials: TrialGenerator) -> ASHA:
    return ASHA(trials, eta=2, min_resource=1, max_resource=4)


def stopping(trials: TrialGenerator) -> ASHA:
    return ASHA(trials, eta=2, min_resource=1, max_resource=4, type="stopping")


MAKERS: dict[str, Make] = {
    "fifo": fifo,
    "successive_halving": halving,
    "hyperband": lambda trials: Hyperband(trials, eta=2, min_resource=1, max_resource=4),
    "asha promotion": promotion,
    "asha beyond the paper": lambda trials: ASHA(
        trials, 2, 1, 4, fill_rungs=True, early_eta=[4, 2], early_trials=6, leaders=[3, 2], probes=3
    ),
    "asha stopping": stopping,
    "median_stopping": lambda trials: MedianStopping(trials, max_resource=4),
    "pasha": lambda trials: PASHA(trials, eta=2, min_resource=1, max_resource=4),
    "pbt": lambda trials: PBT(trials, SPACE, seed=0, max_resource=4, population=3),
}


class RecordingExecutor(CurveExecutor):
    """Notes at which resource each job starts, and whose checkpoints are dropped."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.started_at: list[int] = []
        self.discarded: list[int] = []

    def submit(self, job: Job, recorded: int) -> None:
        self.started_at.append(recorded)
        super().submit(job, recorded)

    def discard(self, trial_id: int) -> None:
        self.discarded.append(trial_id)


class Session:
    """One session of a study in the folder, its parts at hand."""

    def __init__(
        self,
        make: Make,
        curve: Curve,
        budget: Budget,
        *,
        n_workers: int = 1,
        dies_after: int | None = None,
        max_failures: int | None = None,
        points: Sequence[dict[str, float]] = (),
        mode: str = "min",
        seed: int = 0,
        executor: Callable[..., RecordingExecutor] = RecordingExecutor,
        listener: Listener | None = None,
        wall_clock: Callable[[], float] | None = None,
        journal: Callable[[Path], Journal] = Journal,
        finalists: FinalistSettings = NO_FINALISTS,
    ) -> None:
        self.path = Path("journal.jsonl")
        self.view = StudyView()
        self.executor = executor(n_workers, curve, dies_after=dies_after)
        if wall_clock:
            self.executor.clock = wall_clock
        trials = TrialGenerator(RandomSearch(SPACE, seed), SPACE, budget.n_trials, points)
        with journal(self.path) as opened:
            records = [record for record, _ in read(self.path)]
            if not records:
                header = {"event": "study", "version": VERSION, "name": "s"}
                records = [{**header, "metrics": [{"name": METRIC, "mode": mode}], "time": 0.0}]
                opened.append(*records)
            tuner = Tuner(
                make(trials),
                trials,
                self.executor,
                opened,
                self.view,
                replace(budget, max_failures=max_failures),
                [listener] if listener else [],
                finalists,
            )
            tuner.replay(records)
            self.end: End = tuner.run()

    @property
    def records(self) -> list[Record]:
        return [record for record, _ in read(self.path)]

    def outcome(self) -> tuple[object, ...]:
        """What must not depend on breaks: rung evaluations in order, how far and how each trial came, the best."""
        rungs = [
            (trial.id, r.bracket, r.rung, r.resource, repr(r.metrics[METRIC]))
            for trial in self.view.trials.values()
            for r in trial.rungs
        ]
        assert len(set(rungs)) == len(rungs), "a rung evaluation was recorded twice"
        trials = {i: (t.resource, t.state, t.config) for i, t in self.view.trials.items()}
        return sorted(rungs), trials, self.view.best and self.view.best.id


def by_number(trial_id: int, _config: object, resource: int) -> float:
    return trial_id + 1 / resource
