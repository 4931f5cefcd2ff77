"""Probes: trials that begin above the lowest rung, and tell whether that rung is right about the others.

Early stopping goes wrong where the first epochs say little of the last ones (slow starters, noise, reinforcement
learning). One trial in `every` is a probe and begins on the second rung. Pairs of trials beyond the first rung, one of
them a probe, are compared: do they stand in the same order on the first rung and on the highest one that both reached?

    confidence = (agreeing pairs + 1.6) / (pairs + 2)        a tie counts a half

As long as that is below 0.75, two trials in five are probes, and every fourth probe begins on the third rung. It is
judged anew with each result above the first rung. Compared are the latest trials alone, so that a decision doesn't cost
more the longer a study runs. (This rule comes from no paper.)
"""

from __future__ import annotations

from collections import deque

DOUBTFUL = 0.75
SHARE_IN_DOUBT = (2, 5)
DEEPER = 4
LATEST_PROBES, LATEST_TRIALS = 50, 250


class Probes:
    """Which trials are probes, and how far the first rung is to be trusted.

    Args:
        every: one trial in so many is a probe.
    """

    def __init__(self, every: int) -> None:
        self._every = every
        self._probes: set[int] = set()
        self._scores: dict[int, list[float]] = {}
        """Trial id -> its scores on the rungs, from the first one up."""
        self._recent: deque[int] = deque(maxlen=LATEST_TRIALS)
        self._agreements: dict[int, dict[int, float]] = {}
        """Probe -> another trial -> 1 if they agree, 0 if they don't; the latest probes beyond the first rung."""
        self._pairs = 0
        self._agreeing = 0.0

    @property
    def confidence(self) -> float:
        """How likely the first rung is to order two trials as later ones do."""
        return (self._agreeing + 1.6) / (self._pairs + 2)

    @property
    def in_doubt(self) -> bool:
        """Whether the first rung is not to be trusted."""
        return len(self._agreements) >= 2 and self.confidence < DOUBTFUL

    def describe(self) -> str:
        part, whole = SHARE_IN_DOUBT
        return (
            f"one trial in {self._every} begins on the second rung; {part} in {whole}, some of them on the third one, "
            "while those show that the first rung misleads"
        )

    def first_rung(self, trial_id: int) -> int:
        """Where the trial of this number is to begin, as things stand."""
        part, whole = SHARE_IN_DOUBT if self.in_doubt else (1, self._every)
        if (trial_id + 1) * part // whole == trial_id * part // whole:
            return 0
        return 2 if self.in_doubt and (len(self._probes) + 1) % DEEPER == 0 else 1

    def begins(self, trial_id: int) -> None:
        """The trial is a probe, and begins."""
        self._probes.add(trial_id)

    def reached(self, trial_id: int, rung: int, score: float) -> None:
        """A trial has a score on a rung; each trial goes through them from the first one up."""
        scores = self._scores.setdefault(trial_id, [])
        scores.append(score)
        if rung == 0:
            return
        is_probe = trial_id in self._probes
        if rung == 1:
            self._recent.append(trial_id)
            if is_probe:
                self._judge(trial_id)
        for other in list(self._recent if is_probe else self._agreements):
            theirs = self._scores[other]
            if other != trial_id and len(theirs) > rung:
                self._note(trial_id, other, _agreement(scores[0], theirs[0], score, theirs[rung]))

    def _judge(self, probe: int) -> None:
        """Compares this probe from now on, and the earliest one no longer if there are too many."""
        self._agreements[probe] = {}
        if len(self._agreements) > LATEST_PROBES:
            dropped = self._agreements.pop(next(iter(self._agreements)))
            self._pairs -= len(dropped)
            self._agreeing -= sum(dropped.values())

    def _note(self, first: int, second: int, agreement: float) -> None:
        probe, other = sorted((first, second), key=lambda trial_id: (trial_id not in self._agreements, trial_id))
        if (known := self._agreements.get(probe)) is not None:
            self._pairs += other not in known
            self._agreeing += agreement - known.get(other, 0.0)
            known[other] = agreement


def _agreement(first: float, second: float, later_first: float, later_second: float) -> float:
    """1 if two trials stand in the same order at both times, 0 if not, 1/2 where they tie."""
    before, after = (first > second) - (first < second), (later_first > later_second) - (later_first < later_second)
    return 0.5 if before == 0 or after == 0 else float(before == after)
