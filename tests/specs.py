"""Trials as objectives are told of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hpo_pipeline.objective import TrialSpec


def trial_of(config: Mapping[str, Any], seed: int = 0) -> TrialSpec:
    return TrialSpec(config, seed, Path("trial"))
