"""A LightningModule as an objective: one unit of resource is an epoch of Lightning's Trainer. Extra: `lightning`.

`trainer.fit` runs in a thread of its own and stands still between two epochs (`reporting.py`), so that a trial goes on
where it was without being loaded; what is loaded are Lightning's own checkpoints, weights and plain data only.
"""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

try:
    from lightning.fabric.utilities.warnings import PossibleUserWarning
    from lightning.pytorch import LightningDataModule, LightningModule, Trainer
    from lightning.pytorch.callbacks import Checkpoint
    from lightning.pytorch.loggers.logger import DummyLogger
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError(f"{missing}: pip install 'hpo_pipeline[lightning]'") from missing

from hpo_pipeline.build import build
from hpo_pipeline.dataset import MapSplits, Splits
from hpo_pipeline.dataset import checks as dataset_checks
from hpo_pipeline.dataset.fingerprint import DataSplit, data_splits
from hpo_pipeline.dataset.task import Task
from hpo_pipeline.errors import ConfigError, Problem, StudyError, describe
from hpo_pipeline.objective import lightning_checks as checks
from hpo_pipeline.objective import saved_model
from hpo_pipeline.objective.checks import check_data, own_arguments, told
from hpo_pipeline.objective.device import resolve, visible_devices
from hpo_pipeline.objective.lightning_data import DatasetModule, dataset_of, is_dataset
from hpo_pipeline.objective.reporting import Reporting, ReportingState, Trial, seed_globally
from hpo_pipeline.seeding import derived_seed


@dataclass(frozen=True, slots=True)
class _Fit:
    """What a trial trains, and what is known of its data."""

    module: LightningModule
    input_shape: tuple[int, ...] | None
    task: Task | None


class Lightning(Reporting):
    """Fits `config["model"]`, a LightningModule, on `config["dataset"]`, if there is one.

    That is a LightningDataModule, or a dataset as `objective=training` has them, whose batches are `(x, y)`; the module
    is then offered what a model is: `input_shape`, `n_outputs`, `n_classes`.

    What the module logs at the end of an epoch is what is measured. Its weights follow from the trial's seed, all that
    is random within an epoch, the order of the data included, from the trial's seed and the epoch.

    Args:
        trainer: options of the Trainer, of those in `lightning_checks.OPTIONS`; None is its own default. A trial's
            `objective.trainer` goes before.
        device: `auto`, or what `torch.device` takes.
        threads: CPU threads of this process's torch; None leaves them alone.
    """

    name = "trainer.fit"

    def __init__(
        self, trainer: Mapping[str, Any] | None = None, device: str = "auto", threads: int | None = None
    ) -> None:
        found = list(checks.trainer_problems(trainer or {}))
        try:
            self.device = resolve(device)
        except ConfigError as error:
            found += error.problems
        if found:
            raise ConfigError(found)
        super().__init__(threads)
        self.trainer = dict(trainer or {})
        self._loaded: tuple[str, Splits | MapSplits] | None = None
        _be_quiet()

    def train(self, config: Mapping[str, Any], trial: Trial) -> None:
        splits = self._splits(config.get("dataset"))
        shape, task = (None, None) if splits is None else (splits.input_shape, splits.task)
        offered = {} if task is None else told(shape, task)
        module: LightningModule = build(config["model"], "lightning_module", **offered)
        trial._fit = _Fit(module, shape, task)
        options = (config.get("objective") or {}).get("trainer", self.trainer)
        trainer = Trainer(
            **{"num_sanity_val_steps": 0, **{name: value for name, value in options.items() if value is not None}},
            **self._placement(),
            max_epochs=max(trial.max_resource, trial.resource + 1),
            callbacks=[_Reporter(trial)],
            logger=_Silent(trial.directory),
            enable_progress_bar=False,
            enable_model_summary=False,
            default_root_dir=trial.directory,
        )
        data = _data_module(splits, config.get("dataset"))
        trainer.fit(module, datamodule=data, ckpt_path=trial.checkpoint, weights_only=True)

    def _placement(self) -> dict[str, Any]:
        if self.device.type == "cuda":
            return {"accelerator": "gpu", "devices": [self.device.index or 0]}
        return {"accelerator": self.device.type, "devices": 1}

    def problems(self, config: Mapping[str, Any]) -> list[Problem]:
        return list(checks.problems(config))

    def available(self, config: Mapping[str, Any]) -> None:
        """Has the data prepared, downloaded say, once."""
        node = config.get("dataset")
        if is_dataset(node):
            check_data(dataset_of(config["dataset"]), test=False)
            return
        group, kind = ("model", "lightning_module") if node is None else ("dataset", "lightning_data")
        source = build(config[group], kind)
        try:
            source.prepare_data()
        except Exception as error:  # whatever somebody's own code may raise
            target = config[group]["_target_"]
            raise StudyError(f"{group}: {target}.prepare_data fails ({describe(error)})") from error

    def data_splits(self, config: Mapping[str, Any]) -> list[DataSplit]:
        """Of a LightningDataModule nothing is known."""
        if not is_dataset(config.get("dataset")):
            return []
        node = own_arguments(config["dataset"])
        return data_splits(dataset_of(node), node, final=False)

    def devices(self) -> list[str]:
        return visible_devices() if self.device.type == "cuda" else []

    def snapshot(self, state: ReportingState) -> saved_model.Snapshot:
        fit: _Fit = state.trial._fit
        return saved_model.snapshot(fit.module, fit.input_shape, fit.task)

    def save_model(self, snapshot: saved_model.Snapshot, path: Path) -> None:
        saved_model.write(snapshot, path)

    def load_model(self, config: Mapping[str, Any], path: Path) -> LightningModule:
        module = saved_model.build_from(config.get("model"), path, "lightning_module")
        assert isinstance(module, LightningModule)
        return module

    def input_shape(self, path: Path) -> tuple[int, ...] | None:
        """None where the data are a LightningDataModule's."""
        return saved_model.read(path).input_shape

    def _splits(self, node: Mapping[str, Any] | None) -> Splits | MapSplits | None:
        """The data, if they are a dataset's."""
        if not is_dataset(node):
            return None
        assert node is not None
        key = json.dumps(own_arguments(node), sort_keys=True)
        if self._loaded is None or self._loaded[0] != key:  # trials with other batches share them
            self._loaded = key, dataset_checks.load(dataset_of(node))
        return self._loaded[1]


def _data_module(splits: Splits | MapSplits | None, node: Mapping[str, Any] | None) -> LightningDataModule | None:
    """What the Trainer reads from, if that isn't the module itself."""
    if node is None:
        return None
    data: LightningDataModule = build(node, "lightning_data") if splits is None else DatasetModule(splits, node)
    return data


class _Silent(DummyLogger):
    """The logger that modules and callbacks (`LearningRateMonitor`) ask for; keeps nothing of what they send to it."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    @property
    def save_dir(self) -> str:
        return str(self._folder)


class _Reporter(Checkpoint):
    """Reports each epoch when all is done that belongs to it, which is when the next one begins, or the fit is over.

    A `Checkpoint` for two reasons: it is called after the module's own hooks, and Lightning adds none of its own.
    """

    def __init__(self, trial: Trial) -> None:
        self._trial = trial
        self._metrics: dict[str, float] | None = None
        self._has_begun = False

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        # There is no last epoch: whoever trains the trial decides.
        limit = trainer.fit_loop.max_epochs or 0
        trainer.fit_loop.max_epochs = max(limit, trainer.current_epoch + 2)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._report(trainer)
        seed_globally(derived_seed(self._trial.seed, "epoch", self._trial.resource))
        if not self._has_begun:  # the Trainer has begun to draw from its loaders before; else it will now
            self._has_begun = True
            iter(trainer.fit_loop._data_fetcher)  # type: ignore[arg-type]

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._trial._finished = "the module has stopped its fit"
        self._report(trainer)

    def _report(self, trainer: Trainer) -> None:
        if self._metrics is not None:
            metrics, self._metrics = self._metrics, None
            self._trial.report(self._trial.resource + 1, checkpoint=trainer.save_checkpoint, **metrics)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """It is written when the next epoch is about to begin; for Lightning, the last one has ended."""
        progress = checkpoint["loops"]["fit_loop"]["epoch_progress"]
        for counts in (progress["total"], progress["current"]):
            counts["ready"] = counts["completed"]


def _be_quiet() -> None:
    """No lines about devices and tips, and no advice about workers: a study has hundreds of fits."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=PossibleUserWarning)
    warnings.filterwarnings("ignore", module=r"lightning\.")  # what it says to itself of other libraries
