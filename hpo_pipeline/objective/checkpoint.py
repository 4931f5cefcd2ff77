"""Checkpoints: a trial's weights, optimizer state, random state and resource, written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from hpo_pipeline.errors import StudyError

KEYS = frozenset({"model", "optimizer", "optimizer_config", "random_state", "resource"})


def write(path: Path, content: dict[str, Any]) -> None:
    """Replaces the file `path` in one step: a reader finds the old checkpoint or the new one, never half of one.

    Args:
        path: where to.
        content: tensors and plain data under the names in `KEYS`.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        torch.save(content, aside)
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


def read(path: Path, device: torch.device) -> dict[str, Any]:
    """What `write` has written, its tensors on `device`. Only tensors and plain data are unpacked, no code is run.

    Raises:
        StudyError: the file is missing, cut short, or no checkpoint.
    """
    try:
        content = torch.load(path, map_location=device, weights_only=True)
    except Exception as error:  # a broken archive raises whatever its bytes lead to
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise unusable(path, f"can't be read ({reason})") from None
    if not isinstance(content, dict) or not content.keys() >= KEYS:
        raise unusable(path, "is not a checkpoint of a trial")
    return content


def unusable(path: Path, what: str) -> StudyError:
    return StudyError(f"{path}: {what}; remove it and run the trial again from its start")
