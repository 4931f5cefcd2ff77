"""The data that a study has used, as its folder tells: what MLflow calls dataset inputs."""

from __future__ import annotations

import json
from pathlib import Path

from hpo_pipeline.dataset.fingerprint import DataSplit
from hpo_pipeline.report.files import DATA

_DIGEST_LENGTH = 36


def data_splits(folder: Path) -> list[DataSplit]:
    """What `data.json` holds; nothing where there is none, or none that could be ours."""
    path = folder / DATA
    if path.is_symlink() or not path.is_file():
        return []
    try:
        found = [DataSplit(**split) for split in json.loads(path.read_bytes())]
    except (OSError, ValueError, TypeError, RecursionError):
        return []
    return [split for split in found if _is_right(split)]


def _is_right(split: DataSplit) -> bool:
    values = (split.context, split.digest, split.source)
    return all(isinstance(value, str) and value for value in values) and len(split.digest) <= _DIGEST_LENGTH
