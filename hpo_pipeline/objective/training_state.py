"""A trial in the making: what the training objective keeps of it from epoch to epoch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from hpo_pipeline.dataset import MapSplits, Splits
from hpo_pipeline.evaluation import names_of
from hpo_pipeline.objective import Metrics
from hpo_pipeline.objective.loader import Loading
from hpo_pipeline.objective.loss import Loss
from hpo_pipeline.objective.metrics import Measured
from hpo_pipeline.objective.options import Options
from hpo_pipeline.objective.patience import Patience
from hpo_pipeline.objective.precision import Forward
from hpo_pipeline.objective.schedule import Schedule
from hpo_pipeline.objective.scoring import Scores

N_PARAMETERS = "n_parameters"


@dataclass(slots=True)
class TrainingState:
    """A trial in the making.

    Attributes:
        model, optimizer: as the last epoch left them.
        loss: what its steps minimise.
        data: shared by all trials with the same dataset.
        config, seed: the trial's, as `start` got them.
        loading: how its batches are made.
        options: how it computes.
        schedule: of the learning rate; None where the config has none.
        patience: what ends it early, if anything does.
        scaler: of losses in fp16.
        compiled: what runs in place of the model in training, if it is to be compiled.
        resource: epochs done.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    loss: Loss
    data: Splits | MapSplits
    config: Mapping[str, Any]
    seed: int
    loading: Loading
    options: Options
    schedule: Schedule | None = None
    patience: Patience | None = None
    scaler: torch.amp.GradScaler | None = None
    compiled: Forward | None = None
    resource: int = 0

    @property
    def batch_size(self) -> int:
        return int(self.config["dataset"]["batch_size"])

    def begin_epoch(self) -> None:
        """Makes model and optimizer ready to train the next epoch."""
        self.model.train()
        if self.schedule is not None:
            self.schedule.apply(self.optimizer, self.resource)

    def measured(self) -> Measured | None:
        """The config's metrics, for one set of examples; None where there are none."""
        nodes = self.config.get("metrics")
        return Measured(nodes, self.data.task, self.loading.device) if nodes else None

    def scores(self) -> Scores:
        """To score its model with, on one set of examples."""
        return Scores(self.data.task, self.loss, self.measured(), self.loading.device)

    def end_epoch(self, train_loss: float, scored: Metrics | None) -> Metrics:
        """Counts the epoch that was just trained; `scored`: on the validation data, None if there are none."""
        self.resource += 1
        metrics = {f"validation_{name}": value for name, value in (scored or {}).items()}
        metrics["train_loss"] = train_loss
        if self.schedule is not None:  # it changes from epoch to epoch
            metrics["learning_rate"] = self.optimizer.param_groups[0]["lr"]
        if N_PARAMETERS in names_of(self.config):
            metrics[N_PARAMETERS] = float(sum(parameter.numel() for parameter in self.model.parameters()))
        if self.patience is not None:
            self.patience.watch(metrics)
        return metrics
