"""From which level on trials' logs hold what their code logs, as Hydra's options set it.

hydra.verbose=true                               everything
hydra.verbose=[my_module]                        everything of one logger
hydra.job_logging.root.level=WARNING             less; INFO where nothing is said
+hydra.job_logging.loggers.my_module.level=…    of one logger
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from omegaconf import OmegaConf


def log_levels(hydra: Any) -> dict[str, str]:
    """Logger -> its level, "" for the root; INFO where nothing is said.

    Args:
        hydra: Hydra's own node; what isn't right in it, Hydra refuses.
    """
    node: Any = OmegaConf.to_container(hydra, resolve=False)
    verbose, configured = node["verbose"], node["job_logging"]
    root, loggers = (configured.get(key) if isinstance(configured, Mapping) else None for key in ("root", "loggers"))
    levels = {"": _level(root) or "INFO"}
    for name, given in loggers.items() if isinstance(loggers, Mapping) else ():
        if level := _level(given):
            levels[str(name)] = level
    if verbose is True:
        levels[""] = "DEBUG"
    names = [verbose] if isinstance(verbose, str) else verbose if isinstance(verbose, list) else []
    return levels | {str(name): "DEBUG" for name in names}


def _level(node: Any) -> str | None:
    level = node.get("level") if isinstance(node, Mapping) else None
    known = isinstance(level, str) and level in logging.getLevelNamesMapping()
    return level if known else None
