"""LightningModules for the tests: small, with all that is random, scheduled and kept between epochs."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningDataModule, LightningModule
from lightning.pytorch.callbacks import Callback, EarlyStopping, LearningRateMonitor
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset


class Numbers(LightningDataModule):
    """y = the sum of x; shuffled."""

    def __init__(self, n: int = 64, batch_size: int = 16, n_workers: int = 0) -> None:
        super().__init__()
        x = torch.rand(n, 4, generator=torch.Generator().manual_seed(0))
        self.data = TensorDataset(x, x.sum(1, keepdim=True))
        self.batch_size, self.n_workers = batch_size, n_workers

    def train_dataloader(self) -> Any:
        return DataLoader(self.data, self.batch_size, shuffle=True, num_workers=self.n_workers)

    def val_dataloader(self) -> Any:
        return DataLoader(self.data, self.batch_size)


class Net(LightningModule):
    def __init__(self, lr: float, width: int = 8, dropout: float = 0.3, schedule: str = "plateau") -> None:
        super().__init__()
        if width < 1:
            raise ValueError(f"width must be positive, not {width}")
        self.save_hyperparameters()
        self.layers = nn.Sequential(nn.Linear(4, width), nn.Tanh(), nn.Dropout(dropout), nn.Linear(width, 1))

    def training_step(self, batch: Any, index: int) -> Tensor:
        x, y = batch
        loss = nn.functional.mse_loss(self.layers(x), y)
        self.log("train_loss", loss, on_epoch=True, on_step=False)
        return loss

    def validation_step(self, batch: Any, index: int) -> None:
        x, y = batch
        self.log("loss", nn.functional.mse_loss(self.layers(x), y))

    def on_train_epoch_end(self) -> None:
        self.log("lr", self.optimizers().param_groups[0]["lr"])

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.Adam(self.parameters(), self.hparams["lr"])
        if self.hparams["schedule"] == "plateau":
            schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0, threshold=0.5)
            return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "monitor": "loss"}}
        if self.hparams["schedule"] == "step":
            return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5)]
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=steps + 100)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class OwnData(Net):
    def train_dataloader(self) -> Any:
        return Numbers().train_dataloader()

    def val_dataloader(self) -> Any:
        return Numbers().val_dataloader()


class Chatty(OwnData):
    """Sends pictures and numbers to its logger, and has its learning rate monitored."""

    def training_step(self, batch: Any, index: int) -> Tensor:
        self.logger.experiment.add_scalar("batch", index)
        self.logger.log_metrics({"index": index})
        assert self.trainer.log_dir == self.trainer.default_root_dir
        return super().training_step(batch, index)

    def configure_callbacks(self) -> list[Callback]:
        return [LearningRateMonitor()]


class Stops(OwnData):
    """Through after its second epoch."""

    def configure_callbacks(self) -> list[Callback]:
        return [EarlyStopping("loss", patience=1, min_delta=1e9)]


class Fails(OwnData):
    def on_train_epoch_end(self) -> None:
        raise ValueError("no such luck")


class NoSteps(LightningModule):
    pass


class NoData(LightningDataModule):
    def prepare_data(self) -> None:
        raise OSError("no network")


class ByGate(OwnData):
    """Notes its epochs, and stands still before its third while GATE is set."""

    def on_train_epoch_start(self) -> None:
        while self.current_epoch == 2 and "GATE" in os.environ:
            time.sleep(60)
        with open(Path(self.trainer.default_root_dir, "epochs"), "a") as file:
            file.write(f"{self.current_epoch + 1} ")


class Late(Net):
    """Makes its layers in the hook that Lightning has for it."""

    def __init__(self, lr: float) -> None:
        super().__init__(lr)
        self.width, self.layers = 5, None

    def configure_model(self) -> None:
        if self.layers is None:
            self.layers = nn.Sequential(nn.Linear(4, self.width), nn.Tanh(), nn.Linear(self.width, 1))


class Unmade(Late):
    """Makes them where nobody can tell it to before it is trained."""

    def configure_model(self) -> None:
        if self._trainer is not None:
            super().configure_model()


class Pretrained(Net):
    """Leaves out of its checkpoints what its constructor has; not to be made without the weights' values."""

    def __init__(self, lr: float) -> None:
        super().__init__(lr)
        self.scale = float(torch.linspace(0, 1, 5).numpy()[2])
        self.strict_loading = False
        self.unused = nn.LazyLinear(3)

    def state_dict(self, *arguments: Any, **keys: Any) -> dict[str, Any]:
        return {name: value for name, value in super().state_dict(*arguments, **keys).items() if "layers.3" in name}
