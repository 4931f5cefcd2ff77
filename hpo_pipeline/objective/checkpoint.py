"""What the training objective reads of a checkpoint: weights, optimizer state, random state and resource, no code."""

from __future__ import annotations

import zipfile
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
        content = tensors(path, device)
    except Exception as error:  # a broken archive raises whatever its bytes lead to
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise unusable(path, f"can't be read ({reason})") from None
    if not isinstance(content, dict) or not content.keys() >= KEYS:
        raise unusable(path, "is not a checkpoint of a trial")
    return content


def tensors(path: Path, device: torch.device) -> Any:
    """Tensors, and plain data, that `torch.save` has written. A file takes the memory that it takes on the disk.

    Raises:
        Exception: whatever the bytes of a broken archive lead to.
    """
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
                raise ValueError("it is compressed, which torch.save never does")
    return torch.load(path, map_location=device, weights_only=True)


def unusable(path: Path, what: str) -> StudyError:
    return StudyError(f"{path}: {what}; remove it and run the trial again from its start")
