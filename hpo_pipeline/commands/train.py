"""`hpo train`: what `hpo-train` and `python train.py` do."""

from __future__ import annotations

import sys

import typer


def train(context: typer.Context) -> None:
    """Train once, or a trial of a study again: hpo train model=mlp."""
    from hpo_pipeline.config import train

    sys.argv = ["hpo", *context.args]
    train()
