"""Digits: the 1,797 handwritten digits of 8 x 8 pixels that scikit-learn ships, so that no file is needed.

A part of Alpaydin & Kaynak 1998, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch

from hpo_pipeline.dataset import Splits
from hpo_pipeline.dataset.images import as_tensors, check_split, split
from hpo_pipeline.errors import ConfigError
from hpo_pipeline.seeding import generator

_N, _N_TEST, _WHITE = 1797, 300, 16


class Digits:
    """By default 1,197 images for training, 300 for validation, 300 for the final test, each `(1, 8, 8)`.

    Args:
        n_validation: how many images are kept for validation.
        split_seed: which ones. The 300 test images are always the same.
    """

    input_shape: ClassVar[tuple[int, ...]] = (1, 8, 8)
    n_classes: ClassVar[int] = 10

    def __init__(self, n_validation: int = 300, split_seed: int = 0) -> None:
        if problems := check_split(_N - _N_TEST, n_validation, split_seed):
            raise ConfigError(problems)
        self.n_validation = n_validation
        self.split_seed = split_seed

    def available(self) -> None:
        """They come with scikit-learn, which is a dependency."""

    def load(self) -> Splits:
        images, labels = (part[_N_TEST:] for part in _digits())
        return split(images, labels, self.n_validation, self.split_seed, self.n_classes, _WHITE)

    def sources(self) -> list[Path]:
        return [path] if (path := _file()) else []

    def load_test(self) -> tuple[torch.Tensor, torch.Tensor]:
        images, labels = (part[:_N_TEST] for part in _digits())
        return as_tensors(images, labels, _WHITE)


def _file() -> Path | None:
    """Scikit-learn's file; to import its package takes over a second."""
    found = importlib.util.find_spec("sklearn")
    for folder in (found and found.submodule_search_locations) or ():
        if (path := Path(folder, "datasets", "data", "digits.csv.gz")).is_file():
            return path
    return None


def _digits() -> tuple[npt.NDArray[np.uint8], npt.NDArray[Any]]:
    """Images and labels, those of the test first."""
    table = _table()
    order = generator(0, "test").permutation(_N)
    return table[order, :-1].reshape(-1, 8, 8).astype(np.uint8), table[order, -1].astype(np.int64)


def _table() -> npt.NDArray[Any]:
    """`(1797, 65)`: 64 pixels and the label."""
    if (path := _file()) is not None:
        return np.loadtxt(path, delimiter=",")
    from sklearn.datasets import load_digits  # wherever it keeps the file

    digits = load_digits()
    return np.column_stack([digits.data, digits.target])
