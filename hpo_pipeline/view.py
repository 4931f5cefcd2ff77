"""A study as its journal tells it: the fold that every view (table, plots, leaderboard, MLflow) is drawn from."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable

from hpo_pipeline import pareto
from hpo_pipeline.errors import StudyError
from hpo_pipeline.evaluation import WORST, Constraint, Metric, total_violation
from hpo_pipeline.front import Front
from hpo_pipeline.over_seeds import OverSeeds
from hpo_pipeline.records import Record
from hpo_pipeline.trial import FINAL, State
from hpo_pipeline.trial_view import Change, RungEvaluation, TrialView

__all__ = ["Change", "RungEvaluation", "StudyView", "TrialView"]


class StudyView:
    """The fold: `apply` each record, in order; then read."""

    def __init__(self) -> None:
        self.header: Record = {}
        self.metrics: tuple[Metric, ...] = ()
        self.constraints: tuple[Constraint, ...] = ()
        self.trials: dict[int, TrialView] = {}
        self.total_resource = 0
        self.evaluations = 0
        self.failures = 0
        self.last_failed: TrialView | None = None
        self.best: TrialView | None = None
        self.best_history: list[tuple[int, float, float]] = []
        """(total resource, best value of the metric, time) each time it changed: it improves, or its trial fails and
        the next best takes its place (NaN if there is none)."""
        self.front = Front()
        """Of several metrics: the feasible reports of trials that haven't failed which no other dominates."""
        self.front_history: list[tuple[int, float, int, float]] = []
        """(total resource, hypervolume, points, time) each time the front or its reference point changed."""
        self.latest = 0.0
        """The latest time of a record."""
        self.seconds = 0.0
        """How long the study has run, over all sessions, up to the last record: by the tuner's monotonic clock."""
        self.end: Record | None = None
        self.n_records = 0
        self.sessions = 0
        self.is_simulated = False
        """Whether the last session's times are those of a simulated clock."""
        self._session_began: tuple[float, float] | None = None
        self._further_seeds: dict[int, list[TrialView]] = {}

    @property
    def metric(self) -> str:
        """Name of the study's first metric: the one that trials are ranked by in tables and pictures."""
        return self.metrics[0].name

    @property
    def mode(self) -> str:
        return self.metrics[0].mode

    @property
    def has_front(self) -> bool:
        """Whether the study looks for a Pareto front, of several metrics, and not for one best trial."""
        return len(self.metrics) > 1

    @property
    def all_failed(self) -> bool:
        """Whether trials were started and every one of them failed."""
        return bool(self.trials) and all(trial.state is State.FAILED for trial in self.trials.values())

    @property
    def failures_text(self) -> str:
        """`all 4 trials failed; the last error: …`, where at least one has failed."""
        every = "all " if self.all_failed and self.failures > 1 else ""
        count = f"{self.failures} trial{'s' if self.failures > 1 else ''}"
        return f"{every}{count} failed; the last error: {self.last_failed.error if self.last_failed else ''}"

    def apply(self, record: Record) -> None:
        """Takes in the next record; unknown events (of a later version) are passed over.

        Raises:
            StudyError: it doesn't follow from those before.
        """
        handler = getattr(self, f"_on_{record['event']}", None)
        if handler is not None:
            time = float(record["time"])
            self.latest = max(self.latest, time)
            handler(record, time)
            self._count_seconds(record)
        self.n_records += 1

    def _count_seconds(self, record: Record) -> None:
        if "elapsed" in record:
            self.seconds = max(self.seconds, record["elapsed"])
        elif record["event"] == "session" or self._session_began is None:
            self._session_began = record["time"], self.seconds
        elif record["event"] != "study":
            # Version 1 has only the times at which workers saw things happen, in any order.
            began, before = self._session_began
            self.seconds = max(self.seconds, before + record["time"] - began)

    def _trial(self, record: Record) -> TrialView:
        if record["trial"] not in self.trials:
            raise StudyError(f"trial {record['trial']} was never suggested")
        return self.trials[record["trial"]]

    def _on_study(self, record: Record, time: float) -> None:
        self.header = record
        self.metrics = tuple(Metric(one["name"], one["mode"]) for one in record["metrics"])
        self.constraints = tuple(Constraint(**one) for one in record.get("constraints", ()))
        if not self.trials:
            self.front = Front(self.metrics, self.constraints, record.get("reference_point"))

    def _on_session(self, record: Record, time: float) -> None:
        self.sessions += 1
        self.is_simulated = record.get("simulated") is True
        self.end = None

    def _on_end(self, record: Record, time: float) -> None:
        self.end = record

    def _on_suggested(self, record: Record, time: float) -> None:
        config, origin = record["config"], record.get("origin", "")
        new = TrialView(record["trial"], config, config, started=time, origin=origin, repeats=record.get("repeats"))
        self.trials[new.id] = new
        if new.repeats is not None:
            self._further_seeds.setdefault(new.repeats, []).append(new)

    def _on_submitted(self, record: Record, time: float) -> None:
        trial = self._trial(record)
        trial.state, trial.reason = State.RUNNING, ""
        if "source" in record:
            trial.config = record.get("config", trial.config)
            trial.changes += (Change(trial.resource, tuple(record["source"]), trial.config),)
        trial.bracket, trial.rung, trial.target_resource = record["bracket"], record["rung"], record["resource"]
        trial.finalist = trial.finalist or record.get("finalist", False)

    def _on_report(self, record: Record, time: float) -> None:
        trial, metrics = self._trial(record), record["metrics"]
        if missing := [metric.name for metric in self.metrics if metric.name not in metrics]:
            raise StudyError(f"trial {trial.id} reports no {missing[0]!r}, only {', '.join(metrics) or 'nothing'}")
        if trial.state is State.INTERRUPTED:  # it goes on
            trial.state = State.RUNNING
        self.total_resource += record["resource"] - trial.resource
        trial.resource = record["resource"]
        trial.curve.append((trial.resource, metrics, time))
        trial.seconds += metrics.get("seconds", 0.0)
        trial.finished = record.get("finished", "")
        trial.note_node(record)
        violation = total_violation(self.constraints, metrics) if self.constraints else 0.0
        scores = tuple([metric.score(metrics[metric.name]) for metric in self.metrics])
        if WORST in scores or violation == WORST:
            return
        if (violation, scores) < (trial.best_violation, trial.best_scores):
            trial.best_violation, trial.best_scores, trial.best_resource = violation, scores, trial.resource
            if trial.repeats is None and (self.best is None or trial.rank <= self.best.rank):
                self._set_best(trial, time)
        if self.has_front and self.front.take(trial.id, trial.resource, metrics):
            self._note_front(time)

    def _on_rung(self, record: Record, time: float) -> None:
        self.evaluations += 1
        trial = self._trial(record)
        if not trial.curve:
            raise StudyError(f"trial {trial.id} is on a rung without a report")
        trial.rung = max(trial.rung, record["rung"])
        metrics = trial.at(record["resource"]) or trial.curve[-1][1]
        trial.rungs.append(RungEvaluation(record["rung"], record["bracket"], record["resource"], metrics, time))

    def _on_result(self, record: Record, time: float) -> None:
        trial = self._trial(record)
        trial.ended = time
        trial.note_node(record)
        if record["outcome"] == "done" and not trial.finalist:
            trial.counted = trial.target_resource
            trial.finished = trial.finished or record.get("finished", "")
        if record["outcome"] == "failed":
            self.failures += 1
            self.last_failed = trial
            trial.error, trial.traceback = record["error"], record["traceback"]
        elif record["outcome"] == "interrupted" and trial.state not in FINAL:
            trial.state = State.INTERRUPTED

    def _on_counted(self, record: Record, time: float) -> None:
        self._trial(record).counted = record["resource"]

    def _on_decision(self, record: Record, time: float) -> None:
        trial = self._trial(record)
        trial.state, trial.reason = State(record["state"]), record["reason"]
        trial.ended = time
        if trial is self.best and not trial.is_usable:
            usable = (other for other in self.trials.values() if other.is_usable and other.repeats is None)
            self._set_best(min(usable, key=lambda other: other.rank, default=None), time)
        if trial.state is State.FAILED and any(point.trial_id == trial.id for point in self.front.points):
            self.front.rebuild((t.id, t.curve) for t in self.trials.values() if t.state is not State.FAILED)
            self._note_front(time)

    def _note_front(self, time: float) -> None:
        self.front_history.append((self.total_resource, self.front.hypervolume(), len(self.front.points), time))

    def _set_best(self, trial: TrialView | None, time: float) -> None:
        self.best = trial
        value = trial.best(self.metric) if trial else None
        self.best_history.append((self.total_resource, math.nan if value is None else value, time))

    def ranking(self) -> list[TrialView]:
        """All trials, best first: finalists that were compared over several seeds, then the others by their scores."""
        compared = self.compared()
        rest = [trial for trial in self.trials.values() if trial not in compared]
        return [*compared, *self._best_first(rest)]

    def top(self, n: int) -> list[TrialView]:
        """The best `n` trials, best first, of those that are usable and no further seeds of others."""
        compared = self.compared()
        rest = (trial for trial in self.best_scores(n + len(compared)) if trial not in compared)
        return [*compared, *rest][:n]

    def best_scores(self, n: int) -> list[TrialView]:
        """The same by their scores alone, whatever further seeds say."""
        usable = (trial for trial in self.trials.values() if trial.is_usable and trial.repeats is None)
        return (
            self._best_first(usable)[:n] if self.has_front else heapq.nsmallest(n, usable, key=lambda trial: trial.rank)
        )

    def _best_first(self, trials: Iterable[TrialView]) -> list[TrialView]:
        """By rank; with several metrics those that are feasible as pareto.py orders their best reports."""
        ranked = sorted(trials, key=lambda trial: trial.rank)
        if not self.has_front:
            return ranked
        feasible = [trial for trial in ranked if trial.is_usable and trial.is_feasible]
        order = pareto.order([trial.best_scores for trial in feasible])
        return [*(feasible[i] for i in order), *(t for t in ranked if not (t.is_usable and t.is_feasible))]

    # -- several seeds -----------------------------------------------------------------------------------------------

    @property
    def winner(self) -> TrialView | None:
        """What the study comes to: the best of the finalists over their seeds, or without further seeds `best`."""
        compared = self.compared()
        return compared[0] if compared else self.best

    def compared(self) -> list[TrialView]:
        """The finalists with further seeds, best first: by how many of their seeds failed, then by their means.

        None as long as some of these trainings are still to come, or while the trial of the best score isn't among
        them: to compare a mean with a single value would be to believe in luck.
        """
        finalists = [self.trials[i] for i in self._further_seeds if self.trials[i].is_usable]
        trainings = [[trial, *self._further_seeds[trial.id]] for trial in finalists]
        ended = all(training.state in FINAL for group in trainings for training in group)
        if not ended or len(set(map(len, trainings))) != 1 or self.best not in finalists:
            return []
        return sorted(finalists, key=self._standing)

    def _standing(self, trial: TrialView) -> tuple[int, float, float, int]:
        found = self.over_seeds(trial)
        return found.n - len(found.values), trial.best_violation, self.metrics[0].score(found.mean), trial.id

    def over_seeds(self, trial: TrialView) -> OverSeeds:
        """The metric of a trial and of its further seeds, each at its best report."""
        trainings = [trial, *self._further_seeds.get(trial.id, [])]
        values = [training.best(self.metric) for training in trainings if training.is_usable]
        return OverSeeds(len(trainings), tuple(value for value in values if value is not None))

    @property
    def has_further_seeds(self) -> bool:
        return bool(self._further_seeds)
