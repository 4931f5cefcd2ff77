"""`hpo tune`: what `hpo-tune` and `python tune.py` do."""

from __future__ import annotations

import sys

import typer


def tune(context: typer.Context) -> None:
    """Run a study, or go on with one: hpo tune model=mlp n_trials=50."""
    from hpo_pipeline.config import tune

    sys.argv = ["hpo", *context.args]
    tune()
