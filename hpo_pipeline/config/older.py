"""Keys of older versions: what became of each. A saved config, or an experiment, that has one runs, and says so.

This is the one place to note that a key was renamed or removed. What was typed is refused, with the same words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig, OmegaConf

from hpo_pipeline.report.command import hydra_value


@dataclass(frozen=True, slots=True)
class Older:
    """One key that there is no more.

    Attributes:
        path: where it stood in the config.
        now: where what it said stands now; None where nothing needs it.
        why: why nothing does.
        target: the `_target_` beside it, where other options of the group have, or had, such a key.
        value: from the old value to the new one.
    """

    path: str
    now: str | None = None
    why: str = ""
    target: str | None = None
    value: Callable[[Any], Any] = lambda value: value

    @property
    def became(self) -> str:
        """For people."""
        return f"it is {self.now} now" if self.now else f"it was removed: {self.why}"


OLDER = (
    Older(
        "searcher.n_startup",
        why="CMA-ES draws its first generation from its own distribution",
        target="hpo_pipeline.searcher.cmaes.CMAES",
    ),
)
"""Every key that a version had and this one hasn't."""


def became(path: str, target: str | None = None) -> str:
    """`; it is x.y now`, of a key of an older version, else nothing.

    Args:
        target: the `_target_` of the group.
    """
    found = next((old for old in OLDER if old.path == path and old.target in (None, target)), None)
    return f"; {found.became}" if found else ""


def brought_up_to_date(config: DictConfig) -> list[str]:
    """Puts what keys of older versions say where it stands now, in place; returns a line for each."""
    return list(_lines(config))


def _lines(config: DictConfig) -> Iterator[str]:
    for old in OLDER:
        parent, _, key = old.path.rpartition(".")
        node = OmegaConf.select(config, parent) if parent else config
        if not isinstance(node, DictConfig) or key not in node:
            continue
        if old.target is not None and node.get("_target_") != old.target:
            continue
        written = OmegaConf.to_container(node, resolve=False)[key]  # type: ignore[index, call-overload]
        OmegaConf.set_struct(config, False)
        OmegaConf.set_struct(node, False)
        del node[key]
        said = f"{old.path}={hydra_value(written)} is of an older version: {old.became}"
        if old.now is not None:
            is_reference = isinstance(written, str) and "${" in written
            value = written if is_reference else old.value(written)
            OmegaConf.update(config, old.now, value, force_add=True)
            said += f", {hydra_value(value)}" if value != written else ""
        yield said
