"""When a study ends: decided from its view alone, so that it can be asked at any time."""

from __future__ import annotations

from dataclasses import dataclass

from hpo_pipeline.view import StudyView


@dataclass(frozen=True, slots=True)
class End:
    """Why a session ended; `state` is "completed", "interrupted" or "failed"."""

    state: str
    reason: str


@dataclass(frozen=True, slots=True)
class Budget:
    """What a study may use up; it ends with whatever comes first. None is no limit.

    Attributes:
        n_trials: trials started, those of the resumed study included.
        max_total_resource: resource spent by all trials together.
        max_seconds: wall-clock time of the study, earlier sessions included.
        target: value of the metric that is good enough, of a trial within the constraints.
        max_failures: trials that may fail; None for 10 or a quarter of the trials, whichever is larger.
    """

    n_trials: int | None = None
    max_total_resource: int | None = None
    max_seconds: float | None = None
    target: float | None = None
    max_failures: int | None = None

    @property
    def is_limited(self) -> bool:
        """Whether the study ends by itself, whatever its searcher and scheduler do."""
        limits = (self.n_trials, self.max_total_resource, self.max_seconds, self.target)
        return any(limit is not None for limit in limits)

    def end(self, view: StudyView, elapsed: float) -> End | None:
        """Why the study is over; None if it isn't. Scheduler and searcher end it by having no job.

        `elapsed`: seconds that the study has run, earlier sessions included.
        """
        if view.failures > self._failures_allowed(view):
            return End("failed", view.failures_text)
        if self.max_total_resource is not None and view.total_resource >= self.max_total_resource:
            return End("completed", f"max_total_resource={self.max_total_resource} is spent")
        if self.max_seconds is not None and elapsed >= self.max_seconds:
            return End("completed", f"max_seconds={self.max_seconds:g} are over")
        best = view.best
        is_feasible = best is not None and best.is_feasible
        if self.target is not None and best and is_feasible and best.best_score <= view.metrics[0].score(self.target):
            return End("completed", f"target={self.target:g} is reached")
        return None

    def seconds_left(self, elapsed: float) -> float | None:
        return None if self.max_seconds is None else max(0.0, self.max_seconds - elapsed)

    def _failures_allowed(self, view: StudyView) -> int:
        if self.max_failures is not None:
            return self.max_failures
        return max(10, max(self.n_trials or 0, len(view.trials)) // 4)
