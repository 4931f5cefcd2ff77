"""PASHA, progressive ASHA (Bohdal et al. 2023, "PASHA: Efficient HPO and NAS with Progressive Resource Allocation").

ASHA that begins with two rungs and adds one on top only while the ranking of the trials on the top rung differs from
their ranking on the rung below. Two trials count as equal (soft ranking) if they differ by at most ε on the rung below;
ε is the noise of the learning curves themselves: the 90th percentile of |f(c) - f(c')| over the pairs of trials on the
top rung whose curves cross and cross back (section 4.3).

    r = min_resource    R = max_resource    eta = eta    K_t = the top rung now

The paper compares all trials of the two rungs. Here it is the best `RANKED` of the top rung, so that a decision doesn't
cost more the longer a study runs.
"""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Sequence
from itertools import combinations, pairwise

from hpo_pipeline.errors import ConfigError
from hpo_pipeline.evaluation import Evaluation, Status
from hpo_pipeline.ranking import ByScore, MakeRanking
from hpo_pipeline.scheduler.asha import ASHA
from hpo_pipeline.scheduler.rungs import one_score_problems
from hpo_pipeline.searcher.trial_generator import TrialGenerator
from hpo_pipeline.trial import Decision, Job, StateChange

RANKED = 32
PERCENTILE = 0.9


class PASHA(ASHA):
    """Promotion ASHA whose highest rung rises as long as rankings are unstable. It compares trials by one score."""

    def __init__(
        self, trials: TrialGenerator, eta: int, min_resource: int, max_resource: int, ranking: MakeRanking = ByScore
    ) -> None:
        if problems := one_score_problems("PASHA", ranking):
            raise ConfigError(problems)
        super().__init__(trials, eta, min_resource, max_resource)
        self._limit = min(1, self._brackets[0].top)  # K_t
        self._curves: dict[int, list[float]] = {}
        self._on_top: list[tuple[float, int]] = []
        self._noise: dict[tuple[int, int], float | None] = {}

    def on_report(self, job: Job, evaluation: Evaluation) -> Decision:
        self._curves.setdefault(job.trial.id, []).append(evaluation.score)
        return super().on_report(job, evaluation)

    def on_result(self, job: Job, evaluation: Evaluation) -> Sequence[StateChange]:
        changes = super().on_result(job, evaluation)
        if job.rung == self._limit and evaluation.status is Status.OK and evaluation.is_feasible:
            own = (evaluation.score, job.trial.id)
            insort(self._on_top, own)
            is_ranked = own not in self._on_top[RANKED:]
            del self._on_top[RANKED:]
            # A trial that isn't ranked changes nothing: the others were stable, or the limit would have been raised.
            if is_ranked and self._limit < self._brackets[0].top and not self._is_stable():
                self._limit += 1
                self._on_top = []
                self._noise = {}
        return changes

    def _is_stable(self) -> bool:
        """Whether each trial of the top rung's ranking is, on the rung below, within ε of the one of that place."""
        at = self._brackets[0].resources[self._limit - 1] - 1
        below = {trial_id: self._curves[trial_id][at] for _, trial_id in self._on_top}
        places = sorted((score, trial_id) for trial_id, score in below.items())
        epsilon = self._epsilon()
        return all(
            trial_id == there or abs(below[trial_id] - score) <= epsilon
            for (_, trial_id), (score, there) in zip(self._on_top, places, strict=True)
        )

    def _epsilon(self) -> float:
        """The 90th percentile of the pairs' noise; 0 while no pair has crossed and crossed back."""
        pairs = list(combinations(sorted(trial_id for _, trial_id in self._on_top), 2))
        for first, second in pairs:
            if (first, second) not in self._noise:
                self._noise[first, second] = crossing_noise(self._curves[first], self._curves[second])
        noise = sorted(value for pair in pairs if (value := self._noise[pair]) is not None)
        return percentile(noise, PERCENTILE) if noise else 0.0

    def describe(self) -> str:
        resources = self._brackets[0].resources
        now = ", ".join(map(str, resources[: self._limit + 1]))
        return f"rungs at {now}, up to {resources[-1]} while the ranking is unstable; {super().describe()}"


def crossing_noise(first: Sequence[float], second: Sequence[float]) -> float | None:
    """How far apart two curves are at their last common point, if they cross and cross back before it; else None."""
    signs = [1 if a > b else -1 for a, b in zip(first, second, strict=False) if a != b]
    crossings = sum(a != b for a, b in pairwise(signs))
    if crossings < 2:
        return None
    last = min(len(first), len(second)) - 1
    return abs(first[last] - second[last])


def percentile(ordered: Sequence[float], q: float) -> float:
    """The `q`-quantile of ordered values, with linear interpolation between them."""
    place = q * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])
