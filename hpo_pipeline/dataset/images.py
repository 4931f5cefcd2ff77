"""Images that come in MNIST's four idx files: finding them, downloading them, splitting them.

Pixels are scaled to [0, 1] and nothing else, as torchvision's `ToTensor` does.
"""

from __future__ import annotations

import importlib
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import filelock
import numpy as np
import numpy.typing as npt
import torch

from hpo_pipeline.atomic import put
from hpo_pipeline.checks import boolean_problems, integer_problems
from hpo_pipeline.dataset import Splits
from hpo_pipeline.dataset.idx import read_idx
from hpo_pipeline.errors import ConfigError, Problem, StudyError
from hpo_pipeline.seeding import generator

FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


def as_tensors(
    images: npt.NDArray[np.uint8], labels: npt.NDArray[Any], white: int = 255
) -> tuple[torch.Tensor, torch.Tensor]:
    """Pixels 0..white `(n, height, width)` as float32 in [0, 1] `(n, 1, height, width)`, and labels as int64."""
    x = torch.from_numpy(images.astype(np.float32)).div_(white)
    return x.unsqueeze(1), torch.from_numpy(labels.astype(np.int64))


def split(
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[Any],
    n_validation: int,
    split_seed: int,
    n_classes: int,
    white: int = 255,
) -> Splits:
    """`n_validation` of the images for validation, the others for training."""
    order = generator(split_seed, "split").permutation(len(images))
    train, validation = order[n_validation:], order[:n_validation]
    return Splits(
        *as_tensors(images[train], labels[train], white),
        *as_tensors(images[validation], labels[validation], white),
        n_classes,
    )


def check_split(n: int, n_validation: Any, split_seed: Any) -> list[Problem]:
    """What is wrong with the arguments of `split`, for `n` images."""
    return integer_problems(most=n - 1, n_validation=n_validation) + integer_problems(least=0, split_seed=split_seed)


class IdxImages:
    """A dataset in MNIST's four files (`FILES`, raw or .gz). Subclasses say which one.

    They are looked for in `root` and in the folders that torchvision and an unpacked Debian package make below it,
    then in the folders of `search_path`; then torchvision downloads them into `root`.

    Args:
        root: the data folder; `~` is the home folder.
        search_path: more folders that may hold the four files.
        n_validation: how many of the training images are kept for validation.
        split_seed: which ones.
        download: whether torchvision may download them.
    """

    title: ClassVar[str]
    """What torchvision calls the dataset: its class, and the folder it downloads into."""
    package: ClassVar[str]
    """What Debian calls its folder in /usr/share/datasets."""
    first_labels: ClassVar[tuple[int, ...]]
    """Of the training images. They tell datasets apart whose files have the same names and sizes."""
    input_shape: ClassVar[tuple[int, ...]] = (1, 28, 28)
    n_train: ClassVar[int] = 60_000
    n_test: ClassVar[int] = 10_000
    n_classes: ClassVar[int] = 10

    def __init__(
        self,
        root: str = "data",
        search_path: Sequence[str] = (),
        n_validation: int = 10_000,
        split_seed: int = 0,
        download: bool = True,
    ) -> None:
        problems = check_split(self.n_train, n_validation, split_seed)
        if not isinstance(root, str) or not root:
            problems.append(Problem("root", "must be the path of a folder", root))
        if isinstance(search_path, str) or not all(isinstance(folder, str) for folder in search_path):
            problems.append(Problem("search_path", "must be a list of folders", search_path))
        if problems := [*problems, *boolean_problems(download=download)]:
            raise ConfigError(problems)
        self.root = Path(root).expanduser()
        self.search_path = [Path(folder).expanduser() for folder in search_path]
        self.n_validation = n_validation
        self.split_seed = split_seed
        self.download = download

    def available(self) -> None:
        self._files()

    def load(self) -> Splits:
        return split(*self._read("train", self.n_train), self.n_validation, self.split_seed, self.n_classes)

    def load_test(self) -> tuple[torch.Tensor, torch.Tensor]:
        return as_tensors(*self._read("t10k", self.n_test))

    def sources(self) -> list[Path]:
        return list(self._files().values())

    def _read(self, part: str, n: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
        files = self._files()
        path = files[f"{part}-labels-idx1-ubyte"]
        labels = read_idx(path, (n,))
        if part == "train" and tuple(labels[: len(self.first_labels)]) != self.first_labels:
            raise StudyError(f"{path}: not the labels of {self.title}; set dataset.root to a folder of its own")
        return read_idx(files[f"{part}-images-idx3-ubyte"], (n, *self.input_shape[1:])), labels

    def _folders(self) -> list[Path]:
        made_by_torchvision = self.root / self.title / "raw"
        made_by_dpkg = self.root / "usr/share/datasets" / self.package
        return [made_by_torchvision, made_by_dpkg, self.root / self.package, self.root, *self.search_path]

    def _found(self) -> dict[str, Path] | None:
        for folder in self._folders():
            files = {name: path for name in FILES for path in (folder / name, folder / f"{name}.gz") if path.is_file()}
            if len(files) == len(FILES):
                return files
        return None

    def _files(self) -> dict[str, Path]:
        """Name -> path of the four files, downloaded if need be."""
        files = self._found()
        failure = "downloading is off (dataset.download=false)"
        if files is None and self.download:
            try:
                files = self._downloaded()
            except (OSError, RuntimeError, ImportError) as error:
                reason = " ".join(str(error).split()) or type(error).__name__
                failure = f"the download failed ({reason})"
        if files is None:
            raise StudyError(
                f"{self.title}: no data.\n"
                f"Looked for {', '.join(FILES)} (raw or .gz) in\n"
                + "".join(f"  {folder.absolute()}\n" for folder in self._folders())
                + f"and {failure}.\n"
                f"Either put these four files into {self.root.absolute() / self.package}, or use dataset=digits, which "
                "needs no files."
            )
        return files

    def _downloaded(self) -> dict[str, Path] | None:
        self.root.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(self.root / f".{self.package}.lock"):
            if files := self._found():  # another process has downloaded them while we waited
                return files
            # Aside first: whoever looks without the lock must never find half a file.
            with tempfile.TemporaryDirectory(dir=self.root) as aside:
                getattr(importlib.import_module("torchvision.datasets"), self.title)(aside, download=True)
                target = self.root / self.title / "raw"
                target.mkdir(parents=True, exist_ok=True)
                for name in FILES:
                    put(Path(aside, self.title, "raw", f"{name}.gz"), target / f"{name}.gz")
            return self._found()
