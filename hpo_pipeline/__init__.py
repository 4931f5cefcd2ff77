"""Declarative, config-driven hyperparameter optimization. Nothing heavy is imported before it is used.

from hpo_pipeline import compose, tune, train, load_study, load_model, compare
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hpo_pipeline.comparison import Comparison as Comparison
    from hpo_pipeline.comparison import compare as compare
    from hpo_pipeline.objective.kept_model import load_model as load_model
    from hpo_pipeline.python import compose as compose
    from hpo_pipeline.python import train as train
    from hpo_pipeline.python import tune as tune
    from hpo_pipeline.saved_study import Study as Study
    from hpo_pipeline.saved_study import load_study as load_study

__version__ = "0.1.0"

_HOMES = {
    "Comparison": "comparison",
    "Study": "saved_study",
    "compare": "comparison",
    "compose": "python",
    "load_model": "objective.kept_model",
    "load_study": "saved_study",
    "train": "python",
    "tune": "python",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
