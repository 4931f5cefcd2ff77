"""Which trials a pack trains together, and how many jobs it has: as measured, on copies of the trials.

An objective takes part that has `pack_key`, `advance_pack`, `pack_gain` and `pack_cost` (see
`objective/training.py`), and `advance_pack` must belong to its `advance`: a subclass that trains in another way
does so together only if it says how. For any other, and where measuring fails, trials are trained one by one.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

from hpo_pipeline.errors import describe
from hpo_pipeline.interrupt import pass_on
from hpo_pipeline.trial import Notice

WORTHWHILE = 1.05
"""Times as fast as one by one that trials together must have been measured to be."""

FIRST = 4
"""Jobs at once before the size of a pack was measured, and where it can't be."""


def why_not(objective: Any) -> str | None:
    """Why this objective's trials can't be trained together; None if they can.

    `advance_pack` counts where it is defined by the class that defines `advance`, or by a subclass of that one.
    """
    kind = type(objective)
    lacking = [name for name in ("pack_key", "advance_pack", "pack_gain", "pack_cost") if not hasattr(kind, name)]
    if lacking:
        return f"{kind.__name__} has no {lacking[0]}"
    for names, where in ((vars(objective), "the objective"), *((vars(cls), cls.__name__) for cls in kind.__mro__)):
        if "advance_pack" in names:
            return None
        if "advance" in names:
            return f"{where} has an advance of its own, and no advance_pack that goes with it"
    return f"{kind.__name__} has no advance"


class PackPolicy:
    """What a pack has found out about training its trials together.

    Args:
        size: jobs at once; None to measure (`settle`).
        sharing: packs that share the memory of one device.

    Attributes:
        size: jobs at once, as far as is known now.
        settled: whether that is final.
    """

    def __init__(self, size: int | None, sharing: int = 1) -> None:
        self.size = size or FIRST
        self.settled = size is not None
        self._sharing = sharing
        self._gains: dict[tuple[Hashable, int], float] = {}
        self._apart: set[Hashable] = set()
        self._most: int | None = None
        self._notices: list[Notice] = []
        self._said_slower = False
        self._said_why_not = False

    def notices(self) -> list[Notice]:
        """What people should be told, once."""
        told, self._notices = self._notices, []
        return told

    def key(self, objective: Any, state: Any) -> Hashable | None:
        """Equal for trials that can be trained together; None for one that is trained alone."""
        if self.size == 1 and self.settled:
            return None
        if (reason := why_not(objective)) is not None:
            # One that doesn't claim to train trials together needs no word.
            if not self._said_why_not and hasattr(objective, "advance_pack"):
                self._said_why_not = True
                self._say(f"trials go one by one: {reason}")
            return None
        key: Hashable | None = objective.pack_key(state)
        return key

    def together(self, objective: Any, key: Hashable, states: Sequence[Any]) -> int:
        """How many of these trials with one key to train together now, the first ones; 1 is one by one."""
        if key in self._apart or (self.settled and self.size == 1):
            return 1
        while (n := min(len(states), self._most or len(states))) > 1:
            try:
                worthwhile = self._gain(objective, key, states[:n]) >= WORTHWHILE
            except BaseException as error:
                pass_on(error)
                if _is_memory(error):
                    self._halve(n)
                    continue
                self._apart.add(key)
                self._say(f"trials go on one by one: measuring them together failed ({describe(error)})")
                return 1
            return n if worthwhile else 1
        return 1

    def _gain(self, objective: Any, key: Hashable, states: Sequence[Any]) -> float:
        """How many times as fast together as one by one; measured once for each kind and size of pack."""
        kind = key, len(states).bit_length()
        if kind not in self._gains:
            self._gains[kind] = objective.pack_gain(states)
            if self._gains[kind] < WORTHWHILE:
                self._say_slower(len(states))
        return self._gains[kind]

    def settle(self, objective: Any, groups: Sequence[tuple[Hashable | None, Sequence[Any]]]) -> None:
        """Measures what `size` is best, as soon as there are two trials of one kind.

        Where all places are taken and no two are of one kind, this can't be known beforehand.

        Args:
            groups: key and states of all trials in hand.
        """
        states = max((states for _, states in groups), key=len)
        if len(states) == 1:
            if len(groups) >= self.size:
                why = f"no two of the first {len(groups)} trials can be trained together"
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

    def failed(self, key: Hashable, n: int, error: BaseException) -> None:
        """So many trials raised together: fewer from now on if memory ran out, else those of their kind one by one."""
        if _is_memory(error):
            self._halve(n)
        else:
            self._apart.add(key)
            self._say(f"trials go on one by one: training them together failed ({describe(error)})")

    def _halve(self, n: int) -> None:
        self._most = n // 2
        self._say(f"not enough memory for {n} trials together: {self._most} from now on")

    def _say_slower(self, n: int) -> None:
        """Once, whatever the kind and number of trials: people should know that it happens."""
        if not self._said_slower:
            self._said_slower = True
            self._say(f"{n} trials together were slower than one by one when tried: such go one by one")

    def _say(self, text: str) -> None:
        self._notices.append(Notice(text))


def _is_memory(error: BaseException) -> bool:
    return "out of memory" in describe(error).lower() or isinstance(error, MemoryError)
