"""The config groups, importable as pkg://hpo_pipeline.conf, by any program that composes with Hydra."""

from hpo_pipeline.config import schema

schema.register()
