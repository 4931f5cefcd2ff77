"""Which of several evaluations are better: the one interface through which schedulers compare trials."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from sortedcontainers import SortedList

from hpo_pipeline import pareto
from hpo_pipeline.evaluation import Evaluation, Metric, Status


class Ranking(Protocol):
    """One evaluation each of several trials, best first: `ranking[0]` is the best one.

    Those that violate the study's constraints come behind all that don't, by how much they do. Those whose status isn't
    OK come last. Ranks may change with every `add` and `remove`, not otherwise.
    """

    def add(self, evaluation: Evaluation) -> None:
        """Takes in the evaluation of a trial that isn't there."""

    def remove(self, trial_id: int) -> None: ...

    def rank(self, trial_id: int) -> int:
        """The trial's place, from 0."""

    def least_rank(self, trial_id: int) -> int:
        """A place that the trial will never be before, whatever is added."""

    def part(self) -> Ranking:
        """An empty ranking for some of these trials: in the order that they have here."""

    def __getitem__(self, rank: int) -> Evaluation: ...

    def __len__(self) -> int: ...


MakeRanking = Callable[[], Ranking]
"""An empty ranking; schedulers make one for each set of trials that they compare."""

_Entry = tuple[bool, float, float, int, Evaluation]
"""What is not OK last, by violation, by score, by trial id; those differ, so evaluations are never compared."""


class ByScore:
    """By the score of the study's first metric, equal ones by trial id; O(log n) a call."""

    def __init__(self, entries: dict[int, _Entry] | None = None) -> None:
        self._order: SortedList[_Entry] = SortedList()
        self._is_part = entries is not None
        self._entries: dict[int, _Entry] = {} if entries is None else entries
        """By trial id; a part has those of the whole."""

    def add(self, evaluation: Evaluation) -> None:
        if not self._is_part:
            self._entries[evaluation.trial.id] = _entry(evaluation)
        self._order.add(self._entries[evaluation.trial.id])

    def remove(self, trial_id: int) -> None:
        self._order.remove(self._entries[trial_id])
        if not self._is_part:
            del self._entries[trial_id]

    def rank(self, trial_id: int) -> int:
        return int(self._order.bisect_left(self._entries[trial_id]))

    least_rank = rank

    def part(self) -> ByScore:
        return ByScore(self._entries)

    def __getitem__(self, rank: int) -> Evaluation:
        evaluation: Evaluation = self._order[rank][-1]
        return evaluation

    def __len__(self) -> int:
        return len(self._order)


def _entry(evaluation: Evaluation) -> _Entry:
    is_ok = evaluation.status is Status.OK
    violation = evaluation.violation if is_ok else 0.0
    return not is_ok, violation, evaluation.score, evaluation.trial.id, evaluation


class NonDominated:
    """By the layers and hypervolume contributions of pareto.py, equal ones by trial id.

    The order is found anew after each change, when it is asked for: O(n log n) with two metrics, a few ms for 1,000
    trials. As contributions depend on the others, a new trial can move an old one forward within its layer.
    """

    def __init__(self) -> None:
        self._evaluations: dict[int, Evaluation] = {}
        self._ids: list[int] | None = None
        self._ranks: dict[int, int] = {}
        self.version = 0

    def add(self, evaluation: Evaluation) -> None:
        self._evaluations[evaluation.trial.id] = evaluation
        self._ids = None
        self.version += 1

    def remove(self, trial_id: int) -> None:
        del self._evaluations[trial_id]
        self._ids = None
        self.version += 1

    def ids(self) -> list[int]:
        """The trials, best first."""
        if self._ids is None:
            self._ids = [evaluation.trial.id for evaluation in best_first(self._evaluations.values())]
            self._ranks = {trial_id: rank for rank, trial_id in enumerate(self._ids)}
        return self._ids

    def rank(self, trial_id: int) -> int:
        self.ids()
        return self._ranks[trial_id]

    def least_rank(self, trial_id: int) -> int:
        """How many dominate it: those always come before it, and a new one changes nothing in that."""
        own, rank = self._evaluations[trial_id], self.rank(trial_id)
        return sum(_is_before(self._evaluations[other], own) for other in self.ids()[:rank])

    def part(self) -> _Part:
        return _Part(self)

    def __getitem__(self, rank: int) -> Evaluation:
        return self._evaluations[self.ids()[rank]]

    def __len__(self) -> int:
        return len(self._evaluations)


class _Part:
    """Some of the trials of a ranking whose order depends on all of them."""

    def __init__(self, whole: NonDominated) -> None:
        self._whole = whole
        self._members: set[int] = set()
        self._ids: list[int] = []
        self._version = -1

    def add(self, evaluation: Evaluation) -> None:
        self._members.add(evaluation.trial.id)
        self._version = -1

    def remove(self, trial_id: int) -> None:
        self._members.remove(trial_id)
        self._version = -1

    def _ordered(self) -> list[int]:
        if self._version != self._whole.version:
            members, version = self._members, self._whole.version
            self._ids, self._version = [i for i in self._whole.ids() if i in members], version
        return self._ids

    def rank(self, trial_id: int) -> int:
        return self._ordered().index(trial_id)

    def least_rank(self, trial_id: int) -> int:
        return 0

    def part(self) -> _Part:
        return _Part(self._whole)

    def __getitem__(self, rank: int) -> Evaluation:
        return self._whole[self._whole.rank(self._ordered()[rank])]

    def __len__(self) -> int:
        return len(self._members)


def best_first(evaluations: Iterable[Evaluation]) -> list[Evaluation]:
    """Evaluations of several metrics: the feasible ones by pareto.py, the others by violation, what isn't OK last."""
    by_id = sorted(evaluations, key=lambda evaluation: evaluation.trial.id)
    ok = [evaluation for evaluation in by_id if evaluation.status is Status.OK]
    feasible = [evaluation for evaluation in ok if evaluation.violation == 0]
    others = [evaluation for evaluation in ok if evaluation.violation > 0]
    order = pareto.order([evaluation.scores for evaluation in feasible])
    return [
        *(feasible[i] for i in order),
        *sorted(others, key=lambda evaluation: evaluation.violation),
        *(evaluation for evaluation in by_id if evaluation.status is not Status.OK),
    ]


def _is_before(first: Evaluation, second: Evaluation) -> bool:
    """Whether `first` is better than `second` whatever others there are."""
    if first.status is not Status.OK or second.status is not Status.OK:
        return first.status is Status.OK
    if second.is_feasible:
        return first.is_feasible and pareto.dominates(first.scores, second.scores)
    return first.violation < second.violation


def ranking_of(metrics: Sequence[Metric]) -> MakeRanking:
    """How the trials of a study with these metrics are compared."""
    return ByScore if len(metrics) == 1 else NonDominated
