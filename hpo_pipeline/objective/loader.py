"""Batches: of tensors in memory, or of examples that worker processes read and change (`dataset.n_workers`).

    training_batches(data, order, loading, seed) -> (x, y), (x, y), ...     in the order, `loading.batch_size` at a time
    evaluation_batches(part, loading)            -> all of a part, unchanged

Whatever is random in a batch follows from the seed and the batch's number, for torch, NumPy and `random` alike: so the
numbers are the same with any number of workers, and none of them moves the random numbers of the training itself.

The workers live for one pass over the data: a trial that is paused, stopped or over holds no processes. They are
daemonic, in the process group of whoever trains; so they end with it, however it ends.
"""

from __future__ import annotations

import contextlib
import random
import sys
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import ConcatDataset, DataLoader, TensorDataset, default_collate
from torch.utils.data import Dataset as MapDataset
from torch.utils.data.dataloader import _BaseDataLoaderIter

from hpo_pipeline.dataset import MapSplits, Splits
from hpo_pipeline.objective.augment import Augment, augment_of
from hpo_pipeline.objective.epoch import EVALUATION_BATCH, Batch, in_memory, whole
from hpo_pipeline.seeding import derived_seed

Batches = Generator[Batch, None, None]
"""To be closed by whoever doesn't take them all."""

Part = tuple[Tensor, Tensor] | MapDataset[Any]
"""Examples with their targets: in memory, or map-style."""

MOST_ELEMENTS = 1 << 22
"""Numbers in a batch that is only evaluated: large images come fewer at a time."""


@dataclass(frozen=True, slots=True)
class Loading:
    """How a trial's batches are made.

    Attributes:
        batch_size: examples in one.
        device: where they are needed.
        n_workers: processes that read and change examples; 0: the training's own. Tensors in memory that nothing
            changes, or that are on a GPU, need none.
        augment: what changes training examples; None for nothing.
    """

    batch_size: int
    device: torch.device
    n_workers: int = 0
    augment: Augment | None = None

    @classmethod
    def of(cls, node: Mapping[str, Any], device: torch.device) -> Loading:
        """What the keys of `dataset` that are the training's say."""
        n_workers = node.get("n_workers") or 0
        return cls(int(node["batch_size"]), device, int(n_workers), augment_of(node.get("transform")))

    def why_alone(self, data: Splits | MapSplits) -> str:
        """Why a pack of trials can't have such batches; empty where they are mere pieces of tensors in memory."""
        if isinstance(data, MapSplits):
            return "their examples are read one at a time"
        return "dataset.transform changes their examples" if self.augment is not None else ""


def n_train(data: Splits | MapSplits) -> int:
    """How many examples there are to train on."""
    return len(data.y_train) if isinstance(data, Splits) else len(data.train)  # type: ignore[arg-type]


def validation_part(data: Splits | MapSplits) -> Part:
    return (data.x_validation, data.y_validation) if isinstance(data, Splits) else data.validation


def joined(data: MapSplits) -> MapSplits:
    """The same, to be trained on all of it: nothing is left for validation."""
    every: MapDataset[Any] = ConcatDataset([data.train, data.validation])
    return MapSplits(every, torch.utils.data.Subset(data.validation, []), data.task)


def training_batches(data: Splits | MapSplits, order: Tensor, loading: Loading, seed: int) -> Batches:
    """One pass over the training examples.

    Args:
        order: indices of the examples, `(n,)`.
        seed: of all that is random in this pass.
    """
    if isinstance(data, Splits) and loading.augment is None:
        return in_memory(data.x_train, data.y_train, order, loading.batch_size)
    part: Part = (data.x_train, data.y_train) if isinstance(data, Splits) else data.train
    pieces = [piece.tolist() for piece in torch.split(order, loading.batch_size)]
    return _loaded(_Fetch(part, loading.augment, seed), pieces, loading)


def evaluation_batches(part: Part, loading: Loading) -> Batches:
    """All examples of a part, in their order and unchanged."""
    if isinstance(part, tuple):
        yield from whole(*(tensor.to(loading.device) for tensor in part))
        return
    n = len(part)  # type: ignore[arg-type]
    size = min(EVALUATION_BATCH, max(1, MOST_ELEMENTS // part[0][0].numel())) if n else 1
    pieces = [list(range(start, min(n, start + size))) for start in range(0, n, size)]
    yield from _loaded(_Fetch(part, None, 0), pieces, loading)


class _Fetch(MapDataset[Batch]):
    """A part of the data by batches: `fetch[number, indices]`."""

    def __init__(self, part: Part, augment: Augment | None, seed: int) -> None:
        self._part = TensorDataset(*part) if isinstance(part, tuple) else part
        self._augment = augment
        self._seed = seed

    @property
    def needs_device(self) -> bool:
        """Whether the examples are on a GPU, where no other process can take them from."""
        return isinstance(self._part, TensorDataset) and self._part.tensors[0].device.type != "cpu"

    def __getitem__(self, key: tuple[int, list[int]]) -> Batch:
        number, indices = key
        with seeded(derived_seed(self._seed, "batch", number)):
            x, y = self._read(indices)
            if self._augment is None:
                return x, y
            changed = self._augment(x)
            if changed.shape != x.shape:
                what = f"dataset.transform makes examples {tuple(x.shape[1:])} {tuple(changed.shape[1:])}"
                raise ValueError(f"{what}; they must stay as large as those for validation")
            return changed, y

    def _read(self, indices: list[int]) -> Batch:
        if isinstance(self._part, TensorDataset):
            x, y = self._part.tensors
            chosen = torch.tensor(indices, device=x.device)
            return x.index_select(0, chosen), y.index_select(0, chosen)
        several = getattr(self._part, "__getitems__", None)
        x, y = default_collate(several(indices) if several else [self._part[i] for i in indices])
        return x.float(), y.float() if y.is_floating_point() else y


def _loaded(fetch: _Fetch, pieces: list[list[int]], loading: Loading) -> Batches:
    """The batches, on the device."""
    keys = list(enumerate(pieces))
    batches: Iterable[Batch]
    if loading.n_workers and not fetch.needs_device:
        batches = iter(
            DataLoader(
                fetch,
                sampler=keys,
                batch_size=None,
                num_workers=min(loading.n_workers, len(keys)) if keys else 0,
                generator=torch.Generator(),  # else it would draw from the training's
                multiprocessing_context=_start_method(),
            )
        )
    else:
        batches = (fetch[key] for key in keys)
    try:
        for x, y in batches:
            yield x.to(loading.device, non_blocking=True), y.to(loading.device, non_blocking=True)
    finally:
        if isinstance(batches, _BaseDataLoaderIter):  # else they end with it, and a traceback keeps it alive
            getattr(batches, "_shutdown_workers", lambda: None)()


def _start_method() -> str:
    """How workers begin: forked, in milliseconds, where the system can do that well.

    A forked worker has none of this process's threads; torch computes with one thread there, so it asks for none.
    """
    return "fork" if sys.platform.startswith("linux") else "spawn"


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """For the block, the global generators of torch (on the CPU), NumPy and Python begin at `seed`."""
    of_torch, of_python, of_numpy = torch.default_generator.get_state(), random.getstate(), np.random.get_state()  # noqa: NPY002
    torch.default_generator.manual_seed(seed)
    random.seed(seed)
    np.random.set_state(np.random.RandomState(seed % 2**32).get_state())  # noqa: NPY002  what people draw from
    try:
        yield
    finally:
        torch.default_generator.set_state(of_torch)
        random.setstate(of_python)
        np.random.set_state(of_numpy)  # noqa: NPY002
