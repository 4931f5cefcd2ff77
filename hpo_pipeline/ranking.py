"""Which of several evaluations are better: the one interface through which schedulers compare trials."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from sortedcontainers import SortedList

from hpo_pipeline.evaluation import Evaluation, Metric


class Ranking(Protocol):
    """One evaluation each of several trials, best first: `ranking[0]` is the best one.

    Those whose status isn't OK come last. Ranks may change with every `add` and `remove`, not otherwise.
    """

    def add(self, evaluation: Evaluation) -> None:
        """Takes in the evaluation of a trial that isn't there."""

    def remove(self, trial_id: int) -> None: ...

    def rank(self, trial_id: int) -> int:
        """The trial's place, from 0."""

    def __getitem__(self, rank: int) -> Evaluation: ...

    def __len__(self) -> int: ...


MakeRanking = Callable[[], Ranking]
"""An empty ranking; schedulers make one for each set of trials that they compare."""


class ByScore:
    """By the score of the study's first metric, equal ones by trial id; O(log n) a call."""

    def __init__(self) -> None:
        self._order: SortedList[tuple[float, int]] = SortedList()
        self._evaluations: dict[int, Evaluation] = {}

    def add(self, evaluation: Evaluation) -> None:
        self._order.add((evaluation.score, evaluation.trial.id))
        self._evaluations[evaluation.trial.id] = evaluation

    def remove(self, trial_id: int) -> None:
        self._order.remove((self._evaluations.pop(trial_id).score, trial_id))

    def rank(self, trial_id: int) -> int:
        return int(self._order.bisect_left((self._evaluations[trial_id].score, trial_id)))

    def __getitem__(self, rank: int) -> Evaluation:
        return self._evaluations[self._order[rank][1]]

    def __len__(self) -> int:
        return len(self._order)


def ranking_of(metrics: Sequence[Metric]) -> MakeRanking:
    """How the trials of a study with these metrics are compared."""
    return ByScore
