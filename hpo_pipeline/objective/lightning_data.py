"""Data for a LightningModule: somebody's LightningDataModule, or a dataset of this project or like one of them."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from lightning.pytorch import LightningDataModule
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, SequentialSampler, TensorDataset
from torch.utils.data import Dataset as MapDataset

from hpo_pipeline.build import build, locate
from hpo_pipeline.dataset import Dataset, MapSplits, Splits
from hpo_pipeline.errors import ConfigError
from hpo_pipeline.objective import checks
from hpo_pipeline.objective.augment import augment_of
from hpo_pipeline.objective.epoch import EVALUATION_BATCH


def is_dataset(node: Any) -> bool:
    """Whether `dataset` in a config names a `Dataset`, not a LightningDataModule. Functions are taken to make those."""
    try:
        return inspect.isclass(locate(node["_target_"], "dataset"))
    except (ConfigError, KeyError, TypeError):
        return False


def dataset_of(node: Mapping[str, Any]) -> Dataset:
    """The dataset that a node names, nothing of it loaded."""
    dataset: Dataset = build(checks.own_arguments(node), "dataset")
    return dataset


class DatasetModule(LightningDataModule):
    """The loaders of a dataset. A batch is `(x, y)`; the training examples come in a new order each epoch.

    Args:
        splits: the examples.
        node: `dataset` in the config, whose `batch_size`, `n_workers` and `transform` count here. What is in memory
            needs no workers.
    """

    def __init__(self, splits: Splits | MapSplits, node: Mapping[str, Any]) -> None:
        super().__init__()
        self._splits = splits
        self._batch_size = int(node["batch_size"])
        self._n_workers = int(node.get("n_workers") or 0)
        self._augment = augment_of(node.get("transform"))

    def train_dataloader(self) -> DataLoader[Any]:
        splits = self._splits
        if isinstance(splits, MapSplits):
            return DataLoader(splits.train, self._batch_size, shuffle=True, num_workers=self._n_workers)
        return _in_memory(splits.x_train, splits.y_train, self._batch_size, shuffle=True)

    def val_dataloader(self) -> DataLoader[Any]:
        splits = self._splits
        if isinstance(splits, MapSplits):
            return DataLoader(splits.validation, self._batch_size, num_workers=self._n_workers)
        return _in_memory(splits.x_validation, splits.y_validation, EVALUATION_BATCH, shuffle=False)

    def on_after_batch_transfer(self, batch: tuple[Tensor, Tensor], dataloader_idx: int) -> tuple[Tensor, Tensor]:
        if self._augment is None or self.trainer is None or not self.trainer.training:
            return batch
        x, y = batch
        return self._augment(x), y


def _in_memory(x: Tensor, y: Tensor, batch_size: int, *, shuffle: bool) -> DataLoader[Any]:
    """Whole batches at once: one example at a time takes longer than a small network's training."""
    part: MapDataset[Any] = TensorDataset(x, y)
    order = RandomSampler(part) if shuffle else SequentialSampler(part)  # type: ignore[arg-type]
    return DataLoader(part, sampler=BatchSampler(order, batch_size, drop_last=False), batch_size=None)
