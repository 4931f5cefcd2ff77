"""Which configurations of a search space have had a trial, so that none is proposed twice."""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterable

from hpo_pipeline.space import SearchSpace
from hpo_pipeline.trial import Config

PATIENCE = 10_000
"""Candidates that are looked at before the unseen configurations are enumerated (finite spaces) or one is repeated."""


class Seen:
    """The configurations that trials were started with."""

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        self._keys: set[Hashable] = set()

    def add(self, config: Config) -> None:
        self._keys.add(self._space.key(config))

    def __contains__(self, config: Config) -> bool:
        return self._space.key(config) in self._keys

    @property
    def exhausted(self) -> bool:
        """Whether every configuration of a finite space has been seen."""
        return self._space.size is not None and len(self._keys) >= self._space.size

    def first_unseen(self, candidates: Iterable[Config]) -> Config:
        """The first candidate that hasn't been seen, of an endless stream; a seen one only if there is no other."""
        candidates = iter(candidates)
        first = next(candidates)
        if self.exhausted or first not in self:
            return first
        for candidate in itertools.islice(candidates, PATIENCE):
            if candidate not in self:
                return candidate
        left = self._space.grid() if self._space.size is not None else iter(())
        return next((config for config in left if config not in self), first)
