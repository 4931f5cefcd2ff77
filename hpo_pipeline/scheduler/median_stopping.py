"""The median stopping rule (Golovin et al. 2017, "Google Vizier", section 3.2.2).

A trial is stopped at step s if its best value so far is strictly worse than the median, over the other trials that
have come to s, of their average over the steps 1 … s. The paper takes that median over completed trials only, which
(`completed_only: true`) leaves the first trials alone; by default all that have been at s count, as in Ray Tune.

With constraints a value is a pair, how far they are violated and the score; pairs are compared by the first of them,
and those that are equal there by the second.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from sortedcontainers import SortedList

from hpo_pipeline.checks import integer_problems
from hpo_pipeline.errors import ConfigError, Problem
from hpo_pipeline.evaluation import WORST, Evaluation, Status
from hpo_pipeline.ranking import ByScore, MakeRanking
from hpo_pipeline.scheduler.fifo import FIFO
from hpo_pipeline.scheduler.rungs import one_score_problems
from hpo_pipeline.searcher.trial_generator import TrialGenerator
from hpo_pipeline.trial import Decision, Job, StateChange

Value = tuple[float, float]
"""By how much the constraints are violated, 0 without any; the score."""


class MedianStopping(FIFO):
    """Every trial towards max_resource, unless it is worse than half of the others.

    Args:
        grace_period: no trial is stopped before it has this resource.
        min_samples: no trial is stopped at a step that fewer other trials have come to.
        completed_only: compare with completed trials alone, as the paper does.
    """

    def __init__(
        self,
        trials: TrialGenerator,
        max_resource: int,
        grace_period: int = 1,
        min_samples: int = 3,
        completed_only: bool = False,
        ranking: MakeRanking = ByScore,
    ) -> None:
        problems = integer_problems(max_resource=max_resource, grace_period=grace_period)
        if not problems and grace_period > max_resource:
            problems = [Problem("grace_period", f"must be at most max_resource ({max_resource})", grace_period)]
        problems += integer_problems(min_samples=min_samples) + one_score_problems("the median rule", ranking)
        if problems:
            raise ConfigError(problems)
        super().__init__(trials, max_resource)
        self._milestones = range(grace_period, max_resource)
        self._min_samples = min_samples
        self._completed_only = completed_only
        self._averages: defaultdict[int, SortedList[Value]] = defaultdict(SortedList)
        self._own: dict[int, list[Value]] = {}
        self._best: dict[int, Value] = {}

    def on_report(self, job: Job, evaluation: Evaluation) -> Decision:
        trial_id, resource = job.trial.id, evaluation.resource
        value = (evaluation.violation, evaluation.score) if evaluation.status is Status.OK else (WORST, WORST)
        averages = self._own.setdefault(trial_id, [])
        # The average over 1 … s from the one over 1 … s-1; one infinite score makes it infinite for good.
        before = averages[-1] if averages else (0.0, 0.0)
        averages.append((_average(before[0], value[0], resource), _average(before[1], value[1], resource)))
        self._best[trial_id] = min(value, self._best.get(trial_id, (WORST, WORST)))
        reason = self._worse(resource, self._best[trial_id]) if resource in self._milestones else ""
        if not self._completed_only:
            self._averages[resource].add(averages[-1])
        if not reason:
            return super().on_report(job, evaluation)
        del self._own[trial_id], self._best[trial_id]
        return Decision(stop=True, rung=0, reason=reason)

    def _worse(self, resource: int, best: Value) -> str:
        """Why a trial is stopped here; empty if it isn't."""
        if best == (WORST, WORST):
            return f"no finite value up to {resource}"
        others = self._averages[resource]
        n = len(others)
        if n < self._min_samples:
            return ""
        low, high = others[(n - 1) // 2], others[n // 2]
        if best <= ((low[0] + high[0]) / 2, (low[1] + high[1]) / 2):
            return ""
        return f"at {resource}: worse than the median of {n} trials"

    def on_result(self, job: Job, evaluation: Evaluation) -> Sequence[StateChange]:
        averages = self._own.pop(job.trial.id, [])
        self._best.pop(job.trial.id, None)
        if self._completed_only and evaluation.status is not Status.FAILED:
            for resource, average in enumerate(averages, start=1):
                self._averages[resource].add(average)
        return super().on_result(job, evaluation)

    def describe(self) -> str:
        others = "completed trials" if self._completed_only else "the others"
        return f"every trial to {self._resource}, unless it is worse than the median of {others}"


def _average(before: float, value: float, n: int) -> float:
    """Of n values, from that of the first n - 1."""
    return (before * (n - 1) + value) / n
