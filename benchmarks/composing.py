"""A study's composed config for a benchmark, without a command line."""

from __future__ import annotations

import hydra
from omegaconf import OmegaConf

import hpo_pipeline.config  # noqa: F401 (it registers the root schemas)
from hpo_pipeline.config.command_line import CommandLine
from hpo_pipeline.config.composed import Composed


def composed(*overrides: str) -> Composed:
    """What `python tune.py <overrides>` hands on; `changes` and `choices`, which only commands need, are left out."""
    with hydra.initialize_config_module("hpo_pipeline.conf", version_base="1.3"):
        cfg = hydra.compose("tune", overrides=["hydra/job_logging=none", "name=benchmark", *overrides])
    config = OmegaConf.to_container(cfg, resolve=True)
    assert isinstance(config, dict)
    config = {str(key): value for key, value in config.items()} | {"choices": {}}
    return Composed(config=config, public=config, merge=None, typed=[], line=CommandLine(), changes={})
