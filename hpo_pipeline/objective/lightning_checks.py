"""What is wrong with the config of a LightningModule's training, found before any trial."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.utilities.model_helpers import is_overridden

from hpo_pipeline.build import build, check
from hpo_pipeline.errors import ConfigError, Problem, nearest, reason
from hpo_pipeline.objective.checks import data_problems, offered
from hpo_pipeline.objective.lightning_data import is_dataset

OPTIONS = (
    "accumulate_grad_batches",
    "benchmark",
    "detect_anomaly",
    "deterministic",
    "gradient_clip_algorithm",
    "gradient_clip_val",
    "inference_mode",
    "limit_train_batches",
    "limit_val_batches",
    "num_sanity_val_steps",
    "overfit_batches",
    "precision",
    "reload_dataloaders_every_n_epochs",
    "val_check_interval",
)
"""Of the Trainer's, those that say how to train. The others are the study's."""
_DATA = "; or choose a LightningDataModule as dataset, or one of this project's (dataset=digits)"


def trainer_problems(trainer: Any) -> Iterator[Problem]:
    """Why these can't be options of the Trainer."""
    if not isinstance(trainer, Mapping):
        yield Problem("trainer", "must be a mapping of the Trainer's options", trainer)
        return
    for name, value in trainer.items():
        if name not in OPTIONS:
            what = "is the study's to set" if name in _all_options() else "is no option of Lightning's Trainer"
            yield Problem(f"trainer.{name}", f"{what}; there are {', '.join(OPTIONS)}{nearest(str(name), OPTIONS)}")
        elif isinstance(value, (Mapping, list)):
            yield Problem(f"trainer.{name}", "must be a plain value", value)


def _all_options() -> set[str]:
    return set(inspect.signature(Trainer).parameters)


def problems(config: Mapping[str, Any]) -> Iterator[Problem]:
    """Everything that would keep a trial with this config from being trained."""
    for problem in trainer_problems((config.get("objective") or {}).get("trainer") or {}):
        yield problem.under("objective")
    for group in ("optimizer", "lr_schedule"):
        if config.get(group) is not None:
            yield Problem(group, f"a LightningModule has its own (configure_optimizers); leave {group}=none")
    if config.get("params"):
        names = ", ".join(config["params"])
        yield Problem("params", f"this objective has none, got {names}; tune model and dataset")
    node = config.get("model")
    if node is None:
        yield Problem(
            "model",
            "name your LightningModule: a file model/net.yaml with _target_: my_module.Net, model=net; or type it, "
            "'model={_target_: my_module.Net, lr: 0.01}'",
        )
        return
    refused = [problem.under("model") for problem in check(node, "lightning_module")]
    yield from refused
    data = config.get("dataset")
    of_data = offered(data) if is_dataset(data) else {}
    if is_dataset(data):
        yield from data_problems(data)
    elif data is not None:
        yield from (problem.under("dataset") for problem in check(data, "lightning_data"))
    if refused or None in of_data.values():  # what is known once the data are loaded
        return
    try:
        module = _built(node, of_data)
    except ConfigError as error:
        yield from error.under("model").problems
    except Exception as error:  # whatever somebody's own code may raise
        yield Problem("model", f"{node['_target_']} refuses these values ({reason(error)})")
    else:
        yield from _lacking(module, node["_target_"], has_data=data is not None)


def _built(node: Mapping[str, Any], of_data: Mapping[str, Any]) -> LightningModule:
    """The module: with weights that take no memory, where its constructor can do without their values."""
    module: LightningModule
    with torch.random.fork_rng(devices=[]):
        try:
            with torch.device("meta"):
                module = build(node, "lightning_module", **of_data)
        except Exception:  # which is raised again, if that wasn't the reason
            module = build(node, "lightning_module", **of_data)
    return module


def _lacking(module: LightningModule, target: str, *, has_data: bool) -> Iterator[Problem]:
    needed = ("training_step", "configure_optimizers") + (() if has_data else ("train_dataloader",))
    for name in needed:
        if not is_overridden(name, module):
            mend = _DATA if name == "train_dataloader" else ""
            yield Problem("model", f"{target} has no {name}, which Lightning needs{mend}")
