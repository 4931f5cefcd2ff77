"""Objectives evaluate configurations, one unit of resource at a time. The interface is here."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

Metrics = dict[str, float]


class Objective(Protocol):
    """Evaluates one configuration, and can save it, load it and go on.

        state = start(config, seed);  advance(state) -> {...};  save(state, path)
        state = load(path, config, seed);  advance(state) -> the same numbers as without the break

    Attributes:
        unit: what one unit of resource is called ("epoch").
        metrics: names of the metrics that `advance` returns in every trial, or () if they aren't known beforehand.
    """

    unit: str
    metrics: tuple[str, ...]

    def start(self, config: Mapping[str, Any], seed: int) -> Any:
        """The state of a new trial at resource 0.

        Args:
            config: the composed training config with the trial's values in it: nested, plain, resolved.
            seed: the trial's own seed (initial weights); `config["seed"]` is the study's (order of the data).
        """
        ...

    def advance(self, state: Any) -> Metrics:
        """Spends one more unit of resource on `state`, in place, and measures."""
        ...

    def save(self, state: Any, path: Path) -> None:
        """Writes all that `load` needs to the file `path`, which isn't there yet. Whoever calls keeps it whole."""
        ...

    def load(self, path: Path, config: Mapping[str, Any], seed: int) -> Any:
        """The state that was saved. The file may come from a stranger: nothing in it is executed."""
        ...


@runtime_checkable
class SupportsPacks(Protocol):
    """Can advance several trials as one program, a pack, to the same numbers as alone (`executor=fused`)."""

    def pack_key(self, state: Any) -> Hashable | None:
        """Equal for trials that can be in one pack; None for one that can only be trained alone."""
        ...

    def advance_pack(self, states: Sequence[Any]) -> list[Metrics]:
        """`advance` for trials with one `pack_key`, in their order."""
        ...

    def pack_gain(self, states: Sequence[Any]) -> float:
        """How many times as fast these trials are together as one by one, measured on copies."""
        ...

    def pack_cost(self, states: Sequence[Any]) -> Any:
        """What packs of trials like these cost by their size, measured on copies; see `packed`."""
        ...
