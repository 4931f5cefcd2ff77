"""Declarative, config-driven hyperparameter optimization. Nothing heavy is imported here."""

__version__ = "0.1.0"
