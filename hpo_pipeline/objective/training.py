"""The training objective: a classifier trained by gradient descent on data in memory, one epoch at a time."""

from __future__ import annotations

import itertools
import json
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hpo_pipeline.build import build
from hpo_pipeline.dataset import Dataset, Splits
from hpo_pipeline.dataset import checks as dataset_checks
from hpo_pipeline.errors import ConfigError, Problem
from hpo_pipeline.objective import Metrics, checkpoint, checks
from hpo_pipeline.objective.checks import grad_clip_problems, without_batch_size
from hpo_pipeline.objective.device import resolve
from hpo_pipeline.objective.epoch import data_order, evaluate
from hpo_pipeline.objective.packed import fused, fusion_cost
from hpo_pipeline.objective.packed.fusion_cost import FusionCost
from hpo_pipeline.objective.schedule import Schedule
from hpo_pipeline.seeding import derived_seed

_KEPT_DATASETS = 2


@dataclass(slots=True)
class TrainingState:
    """A trial in the making.

    Attributes:
        model, optimizer: as the last epoch left them.
        data: shared by all trials with the same dataset.
        config: the trial's config, as `start` got it.
        seed: the trial's own seed.
        schedule: of the learning rate; None where the config has none.
        resource: epochs done.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    data: Splits
    config: Mapping[str, Any]
    seed: int
    schedule: Schedule | None = None
    resource: int = 0

    @property
    def batch_size(self) -> int:
        return int(self.config["dataset"]["batch_size"])

    def begin_epoch(self) -> None:
        """Makes model and optimizer ready to train the next epoch."""
        self.model.train()
        if self.schedule is not None:
            self.schedule.apply(self.optimizer, self.resource)

    def learning_rate(self) -> Metrics:
        """That of the epoch which was just trained, where a schedule changes it from epoch to epoch."""
        return {} if self.schedule is None else {"learning_rate": self.optimizer.param_groups[0]["lr"]}


class Training:
    """Trains `config["model"]` on `config["dataset"]` with `config["optimizer"]`, minimising cross-entropy.

    `config["lr_schedule"]`, if there is one, sets the learning rate of each epoch from `optimizer.lr`.

    Initial weights follow from the trial's seed, the order of the data from the study's seed and the epoch, everything
    random within an epoch (dropout) from the trial's seed and the epoch. So a trial gives the same numbers alone or
    beside others, in one piece or with breaks.

    Args:
        device: `auto`, or what `torch.device` takes.
        grad_clip: largest norm of a step's gradient; None is no limit. A trial's `objective.grad_clip` goes before.
        final: train on the training and validation data together; there are no validation metrics then.
        threads: CPU threads of this process's torch, supplied by whoever runs the trial; None leaves them alone.

    Raises:
        ConfigError: an argument is wrong.
    """

    unit = "epoch"

    def __init__(
        self,
        device: str = "auto",
        grad_clip: float | None = None,
        final: bool = False,
        threads: int | None = None,
    ) -> None:
        found = grad_clip_problems(grad_clip)
        try:
            self.device = resolve(device)
        except ConfigError as error:
            found += error.problems
        if found:
            raise ConfigError(found)
        if threads is not None:
            torch.set_num_threads(threads)
        self.grad_clip = grad_clip
        self.final = final
        self.metrics: tuple[str, ...] = ("train_loss", "seconds")
        if not final:
            self.metrics = ("validation_error", "validation_loss", *self.metrics)
        self._datasets: dict[str, Splits] = {}

    def start(self, config: Mapping[str, Any], seed: int) -> TrainingState:
        data = self._data(config["dataset"])
        torch.manual_seed(seed)
        model: nn.Module = build(config["model"], "model", input_shape=data.input_shape, n_classes=data.n_classes)
        model.to(self.device)
        optimizer, node = _optimizer(config["optimizer"], model), config.get("lr_schedule")
        schedule = None if node is None else Schedule(node, optimizer)
        return TrainingState(model, optimizer, data, config, seed, schedule)

    def advance(self, state: TrainingState) -> Metrics:
        """One epoch, then the whole validation set. Returns all of `metrics` but the seconds, which the caller adds."""
        data = state.data
        [member] = self._members([state])
        train_loss = fused.train_alone(member, data.x_train, data.y_train)
        state.resource += 1
        metrics = {"train_loss": train_loss, **state.learning_rate()}
        if self.final:
            return metrics
        state.model.eval()
        error, loss = evaluate(state.model, data.x_validation, data.y_validation)
        return {"validation_error": error, "validation_loss": loss, **metrics}

    def fusion_key(self, state: TrainingState) -> Hashable | None:
        """Equal for trials that `advance_together` can take; None for one that can only be trained alone."""
        if type(state) is not TrainingState:
            return None  # its epochs may begin in another way
        key = fused.fusion_key(state.model, state.optimizer, state.batch_size)
        return None if key is None else (id(state.data), key)

    def advance_together(self, states: Sequence[TrainingState]) -> list[Metrics]:
        """`advance` for several trials with one `fusion_key`, as one program; in their order."""
        data = states[0].data
        places = sorted(range(len(states)), key=lambda i: _place(states[i]))
        members = self._members([states[i] for i in places])
        losses, stack = fused.train_together(members, data.x_train, data.y_train)
        metrics = [{"train_loss": loss, **states[i].learning_rate()} for i, loss in zip(places, losses, strict=True)]
        if not self.final:
            for model in (member.model for member in members):
                model.eval()
            scores = fused.evaluate_together(stack, data.x_validation, data.y_validation)
            metrics = [
                {"validation_error": error, "validation_loss": loss, **rest}
                for (error, loss), rest in zip(scores, metrics, strict=True)
            ]
        for state in states:
            state.resource += 1
        return [metrics[places.index(i)] for i in range(len(states))]

    def fusion_gain(self, states: Sequence[TrainingState]) -> float:
        """How many times as fast these trials train together as one by one: measured on copies, for a few steps."""
        return fusion_cost.gain(self._sorted(states), states[0].data.x_train, states[0].data.y_train)

    def fusion_cost(self, states: Sequence[TrainingState]) -> FusionCost:
        """What it costs to train trials like these together, measured on four copies."""
        four = self._sorted(list(itertools.islice(itertools.cycle(states), 4)))
        return fusion_cost.measure(four, states[0].data.x_train, states[0].data.y_train)

    def _sorted(self, states: Sequence[TrainingState]) -> list[fused.Member]:
        """The trials' parts in a pack, in the order in which `fused` takes them."""
        return self._members(sorted(states, key=_place))

    def _members(self, states: Sequence[TrainingState]) -> list[fused.Member]:
        """The trials' parts in a pack, about to train their next epochs."""
        orders: dict[tuple[int, int], Tensor] = {}
        members: list[fused.Member] = []
        for state in states:
            state.begin_epoch()
            study_seed, epoch = state.config["seed"], state.resource
            if (study_seed, epoch) not in orders:
                orders[study_seed, epoch] = data_order(len(state.data.y_train), study_seed, epoch).to(self.device)
            seed = derived_seed(state.seed, "epoch", epoch)
            grad_clip = state.config.get("objective", {}).get("grad_clip", self.grad_clip)
            order = orders[study_seed, epoch]
            members.append(fused.Member(state.model, state.optimizer, order, state.batch_size, seed, grad_clip))
        return members

    def test(self, state: TrainingState) -> Metrics:
        """Scores the test set. For the one final training; tuning must never see these numbers."""
        dataset = _dataset(state.config["dataset"])
        x, y = (part.to(self.device) for part in dataset_checks.load_test(dataset, state.data))
        state.model.eval()
        error, loss = evaluate(state.model, x, y)
        return {"test_error": error, "test_loss": loss}

    def save(self, state: TrainingState, path: Path) -> None:
        torch.save(
            {
                "model": state.model.state_dict(),
                "optimizer": state.optimizer.state_dict(),
                "optimizer_config": dict(state.config["optimizer"]),
                "scheduled": state.schedule is not None,
                "random_state": torch.get_rng_state(),
                "resource": state.resource,
            },
            path,
        )

    def load(self, path: Path, config: Mapping[str, Any], seed: int) -> TrainingState:
        """The trial that was saved. Where the config differs from the saved trial's, the config's optimizer is right.

        Raises:
            StudyError: the file is no checkpoint, or one of another model or optimizer.
        """
        saved = checkpoint.read(path, self.device)
        state = self.start(config, seed)
        try:
            state.model.load_state_dict(saved["model"])
            state.optimizer.load_state_dict(saved["optimizer"])
            before = saved["optimizer_config"]
            if saved.get("scheduled"):  # the learning rate that was saved is that of one epoch
                before = {key: value for key, value in before.items() if key != "lr"}
            changed = {key: value for key, value in config["optimizer"].items() if before.get(key) != value}
            for group in state.optimizer.param_groups:
                group.update({key: value for key, value in changed.items() if key in group})
            torch.set_rng_state(saved["random_state"].cpu())
            state.resource = int(saved["resource"])
        except (RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
            reason = str(error).partition("\n")[0]
            raise checkpoint.unusable(path, f"does not fit the trial's model and optimizer ({reason})") from None
        return state

    def problems(self, config: Mapping[str, Any]) -> list[Problem]:
        """Everything that would keep `start` from working, found without data and before any trial."""
        return list(checks.problems(config))

    def model_problems(self, config: Mapping[str, Any]) -> list[Problem]:
        """What only a pass through the model shows: one of two examples on the CPU, where the data's shape is known."""
        return list(checks.model_problems(config))

    def available(self, config: Mapping[str, Any]) -> None:
        """Makes sure that the data is there, once, before workers ask for it, and can be used. May download.

        Data of this project's datasets are known; those of others are loaded once, and let go.

        Raises:
            StudyError: there is none.
            ConfigError: with all that is wrong with it.
        """
        checks.check_data(_dataset(config["dataset"]), test=self.final)

    def _data(self, node: Mapping[str, Any]) -> Splits:
        """The splits on the device; trials that differ in `batch_size` alone share them."""
        key = json.dumps(without_batch_size(node), sort_keys=True)
        if key not in self._datasets:
            while len(self._datasets) >= _KEPT_DATASETS:
                del self._datasets[next(iter(self._datasets))]
            self._datasets[key] = self._on_device(dataset_checks.load(_dataset(node)))
        return self._datasets[key]

    def _on_device(self, splits: Splits) -> Splits:
        x, y = splits.x_train, splits.y_train
        if self.final:
            x, y = torch.cat([x, splits.x_validation]), torch.cat([y, splits.y_validation])
            splits = replace(splits, x_validation=x[:0], y_validation=y[:0])
        return Splits(
            x.to(self.device),
            y.to(self.device),
            splits.x_validation.to(self.device),
            splits.y_validation.to(self.device),
            splits.n_classes,
        )


def _dataset(node: Mapping[str, Any]) -> Dataset:
    dataset: Dataset = build(without_batch_size(node), "dataset")
    return dataset


def _optimizer(node: Mapping[str, Any], model: nn.Module) -> torch.optim.Optimizer:
    """The config's optimizer, in its fused form where torch has one for these weights."""
    optimizer: torch.optim.Optimizer
    try:
        optimizer = build(node, "optimizer", params=list(model.parameters()), fused=True)
    except RuntimeError:  # what torch raises where it has none; whatever else is wrong is raised again below
        optimizer = build(node, "optimizer", params=list(model.parameters()))
    return optimizer


def _place(state: TrainingState) -> tuple[int, int]:
    """A trial's place in a pack: those with one batch size, and of them those at one epoch, beside each other."""
    return state.batch_size, state.resource
