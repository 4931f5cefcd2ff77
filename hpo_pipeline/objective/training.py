"""The training objective: a network trained by gradient descent on data in memory, one epoch at a time."""

from __future__ import annotations

import itertools
import json
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hpo_pipeline.build import build
from hpo_pipeline.dataset import Dataset, Splits
from hpo_pipeline.dataset import checks as dataset_checks
from hpo_pipeline.errors import ConfigError, Problem
from hpo_pipeline.objective import Metrics, TrialSpec, checkpoint, checks, loss, metrics, scoring
from hpo_pipeline.objective.checks import grad_clip_problems, told, without_batch_size
from hpo_pipeline.objective.device import resolve, visible_devices
from hpo_pipeline.objective.epoch import data_order, evaluate
from hpo_pipeline.objective.lazy_compiler import postpone_compiler
from hpo_pipeline.objective.loss import Loss, build_loss
from hpo_pipeline.objective.metrics import Measured
from hpo_pipeline.objective.packed import loss as packed_loss
from hpo_pipeline.objective.packed.cost import PackCost, measure_cost, measure_gain
from hpo_pipeline.objective.packed.epoch import Member, evaluate_pack, train_alone, train_pack
from hpo_pipeline.objective.packed.key import pack_key, why_alone
from hpo_pipeline.objective.schedule import Schedule
from hpo_pipeline.objective.scoring import Scores
from hpo_pipeline.seeding import derived_seed

postpone_compiler()

_KEPT_DATASETS = 2


@dataclass(slots=True)
class TrainingState:
    """A trial in the making.

    Attributes:
        model, optimizer: as the last epoch left them.
        loss: what its steps minimise.
        data: shared by all trials with the same dataset.
        config, seed: the trial's, as `start` got them.
        schedule: of the learning rate; None where the config has none.
        resource: epochs done.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    loss: Loss
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

    def measured(self) -> Measured | None:
        """The config's metrics, for one set of examples; None where there are none."""
        nodes = self.config.get("metrics")
        return Measured(nodes, self.data.task, self.data.y_train.device) if nodes else None

    def scores(self) -> Scores:
        """To score its model with, on one set of examples."""
        return Scores(self.data.task, self.loss, self.measured(), self.data.y_train.device)

    def end_epoch(self, train_loss: float, scored: Metrics | None) -> Metrics:
        """Counts the epoch that was just trained; `scored`: on the validation data, None if there are none."""
        self.resource += 1
        metrics = {f"validation_{name}": value for name, value in (scored or {}).items()}
        metrics["train_loss"] = train_loss
        if self.schedule is not None:  # it changes from epoch to epoch
            metrics["learning_rate"] = self.optimizer.param_groups[0]["lr"]
        return metrics


class Training:
    """Trains `config["model"]` on `config["dataset"]` with `config["optimizer"]`, minimising `config["loss"]`.

    What it reports of the validation data is told in scoring.py; `config["metrics"]` adds to it.
    `config["lr_schedule"]`, if there is one, sets the learning rate of each epoch from `optimizer.lr`.

    Initial weights follow from the trial's seed, the order of the data from the study's seed and the epoch, everything
    random within an epoch (dropout) from the trial's seed and the epoch. So a trial gives the same numbers alone or
    beside others, in one piece or with breaks.

    Args:
        device: `auto`, or what `torch.device` takes.
        grad_clip: largest norm of a step's gradient; None is no limit. A trial's `objective.grad_clip` goes before.
        final: train on the training and validation data together; there are no validation metrics then.
        threads: CPU threads of this process's torch, supplied by whoever runs the trial; None leaves them alone.

    What it does for which protocol of `hpo_pipeline.objective` is documented there.
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
            self.metrics = ("validation_loss", *self.metrics)
        self._datasets: dict[str, Splits] = {}

    def start(self, trial: TrialSpec) -> TrainingState:
        config = trial.config
        data = self._data(config["dataset"])
        torch.manual_seed(trial.seed)
        model: nn.Module = build(config["model"], "model", **told(data.input_shape, data.task))
        model.to(self.device)
        optimizer, node = _optimizer(config["optimizer"], model), config.get("lr_schedule")
        schedule = None if node is None else Schedule(node, optimizer)
        loss = build_loss(config.get("loss"), data.task, self.device)
        state = TrainingState(model, optimizer, loss, data, config, trial.seed, schedule)
        state.measured()  # what has to be imported for it takes seconds, and is no epoch's
        return state

    def advance(self, state: TrainingState) -> Metrics:
        """One epoch, then the whole validation set. Returns all of `metrics` but the seconds, which the caller adds."""
        data = state.data
        [member] = self._members([state])
        train_loss = train_alone(member, data.x_train, data.y_train)
        state.model.eval()
        scored = None if self.final else evaluate(state.model, data.x_validation, data.y_validation, state.scores())
        return state.end_epoch(train_loss, scored)

    def pack_key(self, state: TrainingState) -> Hashable | None:
        if self.why_alone(state):
            return None
        key = pack_key(state.model, state.optimizer, state.batch_size)
        return None if key is None else (id(state.data), state.loss.name, key)

    def why_alone(self, state: TrainingState) -> str:
        if type(state) is not TrainingState:
            return f"the epochs of a {type(state).__name__} may begin in another way"
        return packed_loss.why_alone(state.loss) or why_alone(state.model, state.optimizer)

    def advance_pack(self, states: Sequence[TrainingState]) -> list[Metrics]:
        data, ordered = states[0].data, sorted(states, key=_place)
        losses, stack = train_pack(self._members(ordered), data.x_train, data.y_train)
        for state in states:
            state.model.eval()
        scores: Sequence[Metrics | None] = [None] * len(states)
        if not self.final:
            measured = [state.measured() for state in ordered]
            scores = evaluate_pack(stack, data.x_validation, data.y_validation, data.task, measured)
        ended = zip(ordered, losses, scores, strict=True)
        metrics = {id(state): state.end_epoch(train_loss, scored) for state, train_loss, scored in ended}
        return [metrics[id(state)] for state in states]

    def pack_gain(self, states: Sequence[TrainingState]) -> float:
        members = self._members(sorted(states, key=_place))
        return measure_gain(members, states[0].data.x_train, states[0].data.y_train)

    def pack_cost(self, states: Sequence[TrainingState]) -> PackCost:
        four = self._members(sorted(itertools.islice(itertools.cycle(states), 4), key=_place))
        return measure_cost(four, states[0].data.x_train, states[0].data.y_train)

    def _members(self, states: Sequence[TrainingState]) -> list[Member]:
        """The trials' parts in a pack, about to train their next epochs."""
        orders: dict[tuple[int, int], Tensor] = {}
        members: list[Member] = []
        for state in states:
            state.begin_epoch()
            study_seed, epoch = state.config["seed"], state.resource
            if (study_seed, epoch) not in orders:
                orders[study_seed, epoch] = data_order(len(state.data.y_train), study_seed, epoch).to(self.device)
            seed = derived_seed(state.seed, "epoch", epoch)
            grad_clip = state.config.get("objective", {}).get("grad_clip", self.grad_clip)
            order = orders[study_seed, epoch]
            members.append(Member(state.model, state.optimizer, order, state.batch_size, seed, grad_clip, state.loss))
        return members

    def test(self, state: TrainingState) -> Metrics:
        dataset = _dataset(state.config["dataset"])
        x, y = (part.to(self.device) for part in dataset_checks.load_test(dataset, state.data))
        state.model.eval()
        return {f"test_{name}": value for name, value in evaluate(state.model, x, y, state.scores()).items()}

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

    def load(self, trial: TrialSpec, path: Path) -> TrainingState:
        """The trial that was saved. Where the config differs from the saved trial's, the config's optimizer is right.

        Raises:
            StudyError: the file is no checkpoint, or one of another model or optimizer.
        """
        saved = checkpoint.read(path, self.device)
        state = self.start(trial)
        try:
            state.model.load_state_dict(saved["model"])
            state.optimizer.load_state_dict(saved["optimizer"])
            before = saved["optimizer_config"]
            if saved.get("scheduled"):  # the learning rate that was saved is that of one epoch
                before = {key: value for key, value in before.items() if key != "lr"}
            changed = {key: value for key, value in trial.config["optimizer"].items() if before.get(key) != value}
            for group in state.optimizer.param_groups:
                group.update({key: value for key, value in changed.items() if key in group})
            torch.set_rng_state(saved["random_state"].cpu())
            state.resource = int(saved["resource"])
        except (RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
            reason = str(error).partition("\n")[0]
            raise checkpoint.unusable(path, f"does not fit the trial's model and optimizer ({reason})") from None
        return state

    def problems(self, config: Mapping[str, Any]) -> list[Problem]:
        return list(checks.problems(config))

    def model_problems(self, config: Mapping[str, Any]) -> list[Problem]:
        return list(checks.model_problems(config))

    def reported(self, config: Mapping[str, Any]) -> tuple[str, ...]:
        if self.final:
            return self.metrics
        measured = scoring.names(checks.known_task(config), config.get("metrics"))
        return (*(f"validation_{name}" for name in measured), "train_loss", "seconds")

    def available(self, config: Mapping[str, Any]) -> None:
        task = checks.check_data(_dataset(config["dataset"]), test=self.final)
        if task is not None and checks.known_task(config) is None:  # what could not be told beforehand
            found = [*loss.problems(config.get("loss"), task), *metrics.problems(config.get("metrics"), task)]
            if found:
                raise ConfigError(found)

    def devices(self) -> list[str]:
        return visible_devices() if self.device.type == "cuda" else []

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
        x_validation, y_validation = splits.x_validation, splits.y_validation
        if self.final:
            x, y = torch.cat([x, x_validation]), torch.cat([y, y_validation])
            x_validation, y_validation = x[:0], y[:0]
        x, y, x_validation, y_validation = (part.to(self.device) for part in (x, y, x_validation, y_validation))
        return Splits(x, y, x_validation, y_validation, task=splits.task)


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
