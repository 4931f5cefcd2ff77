"""CIFAR-10 from a small archive in its binary format: a label, then 1,024 bytes each of red, green and blue."""

import tarfile

import numpy as np
import pytest
import torch

from hpo_pipeline.dataset import checks
from hpo_pipeline.dataset.cifar10 import ARCHIVE, CIFAR10, FOLDER, TEST, TRAIN
from hpo_pipeline.errors import ConfigError, StudyError


def record(label, red, green, blue):
    return bytes([label]) + bytes([red]) * 1024 + bytes([green]) * 1024 + bytes([blue]) * 1024


def written(root, archive=False):
    """4 images in each of the 5 files for training, whose red is their number; 3 for the test."""
    folder = root / FOLDER
    folder.mkdir(parents=True)
    for i, name in enumerate(TRAIN):
        (folder / name).write_bytes(b"".join(record((4 * i + j) % 10, 4 * i + j, 51, 255) for j in range(4)))
    (folder / TEST[0]).write_bytes(b"".join(record(9, 255, 0, j) for j in range(3)))
    if archive:
        with tarfile.open(root / ARCHIVE, "w:gz") as packed:
            packed.add(folder, FOLDER)
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()
    return str(root)


@pytest.mark.parametrize("archive", [False, True])
def test_images_are_read_by_channels_and_split(tmp_path, archive):
    dataset = CIFAR10(written(tmp_path, archive), n_validation=5, download=False)
    dataset.available()
    splits = checks.load(dataset)
    assert [tuple(x.shape) for x in (splits.x_train, splits.x_validation)] == [(15, 3, 32, 32), (5, 3, 32, 32)]
    x, y = (torch.cat([getattr(splits, f"{name}_{part}") for part in ("train", "validation")]) for name in "xy")
    numbers = (x[:, 0, 0, 0] * 255).round().long()
    assert sorted(numbers.tolist()) == list(range(20))
    assert torch.equal(y, numbers % 10)
    assert torch.allclose(x[:, 1], torch.tensor(0.2))
    assert torch.equal(x[:, 2], torch.ones(20, 32, 32))
    x, y = checks.load_test(dataset, splits)
    assert y.tolist() == [9, 9, 9]
    assert torch.equal(x[:, 0], torch.ones(3, 32, 32))


def test_files_that_are_wrong_or_missing_are_told(tmp_path):
    with pytest.raises(StudyError, match=r"downloading is off \(dataset\.download=false\)"):
        CIFAR10(str(tmp_path / "none"), download=False).available()
    root = written(tmp_path)
    with pytest.raises(StudyError, match="20 training images, of which 20 are for validation"):
        CIFAR10(root, n_validation=20).load()
    (tmp_path / FOLDER / TRAIN[2]).write_bytes(b"short")
    with pytest.raises(StudyError, match="no whole number of images of 3073 bytes"):
        CIFAR10(root).load()
    (tmp_path / FOLDER / TRAIN[2]).unlink()
    with pytest.raises(StudyError, match=r"cifar-10-batches-bin: can't be read"):
        CIFAR10(root).load()


def test_pickled_files_that_are_not_the_originals_are_not_loaded(tmp_path):
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    trap = tmp_path / "sprung"
    for name in [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch", "batches.meta"]:
        (folder / name).write_bytes(b"cos\nsystem\n(S'touch " + str(trap).encode() + b"'\ntR.")
    with pytest.raises(StudyError, match="Dataset not found or corrupted"):
        CIFAR10(str(tmp_path), download=False).load()
    assert not trap.exists()


def test_arguments_that_are_wrong_are_refused():
    for arguments in ({"n_validation": 0}, {"n_validation": 50_000}, {"root": 3}, {"download": "no"}):
        with pytest.raises(ConfigError) as error:
            CIFAR10(**arguments)
        assert [problem.path for problem in error.value.problems] == list(arguments)


def test_the_dataset_says_beforehand_what_a_model_needs_to_know():
    assert CIFAR10.input_shape == (3, 32, 32)
    assert str(CIFAR10.task) == "classification task (n_outputs 10)"
    assert np.prod(CIFAR10.input_shape) == 3072
