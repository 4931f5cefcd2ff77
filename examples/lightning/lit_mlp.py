"""A LightningModule to tune, an MLP whose depth, widths and dropout are tuned, and its data: FashionMNIST or digits."""

from __future__ import annotations

import torch
from lightning.pytorch import LightningDataModule, LightningModule
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from hpo_pipeline.dataset.digits import Digits
from hpo_pipeline.dataset.fashion_mnist import FashionMNIST


class Images(LightningDataModule):
    """Images of ten classes, in memory.

    Args:
        name: fashion_mnist, which is looked for as by `dataset=fashion_mnist`, or digits, from scikit-learn.
        batch_size: examples per optimizer step.
    """

    def __init__(self, name: str, batch_size: int) -> None:
        super().__init__()
        self.dataset = Digits() if name == "digits" else FashionMNIST(search_path=["/usr/share/datasets/fashion-mnist"])
        self.batch_size = batch_size

    def prepare_data(self) -> None:
        self.dataset.available()

    def setup(self, stage: str) -> None:
        splits = self.dataset.load()
        self.train = TensorDataset(splits.x_train, splits.y_train)
        self.validation = TensorDataset(splits.x_validation, splits.y_validation)

    def train_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        return DataLoader(self.train, self.batch_size, shuffle=True)

    def val_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        return DataLoader(self.validation, 1000)


class LitMLP(LightningModule):
    """One to three hidden layers, each followed by dropout."""

    def __init__(
        self, n_inputs: int, n_layers: int, n_units_1: int, n_units_2: int, n_units_3: int, dropout: float, lr: float
    ) -> None:
        super().__init__()
        self.lr = lr
        layers: list[nn.Module] = [nn.Flatten()]
        for n_units in (n_units_1, n_units_2, n_units_3)[:n_layers]:
            layers += [nn.Linear(n_inputs, n_units), nn.ReLU(), nn.Dropout(dropout)]
            n_inputs = n_units
        self.layers = nn.Sequential(*layers, nn.Linear(n_inputs, 10))

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        x, y = batch
        return nn.functional.cross_entropy(self.layers(x), y)

    def validation_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        x, y = batch
        self.log("val_acc", (self.layers(x).argmax(1) == y).float().mean())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), self.lr)
