"""The config groups, importable as pkg://hpo_pipeline.conf."""
