"""A study's composed config for a benchmark, without a command line."""

from __future__ import annotations

import hydra
from hydra.core.hydra_config import HydraConfig

from hpo_pipeline.config import compose
from hpo_pipeline.config.composed import Composed


def composed(*overrides: str) -> Composed:
    """What `python tune.py <overrides>` hands on."""
    with hydra.initialize_config_module("hpo_pipeline.conf", version_base="1.3"):
        typed = ["hydra/job_logging=none", "name=benchmark", *overrides]
        cfg = hydra.compose("tune", overrides=typed, return_hydra_config=True)
        HydraConfig.instance().set_config(cfg)
        return compose(cfg)
