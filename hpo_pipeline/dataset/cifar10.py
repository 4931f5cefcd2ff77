"""CIFAR-10: 60,000 colour photographs of 10 kinds of things (Krizhevsky 2009).

Two formats are read: the binary one, which is a label and 3 x 1,024 bytes an image, and torchvision's. The latter is
pickled; so it is read only by torchvision itself, which makes sure by checksums that the files are the original's.
"""

from __future__ import annotations

import importlib
import tarfile
from pathlib import Path

import filelock
import numpy as np
import numpy.typing as npt
import torch

from hpo_pipeline.checks import boolean_problems
from hpo_pipeline.dataset import Splits
from hpo_pipeline.dataset.images import check_split
from hpo_pipeline.dataset.task import Task
from hpo_pipeline.errors import ConfigError, Problem, StudyError
from hpo_pipeline.seeding import generator

TRAIN = tuple(f"data_batch_{i}.bin" for i in range(1, 6))
TEST = ("test_batch.bin",)
FOLDER, ARCHIVE = "cifar-10-batches-bin", "cifar-10-binary.tar.gz"
TORCHVISIONS = "cifar-10-batches-py"
_IMAGE = 3 * 32 * 32
_N_TRAIN = 50_000

Bytes = npt.NDArray[np.uint8]


class CIFAR10:
    """45,000 images for training, 5,000 for validation, 10,000 for the final test, each `(3, 32, 32)` in [0, 1].

    Looked for in `root`: the folder cifar-10-batches-bin, the archive cifar-10-binary.tar.gz, what torchvision has
    downloaded; then torchvision downloads it.

    Args:
        root: the data folder; `~` is the home folder.
        n_validation: how many of the training images are kept for validation.
        split_seed: which ones.
        download: whether torchvision may download them.
    """

    input_shape = (3, 32, 32)
    task = Task("classification", 10)

    def __init__(
        self, root: str = "data", n_validation: int = 5000, split_seed: int = 0, download: bool = True
    ) -> None:
        problems = check_split(_N_TRAIN, n_validation, split_seed) + boolean_problems(download=download)
        if not isinstance(root, str) or not root:
            problems.append(Problem("root", "must be the path of a folder", root))
        if problems:
            raise ConfigError(problems)
        self.root = Path(root).expanduser()
        self.n_validation = n_validation
        self.split_seed = split_seed
        self.download = download

    def available(self) -> None:
        if not self._has_binary():
            self._torchvisions(train=True)

    def load(self) -> Splits:
        images, labels = self._read(TRAIN)
        if len(images) <= self.n_validation:
            what = f"{len(images)} training images, of which {self.n_validation} are for validation"
            raise StudyError(f"{self.root}: {what}; lower dataset.n_validation")
        order = generator(self.split_seed, "split").permutation(len(images))
        train, validation = order[self.n_validation :], order[: self.n_validation]
        tensors = *_tensors(images[train], labels[train]), *_tensors(images[validation], labels[validation])
        return Splits(*tensors, task=self.task)

    def load_test(self) -> tuple[torch.Tensor, torch.Tensor]:
        return _tensors(*self._read(TEST))

    def sources(self) -> list[Path]:
        there = (self.root / name for name in (FOLDER, ARCHIVE, TORCHVISIONS))
        return [path for path in there if path.exists()][:1]

    def _has_binary(self) -> bool:
        return (self.root / FOLDER).is_dir() or (self.root / ARCHIVE).is_file()

    def _read(self, names: tuple[str, ...]) -> tuple[Bytes, Bytes]:
        """Images `(n, 3, 32, 32)` and labels `(n,)`."""
        if not self._has_binary():
            return self._torchvisions(train=names == TRAIN)
        folder = self.root / FOLDER
        try:
            if folder.is_dir():
                parts = [(folder / name).read_bytes() for name in names]
            else:
                with tarfile.open(self.root / ARCHIVE) as archive:
                    files = [archive.extractfile(f"{FOLDER}/{name}") for name in names]
                    parts = [file.read() for file in files if file is not None]
        except (OSError, EOFError, KeyError, tarfile.TarError) as error:
            where = folder if folder.is_dir() else self.root / ARCHIVE
            raise StudyError(f"{where}: can't be read ({error}); remove it or replace it by the original") from None
        content = np.frombuffer(b"".join(parts), np.uint8)
        if not len(content) or len(content) % (1 + _IMAGE):
            what = f"{', '.join(names)} are {len(content)} bytes long, no whole number of images of {1 + _IMAGE} bytes"
            raise StudyError(f"{self.root}: {what}; replace them by the original")
        rows = content.reshape(-1, 1 + _IMAGE)
        return rows[:, 1:].reshape(-1, *self.input_shape), rows[:, 0]

    def _torchvisions(self, *, train: bool) -> tuple[Bytes, Bytes]:
        cifar10 = importlib.import_module("torchvision.datasets").CIFAR10
        failure = "downloading is off (dataset.download=false)"
        try:
            if self.download:
                self.root.mkdir(parents=True, exist_ok=True)
            if self.download or (self.root / TORCHVISIONS).is_dir():
                with filelock.FileLock(self.root / ".cifar10.lock"):
                    found = cifar10(str(self.root), train=train, download=self.download)
                return np.ascontiguousarray(found.data.transpose(0, 3, 1, 2)), np.array(found.targets, np.uint8)
        except (OSError, RuntimeError, ImportError) as error:
            failure = " ".join(str(error).split()) or type(error).__name__
        where = f"{FOLDER}, {ARCHIVE} and {TORCHVISIONS} in {self.root.absolute()}"
        raise StudyError(
            f"CIFAR10: no data.\nLooked for {where}; {failure}.\n"
            "Put one of them there, or use dataset=digits, which needs no files."
        )


def _tensors(images: Bytes, labels: Bytes) -> tuple[torch.Tensor, torch.Tensor]:
    """Pixels in [0, 1] and classes."""
    return torch.from_numpy(images.astype(np.float32)).div_(255), torch.from_numpy(labels.astype(np.int64))
