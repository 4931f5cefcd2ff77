"""Datasets in idx files: where they are looked for, how they are split, what is said when they are not there.

A dataset of six training and two test images of 2 x 2 pixels stands for the large ones.
"""

from __future__ import annotations

import gzip
import sys
import threading
import types
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from hpo_pipeline.dataset.fashion_mnist import FashionMNIST
from hpo_pipeline.dataset.images import FILES, IdxImages
from hpo_pipeline.dataset.mnist import MNIST
from hpo_pipeline.errors import ConfigError, StudyError

TRAIN_LABELS = (1, 0, 1, 1, 0, 0)


class Tiny(IdxImages):
    title = "Tiny"
    package = "tiny"
    first_labels = TRAIN_LABELS[:3]
    input_shape = (1, 2, 2)
    n_train = 6
    n_test = 2
    n_classes = 2


class Other(Tiny):
    title = "Other"
    first_labels = (0, 0, 0)


def idx(*shape: int, data: bytes) -> bytes:
    return bytes([0, 0, 8, len(shape)]) + b"".join(n.to_bytes(4, "big") for n in shape) + data


def content() -> dict[str, bytes]:
    """Every pixel of training image i has the value 10 i; those of test image i have the value 255."""
    images = bytes(10 * i for i in range(6) for _ in range(4))
    parts = (
        idx(6, 2, 2, data=images),
        idx(6, data=bytes(TRAIN_LABELS)),
        idx(2, 2, 2, data=b"\xff" * 8),
        idx(2, data=bytes([1, 0])),
    )
    return dict(zip(FILES, parts, strict=True))


def put(folder: Path, *, compressed: bool = True) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in content().items():
        if compressed:
            (folder / f"{name}.gz").write_bytes(gzip.compress(data))
        else:
            (folder / name).write_bytes(data)


def tiny(root: Path, **arguments: object) -> Tiny:
    return Tiny(**{"root": str(root), "n_validation": 2, "download": False, **arguments})


@pytest.mark.parametrize("below", [".", "tiny", "Tiny/raw", "usr/share/datasets/tiny"])
@pytest.mark.parametrize("compressed", [True, False])
def test_finds_its_files_in_root_and_in_the_folders_made_by_torchvision_and_dpkg(
    tmp_path: Path, below: str, compressed: bool
):
    put(tmp_path / below, compressed=compressed)
    dataset = tiny(tmp_path)
    dataset.available()
    assert len(dataset.load().y_train) == 4


def test_finds_its_files_on_the_search_path(tmp_path: Path):
    put(tmp_path / "elsewhere")
    dataset = tiny(tmp_path / "root", search_path=[str(tmp_path / "nowhere"), str(tmp_path / "elsewhere")])
    assert len(dataset.load().y_train) == 4


def test_splits_are_disjoint_and_complete_and_keep_each_image_with_its_label(tmp_path: Path):
    put(tmp_path)
    splits = tiny(tmp_path).load()
    x, y = torch.cat([splits.x_train, splits.x_validation]), torch.cat([splits.y_train, splits.y_validation])
    index = (x[:, 0, 0, 0] * 255 / 10).round().long()
    assert splits.x_train.shape == (4, 1, 2, 2)
    assert splits.input_shape == (1, 2, 2)
    assert splits.x_validation.shape == (2, 1, 2, 2)
    assert sorted(index.tolist()) == [0, 1, 2, 3, 4, 5]
    assert y.tolist() == [TRAIN_LABELS[i] for i in index]
    assert (x.dtype, y.dtype) == (torch.float32, torch.int64)


def test_split_depends_on_its_seed_alone(tmp_path: Path):
    put(tmp_path)
    first, same, others = (tiny(tmp_path, split_seed=seed).load().x_validation for seed in (0, 0, 1))
    assert torch.equal(first, same)
    assert any(not torch.equal(first, tiny(tmp_path, split_seed=seed).load().x_validation) for seed in range(1, 9))
    assert others.shape == first.shape


def test_test_images_are_scaled_to_one(tmp_path: Path):
    put(tmp_path)
    x, y = tiny(tmp_path).load_test()
    assert torch.equal(x, torch.ones(2, 1, 2, 2))
    assert y.tolist() == [1, 0]


def test_files_of_another_dataset_under_the_same_names_are_refused(tmp_path: Path):
    put(tmp_path)
    with pytest.raises(StudyError, match="not the labels of Other"):
        Other(root=str(tmp_path), n_validation=2, download=False).load()


def test_missing_data_is_one_error_with_every_folder_and_both_ways_out(tmp_path: Path):
    with pytest.raises(StudyError) as raised:
        tiny(tmp_path / "root", search_path=[str(tmp_path / "shared")]).available()
    message = str(raised.value)
    for said in (*FILES, str(tmp_path / "root"), str(tmp_path / "shared"), "dataset=digits", "dataset.download=false"):
        assert said in message


def test_three_of_four_files_are_not_enough(tmp_path: Path):
    put(tmp_path)
    (tmp_path / f"{FILES[3]}.gz").unlink()
    with pytest.raises(StudyError):
        tiny(tmp_path).available()


@pytest.fixture
def torchvision(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """torchvision's place, without a network behind it."""
    module = types.ModuleType("torchvision.datasets")
    monkeypatch.setitem(sys.modules, "torchvision.datasets", module)
    return module


def test_a_failed_download_is_part_of_the_error_and_leaves_nothing(tmp_path: Path, torchvision: types.ModuleType):
    def fails(root: str, download: bool) -> None:
        put(Path(root, "Tiny", "raw"))
        raise RuntimeError("connection refused")

    torchvision.Tiny = fails  # type: ignore[attr-defined]
    with pytest.raises(StudyError, match="connection refused"):
        tiny(tmp_path, download=True).available()
    assert not list(tmp_path.rglob("*.gz"))


def test_what_was_downloaded_is_found_again_without_a_download(tmp_path: Path, torchvision: types.ModuleType):
    calls = []

    def downloads(root: str, download: bool) -> None:
        calls.append(root)
        put(Path(root, "Tiny", "raw"))

    torchvision.Tiny = downloads  # type: ignore[attr-defined]
    tiny(tmp_path, download=True).available()
    assert len(tiny(tmp_path, download=True).load().y_train) == 4
    assert len(calls) == 1


def test_of_two_that_ask_at_once_one_downloads_and_both_find_the_data(tmp_path: Path, torchvision: types.ModuleType):
    calls, second_is_asking = [], threading.Event()

    def downloads(root: str, download: bool) -> None:
        calls.append(root)
        second_is_asking.wait(timeout=10)
        put(Path(root, "Tiny", "raw"))

    def asks_second() -> int:
        second_is_asking.set()
        return len(tiny(tmp_path, download=True).load().y_train)

    torchvision.Tiny = downloads  # type: ignore[attr-defined]
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(lambda: len(tiny(tmp_path, download=True).load().y_train))
        second = pool.submit(asks_second)
        assert (first.result(), second.result()) == (4, 4)
    assert len(calls) == 1


def test_wrong_arguments_are_listed_at_once(tmp_path: Path):
    with pytest.raises(ConfigError) as raised:
        FashionMNIST(root="", search_path="data", n_validation=60_000, split_seed=-1, download="no")  # type: ignore[arg-type]
    keys = {line.partition(":")[0] for line in raised.value.lines}
    assert keys == {"root", "search_path", "n_validation", "split_seed", "download"}


@pytest.mark.parametrize(
    "dataset", [FashionMNIST(download=False), MNIST(download=False)], ids=["FashionMNIST", "MNIST"]
)
def test_the_real_files_give_50000_training_10000_validation_and_10000_test_images(dataset: IdxImages):
    try:
        dataset.available()
    except StudyError:
        pytest.skip(f"{dataset.title} is not in ./data")
    splits, (x, y) = dataset.load(), dataset.load_test()
    assert (len(splits.y_train), len(splits.y_validation), len(y)) == (50_000, 10_000, 10_000)
    assert splits.x_train.shape == (50_000, 1, 28, 28)
    assert (splits.x_train.min(), splits.x_train.max()) == (0, 1)
    # Balanced by construction in FashionMNIST, nearly so in MNIST.
    assert torch.bincount(torch.cat([splits.y_train, splits.y_validation])).min() > 5_000
    assert len(x) == 10_000
