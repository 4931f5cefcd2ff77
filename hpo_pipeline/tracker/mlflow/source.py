"""Where a run comes from, as MLflow's own tags: its table shows them, and links the commit."""

from __future__ import annotations

import getpass
import shlex
from pathlib import Path

from hpo_pipeline.environment import git_commit


def source_tags(command: str) -> dict[str, str]:
    """User, program and git commit.

    Args:
        command: the command line that runs the same again.
    """
    try:
        user = getpass.getuser()
    except (OSError, KeyError, ImportError):
        user = "unknown"
    program = program_of(command)
    tags = {"mlflow.user": user, "mlflow.source.type": "LOCAL", "mlflow.source.name": program}
    if commit := git_commit(Path(program).parent):
        tags["mlflow.source.git.commit"] = commit
    return tags


def program_of(command: str) -> str:
    """`python lab/tune.py name=s` -> `lab/tune.py`; `hpo-tune name=s` -> `hpo-tune`."""
    try:
        words = shlex.split(command)
    except ValueError:
        words = command.split()
    return words[1] if words[:1] == ["python"] and len(words) > 1 else words[0] if words else "hpo-tune"
