"""What the training objective reads of a checkpoint: weights, optimizer state, random state and resource, no code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from hpo_pipeline.errors import StudyError

KEYS = frozenset({"model", "optimizer", "optimizer_config", "random_state", "resource"})


def read(path: Path, device: torch.device) -> dict[str, Any]:
    """A trial's tensors, on `device`, and plain data under the names in `KEYS`. No code that is in there is run.

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
