"""Which trials are trained as one program, a pack, and how many jobs a process has: as measured, on copies of them.

An objective takes part that is a `SupportsPacks`, and its `advance_pack` must belong to its `advance`: a subclass that
trains in another way has packs only if it says how. For any other, and where measuring fails, trials go one by one.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

from hpo_pipeline.errors import describe
from hpo_pipeline.interrupt import pass_on
from hpo_pipeline.objective import SupportsPacks, SupportsWhyAlone
from hpo_pipeline.trial import Notice

WORTHWHILE = 1.05
"""Times as fast as one by one that a pack must have been measured to be."""

FIRST = 4
"""Jobs at once before the size of a pack was measured, and where it can't be."""


def own_advance(objective: SupportsPacks) -> str | None:
    """Where `advance` is defined anew without an `advance_pack` that goes with it; None if there is no such place.

    They go together where both are defined, or `advance_pack` by a subclass of the class that defines `advance`.
    """
    kind = type(objective)
    for names, where in ((vars(objective), "the objective"), *((vars(cls), cls.__name__) for cls in kind.__mro__)):
        if "advance_pack" in names:
            return None
        if "advance" in names:
            return where
    return None


class PackPolicy:
    """What a process has found out about packs of its trials.

    Args:
        size: jobs at once; None to measure (`settle`).
        sharing: processes with packs that share the memory of one device.

    Attributes:
        size: jobs at once, as far as is known now.
        settled: whether that is final.
    """

    def __init__(self, size: int | None, sharing: int = 1) -> None:
        self.size = size or FIRST
        self.settled = size is not None
        self._sharing = sharing
        self._gains: dict[tuple[Hashable, int], float] = {}
        self._refused: set[Hashable] = set()  # keys of which no pack could be trained
        self._most: int | None = None
        self._notices: list[Notice] = []
        self._said: set[str] = set()

    def notices(self) -> list[Notice]:
        """What the user should know, once."""
        notices, self._notices = self._notices, []
        return notices

    def key(self, objective: Any, state: Any) -> Hashable | None:
        """Equal for trials that can be in one pack; None for one that is trained alone."""
        if (self.size == 1 and self.settled) or not isinstance(objective, SupportsPacks):
            return None
        if where := own_advance(objective):
            why = f"{where} has an advance of its own, and no advance_pack that goes with it"
            self._say(f"trials go one by one: {why}", once="own advance")
            return None
        key = objective.pack_key(state)
        if key is None and isinstance(objective, SupportsWhyAlone):
            why = objective.why_alone(state)
            self._say(f"trials go one by one: {why}", once=why)
        return key

    def n_packed(self, objective: SupportsPacks, key: Hashable, states: Sequence[Any]) -> int:
        """How many of these trials with one key to train as a pack now, the first ones; 1 is one by one."""
        if key in self._refused or (self.settled and self.size == 1):
            return 1
        while (n := min(len(states), self._most or len(states))) > 1:
            try:
                return n if self._gain(objective, key, states[:n]) >= WORTHWHILE else 1
            except BaseException as error:
                pass_on(error)
                self.failed(key, n, "measuring", error)
                if key in self._refused:
                    return 1
        return 1

    def _gain(self, objective: SupportsPacks, key: Hashable, states: Sequence[Any]) -> float:
        """How many times as fast as one by one; measured once for each kind and size of pack."""
        kind = key, len(states).bit_length()
        if kind not in self._gains:
            self._gains[kind] = objective.pack_gain(states)
            if self._gains[kind] < WORTHWHILE:
                slower = f"a pack of {len(states)} trials was slower than one by one when tried"
                self._say(f"{slower}: such trials go one by one", once="slower")
        return self._gains[kind]

    def settle(self, objective: Any, groups: Sequence[tuple[Hashable | None, Sequence[Any]]]) -> None:
        """Measures what `size` is best, as soon as there are two trials with one key.

        Where all jobs are there and no two have one key, this can't be known beforehand.

        Args:
            groups: key and states of all trials in hand.
        """
        states = max((states for _, states in groups), key=len)
        if len(states) == 1:
            if len(groups) >= self.size:
                why = f"no two of the first {len(groups)} trials can be in one pack"
                self._settle(FIRST if any(key is not None for key, _ in groups) else 1, why)
            return
        try:
            cost = objective.pack_cost(states)
            size = cost.best_size(self._sharing)
            self._settle(size if cost.gain(size) >= WORTHWHILE else 1, cost.describe())
        except BaseException as error:
            pass_on(error)
            self._settle(FIRST, f"measuring a better size failed ({describe(error)})")

    def _settle(self, size: int, why: str) -> None:
        self.size, self.settled = size, True
        self._say(f"{'one by one' if size == 1 else f'packs of at most {size}'}: {why}")

    def failed(self, key: Hashable, n: int, doing: str, error: BaseException) -> None:
        """A pack of n trials raised: smaller ones from now on if memory ran out, else those of its key one by one."""
        if isinstance(error, MemoryError) or "out of memory" in describe(error).lower():
            self._most = n // 2
            self._say(f"not enough memory for a pack of {n} trials: at most {self._most} from now on")
        else:
            self._refused.add(key)
            self._say(f"trials go on one by one: {doing} a pack of them failed ({describe(error)})")

    def _say(self, text: str, once: str = "") -> None:
        """Adds a notice; the first of those with the same `once` alone."""
        if once not in self._said:
            self._notices.append(Notice(text))
            self._said |= {once} - {""}
