"""What a training's checkpoint may hold: tensors and plain data, and never code."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

from hpo_pipeline.errors import StudyError
from hpo_pipeline.objective import checkpoint

CPU = torch.device("cpu")


def content(resource: int = 3) -> dict[str, Any]:
    return {
        "model": {"weight": torch.arange(3.0)},
        "optimizer": {},
        "optimizer_config": {"lr": 0.1},
        "random_state": torch.get_rng_state(),
        "resource": resource,
    }


def test_what_was_written_is_read(tmp_path: Path):
    torch.save(content(), tmp_path / "checkpoint")
    found = checkpoint.read(tmp_path / "checkpoint", CPU)
    assert found["resource"] == 3
    assert torch.equal(found["model"]["weight"], torch.arange(3.0))


class Command:
    """Unpickled without care, it makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder),)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("form", ["torch", "pickle"])
def test_code_in_a_checkpoint_is_refused_and_not_run(tmp_path: Path, form: str):
    path, proof = tmp_path / "checkpoint", tmp_path / "proof"
    hostile = content() | {"model": Command(proof)}
    if form == "torch":
        torch.save(hostile, path)
    else:
        path.write_bytes(pickle.dumps(hostile))
    with pytest.raises(StudyError, match="checkpoint"):
        checkpoint.read(path, CPU)
    assert not proof.exists()


@pytest.mark.parametrize("kept", [0, 10, 500])
def test_a_file_that_was_cut_short_is_refused_by_its_name(tmp_path: Path, kept: int):
    path = tmp_path / "checkpoint"
    torch.save(content(), path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(StudyError, match=str(path)):
        checkpoint.read(path, CPU)


def test_a_file_of_another_kind_is_refused(tmp_path: Path):
    torch.save({"weights": torch.zeros(1)}, tmp_path / "other")
    with pytest.raises(StudyError, match="not a checkpoint of a trial"):
        checkpoint.read(tmp_path / "other", CPU)


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(StudyError, match="nowhere"):
        checkpoint.read(tmp_path / "nowhere", CPU)
