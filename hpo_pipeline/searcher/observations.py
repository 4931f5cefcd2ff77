"""What a searcher has heard of a study, as arrays: the data of every model. Takes in a call in constant time."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hpo_pipeline.evaluation import WORST, Evaluation, Status
from hpo_pipeline.space.unit_cube import Bools, Floats, UnitCube
from hpo_pipeline.trial import FINAL, Job, StateChange

Rows = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Observed:
    """A rung evaluation: `score` of the trial in `row` at `resource`, minimised; +inf unless its status is OK."""

    row: int
    resource: int
    score: float
    status: Status


class Observations:
    """A row for each trial, in the order in which they were submitted, or were added as those of an earlier study.

    A trial that goes on as another configuration with other weights (population-based training) keeps what was heard
    of it until then: what it reaches afterwards says little about either.

    Attributes:
        cube: of the search space.
        ids: (n_trials) the trials' numbers; of an earlier study's trial "12 of runs/a".
        log: every rung evaluation and every report at which the trial could have been stopped, as they were heard.
        pending: row -> the resource that its job goes to, of the trials at work.
        resources: those of the log, ascending.
        first_heard: row -> how long the log was with the trial's first entry, of those trials, in that order.
    """

    def __init__(self, cube: UnitCube) -> None:
        self.cube = cube
        self.ids: list[int | str] = []
        self.log: list[Observed] = []
        self.pending: dict[int, int] = {}
        self.resources: list[int] = []
        self._points = np.empty((64, cube.dim))
        self._rows: dict[int, int] = {}
        self._jobs: dict[int, Job] = {}  # by row, those at work
        self._changed: set[int] = set()
        self._reported: dict[int, dict[int, float]] = {}  # resource -> row -> score
        self._last: list[float] = []  # by row: the score that was reported last
        self._failed: set[int] = set()
        self.first_heard: dict[int, int] = {}

    @property
    def n_trials(self) -> int:
        return len(self.ids)

    @property
    def n_evaluated(self) -> int:
        """How many trials are in the log."""
        return len(self.first_heard)

    @property
    def points(self) -> Floats:
        """(n_trials, dim) in the unit cube, canonical."""
        return self._points[: self.n_trials]

    @property
    def failed(self) -> Bools:
        """(n_trials,) which trials have failed."""
        flags = np.zeros(self.n_trials, dtype=bool)
        flags[list(self._failed)] = True
        return flags

    def on_submitted(self, job: Job) -> None:
        row = self._rows.get(job.trial.id)
        if row is None:
            row = self._rows[job.trial.id] = self._add(job.trial.id, self.cube.point(job.trial.config))
        elif job.source is not None:
            self._changed.add(row)
        self._jobs[row] = job
        self.pending[row] = job.resource

    def _add(self, trial_id: int | str, point: Floats) -> int:
        row = self.n_trials
        if row == len(self._points):
            self._points = np.concatenate([self._points, np.empty_like(self._points)])
        self._points[row] = point
        self.ids.append(trial_id)
        self._last.append(math.nan)
        return row

    def add_earlier(self, name: str, point: Floats, resource: int, score: float) -> None:
        """A trial of an earlier study, as if it had been evaluated at `resource` now; it failed if `score` is +inf."""
        row = self._add(name, point)
        if score == WORST:
            self._failed.add(row)
        self._log(row, resource, score, Status.FAILED if score == WORST else Status.OK)

    def on_evaluation(self, evaluation: Evaluation) -> None:
        row, resource = self._rows[evaluation.trial.id], evaluation.resource
        job = self._jobs.get(row)
        is_end = evaluation.status is Status.FAILED or (job is not None and resource >= job.resource)
        if is_end:
            self.pending.pop(row, None)
        if row in self._changed:
            return
        if evaluation.status is Status.FAILED:
            self._failed.add(row)
        score = evaluation.score if evaluation.status is Status.OK else WORST
        if is_end or evaluation.rung is not None or (job is not None and resource in job.milestones):
            self._log(row, resource, score, evaluation.status)
        else:
            self._report(row, resource, score)

    def _report(self, row: int, resource: int, score: float) -> None:
        self._reported.setdefault(resource, {})[row] = score
        self._last[row] = score

    def _log(self, row: int, resource: int, score: float, status: Status) -> None:
        self._report(row, resource, score)
        self.log.append(Observed(row, resource, score, status))
        self.first_heard.setdefault(row, len(self.log))
        if resource not in self.resources:
            self.resources = sorted([*self.resources, resource])

    def on_state(self, change: StateChange) -> None:
        if change.state in FINAL and (row := self._rows.get(change.trial_id)) is not None:
            self.pending.pop(row, None)

    def at(self, resource: int) -> tuple[Rows, Floats]:
        """The trials that have reported `resource`, on a rung or on the way, by row; and their scores."""
        reported = self._reported.get(resource, {})
        rows = np.fromiter(reported.keys(), dtype=np.intp, count=len(reported))
        by_row = np.argsort(rows)
        return rows[by_row], np.fromiter(reported.values(), dtype=float, count=len(reported))[by_row]

    def highest(self, n: int) -> int | None:
        """The highest resource in the log at which `n` trials have a finite score; None if there is none."""
        for resource in reversed(self.resources):
            if sum(map(math.isfinite, self._reported[resource].values())) >= n:
                return resource
        return None

    def order(self, at: int | None = None) -> tuple[Rows, int]:
        """The trials that are in the log, best first, and how many of them, at the end, are bad.

        They are sorted by their score at the lowest resource that is in the log. Then, resource by resource, those that
        have reported the next one are sorted by that among themselves, on the positions that they had together: so a
        comparison at a higher resource outweighs those at lower ones, and no score is compared with one of another
        resource. Bad are those that failed, or whose last score isn't finite. Ties are in the order of rows.

        Args:
            at: only the trials that have reported this resource; None for all.
        """
        order = np.sort(np.fromiter(self.first_heard, dtype=np.intp, count=self.n_evaluated))
        if at is not None:
            order = order[np.isin(order, self.at(at)[0])]
        scores = np.full((len(self.resources), self.n_trials), math.nan)
        for k, resource in enumerate(self.resources):
            rows, values = self.at(resource)
            scores[k, rows] = values
        for k in range(len(self.resources)):
            there = np.flatnonzero(~np.isnan(scores[k, order]))
            order[there] = order[there[np.argsort(scores[k, order[there]], kind="stable")]]
        bad = ~np.isfinite(np.array(self._last)[order]) | self.failed[order]
        return np.concatenate([order[~bad], order[bad]]), int(bad.sum())
