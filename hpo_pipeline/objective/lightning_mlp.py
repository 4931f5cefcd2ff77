"""A perceptron as a LightningModule, for `experiment=optuna_mlp`; one's own looks like this."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn

from hpo_pipeline.model.deep_mlp import DeepMLP


class LightningMLP(LightningModule):
    """One to three hidden layers, each followed by dropout; a classifier, trained by SGD.

    Args:
        input_shape, n_classes: of the dataset, which supplies them.
        n_layers: hidden layers.
        n_units_1, n_units_2, n_units_3: their widths. Those of further layers than `n_layers` are not used.
        dropout: probability with which a hidden unit is set to zero in training, in [0, 1).
        lr, momentum, nesterov: of SGD.
    """

    def __init__(
        self,
        input_shape: Sequence[int],
        n_classes: int,
        n_layers: int = 1,
        n_units_1: int = 64,
        n_units_2: int = 64,
        n_units_3: int = 64,
        dropout: float = 0.3,
        lr: float = 0.01,
        momentum: float = 0.9,
        nesterov: bool = False,
    ) -> None:
        super().__init__()
        if not 1 <= n_layers <= 3:
            raise ValueError(f"n_layers must be 1, 2 or 3, got {n_layers}")
        self.lr, self.momentum, self.nesterov = lr, momentum, nesterov
        self.network = DeepMLP(input_shape, n_classes, n_layers, n_units_1, n_units_2, n_units_3, dropout=dropout)

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.network(x)
        return scores

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        x, y = batch
        loss = nn.functional.cross_entropy(self(x), y)
        self.log("train_loss", loss, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        x, y = batch
        scores = self(x)
        self.log("val_loss", nn.functional.cross_entropy(scores, y))
        self.log("val_acc", (scores.argmax(1) == y).float().mean())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), self.lr, self.momentum, nesterov=self.nesterov)
