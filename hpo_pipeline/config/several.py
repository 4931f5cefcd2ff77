"""Groups of which several options may be chosen, each at a key of its own: `metrics=[f1,auroc]` makes `metrics.auroc`.

Hydra would put their keys on top of each other, as those of one component. What an option is itself composed of stays
together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hydra.core.default_element import ResultDefault

_SEVERAL = ("tracker", "metrics")
_NAMED = "metrics"
"""Of these, the group of which a single option has a key of its own as well."""


def side_by_side(defaults: Sequence[ResultDefault], several: dict[str, list[str]]) -> list[ResultDefault]:
    """The parts of a config, the options of these groups at keys of their own (`metrics.f1`).

    Args:
        several: gets the options of these groups.
    """
    for group in _SEVERAL:
        defaults = _of_group(defaults, group, several)
    return list(defaults)


def _of_group(defaults: Sequence[ResultDefault], group: str, several: dict[str, list[str]]) -> Sequence[ResultDefault]:
    parts = {str(part.config_path): part for part in defaults if part.package == group}

    def option(part: ResultDefault) -> str:
        return option(parts[part.parent]) if part.parent in parts else str(part.config_path).rpartition("/")[2]

    options = list(dict.fromkeys(map(option, parts.values())))
    if options:
        several[group] = options
    if len(options) < (1 if group == _NAMED else 2):
        return defaults
    return [replace(part, package=f"{group}.{option(part)}") if part.package == group else part for part in defaults]
