"""The training objective: a network trained by gradient descent on data in memory, one epoch at a time."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hpo_pipeline.build import build
from hpo_pipeline.dataset import Dataset, MapSplits, Splits
from hpo_pipeline.dataset import checks as dataset_checks
from hpo_pipeline.dataset.fingerprint import DataSplit, data_splits
from hpo_pipeline.errors import ConfigError, Problem, first_line
from hpo_pipeline.objective import Metrics, TrialSpec, checkpoint, checks, loss, metrics, options, saved_model, scoring
from hpo_pipeline.objective.checks import own_arguments, told
from hpo_pipeline.objective.device import resolve, visible_devices
from hpo_pipeline.objective.epoch import data_order, evaluate
from hpo_pipeline.objective.lazy_compiler import postpone_compiler
from hpo_pipeline.objective.loader import (
    Loading,
    Part,
    evaluation_batches,
    joined,
    n_train,
    training_batches,
    validation_part,
)
from hpo_pipeline.objective.loss import build_loss
from hpo_pipeline.objective.options import Options
from hpo_pipeline.objective.packed import loss as packed_loss
from hpo_pipeline.objective.packed.cost import PackCost, measure_cost, measure_gain
from hpo_pipeline.objective.packed.epoch import Member, evaluate_pack, train_on, train_pack
from hpo_pipeline.objective.packed.key import pack_key, why_alone
from hpo_pipeline.objective.patience import patience_of
from hpo_pipeline.objective.precision import in_precision, scaler
from hpo_pipeline.objective.schedule import Schedule
from hpo_pipeline.objective.step import Step
from hpo_pipeline.objective.training_state import N_PARAMETERS, TrainingState
from hpo_pipeline.seeding import derived_seed

postpone_compiler()

_KEPT_DATASETS = 2


class Training:
    """Trains `config["model"]` on `config["dataset"]` with `config["optimizer"]`, minimising `config["loss"]`.

    What it reports of the validation data is told in scoring.py; `config["metrics"]` adds to it.
    `config["lr_schedule"]`, if there is one, sets the learning rate of each epoch from `optimizer.lr`.

    Initial weights follow from the trial's seed, the order of the data from the study's seed and the epoch, everything
    random within an epoch (dropout) from the trial's seed and the epoch. So a trial gives the same numbers alone or
    beside others, in one piece or with breaks.

    Random changes to training examples follow from the trial's seed, the epoch and the batch, whoever loads them.

    Args:
        device: `auto`, or what `torch.device` takes.
        grad_clip, accumulate, precision, compile, patience: see `Options`; what a trial's config says goes before.
            There is no patience in a final training, which has no validation data.
        final: train on the training and validation data together; there are no validation metrics then.
        threads: CPU threads of this process's torch, supplied by whoever runs the trial; None leaves them alone.

    What it does for which protocol of `hpo_pipeline.objective` is documented there.
    """

    unit = "epoch"
    metrics_on_demand = (N_PARAMETERS,)

    def __init__(
        self,
        device: str = "auto",
        grad_clip: float | None = None,
        accumulate: int = 1,
        precision: str = "float32",
        compile: bool = False,
        patience: int | None = None,
        final: bool = False,
        threads: int | None = None,
    ) -> None:
        self.options = Options(grad_clip, accumulate, precision, compile, patience)
        found: list[Problem] = []
        known: torch.device | None = None
        try:
            self.device = known = resolve(device)
        except ConfigError as error:
            found += error.problems
        if found := options.problems(dataclasses.asdict(self.options), known) + found:
            raise ConfigError(found)
        if threads is not None:
            torch.set_num_threads(threads)
        self.final = final
        self.metrics: tuple[str, ...] = ("train_loss", "seconds")
        if not final:
            self.metrics = ("validation_loss", *self.metrics)
        self._datasets: dict[str, Splits | MapSplits] = {}

    def start(self, trial: TrialSpec) -> TrainingState:
        config = trial.config
        data = self._data(config["dataset"])
        torch.manual_seed(trial.seed)
        model: nn.Module = build(config["model"], "model", **told(data.input_shape, data.task))
        model.to(self.device)
        optimizer, node = _optimizer(config["optimizer"], model), config.get("lr_schedule")
        schedule = None if node is None else Schedule(node, optimizer)
        loss = build_loss(config.get("loss"), data.task, self.device)
        state = TrainingState(
            model,
            optimizer,
            loss,
            data,
            config,
            trial.seed,
            Loading.of(config["dataset"], self.device),
            own := self.options.of(config),
            schedule,
            None if self.final else patience_of(own.patience, config),
            scaler(own.precision, self.device),
            torch.compile(model) if own.compile else None,
        )
        state.measured()  # what has to be imported for it takes seconds, and is no epoch's
        return state

    def advance(self, state: TrainingState) -> Metrics:
        """One epoch, then the whole validation set. Returns all of `metrics` but the seconds, which the caller adds."""
        [member] = self._members([state])
        own, data = state.options, state.data
        step = Step(state.optimizer, member.grad_clip, own.accumulate, state.scaler)
        with contextlib.closing(training_batches(data, member.order, state.loading, member.seed)) as batches:
            train_loss = train_on(member, batches, step, self.device, own.precision, state.compiled)
        return state.end_epoch(train_loss, None if self.final else self._scored(state, validation_part(data)))

    def _scored(self, state: TrainingState, part: Part) -> Metrics:
        """The model's scores on a part of the data."""
        state.model.eval()
        forward = in_precision(state.model, state.options.precision, self.device)
        with contextlib.closing(evaluation_batches(part, state.loading)) as batches:
            return evaluate(forward, batches, state.scores())

    def finished(self, state: TrainingState) -> str:
        return "" if state.patience is None else state.patience.over

    def pack_key(self, state: TrainingState) -> Hashable | None:
        if self.why_alone(state):
            return None
        key = pack_key(state.model, state.optimizer, state.batch_size)
        return None if key is None else (id(state.data), state.loss.name, key)

    def why_alone(self, state: TrainingState) -> str:
        if type(state) is not TrainingState:
            return f"the epochs of a {type(state).__name__} may begin in another way"
        if why := state.loading.why_alone(state.data) or state.options.why_alone:
            return why
        return packed_loss.why_alone(state.loss) or why_alone(state.model, state.optimizer)

    def advance_pack(self, states: Sequence[TrainingState]) -> list[Metrics]:
        data, ordered = _in_memory(states), sorted(states, key=_place)
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
        data = _in_memory(states)
        return measure_gain(members, data.x_train, data.y_train)

    def pack_cost(self, states: Sequence[TrainingState]) -> PackCost:
        four = self._members(sorted(itertools.islice(itertools.cycle(states), 4), key=_place))
        data = _in_memory(states)
        return measure_cost(four, data.x_train, data.y_train)

    def _members(self, states: Sequence[TrainingState]) -> list[Member]:
        """The trials' parts in a pack, about to train their next epochs."""
        orders: dict[tuple[int, int], Tensor] = {}
        members: list[Member] = []
        for state in states:
            state.begin_epoch()
            study_seed, epoch = state.config["seed"], state.resource
            if (study_seed, epoch) not in orders:
                orders[study_seed, epoch] = data_order(n_train(state.data), study_seed, epoch).to(self.device)
            seed = derived_seed(state.seed, "epoch", epoch)
            order, grad_clip = orders[study_seed, epoch], state.options.grad_clip
            members.append(Member(state.model, state.optimizer, order, state.batch_size, seed, grad_clip, state.loss))
        return members

    def test(self, state: TrainingState) -> Metrics:
        dataset = _dataset(state.config["dataset"])
        scored = self._scored(state, dataset_checks.load_test(dataset, state.data))
        return {f"test_{name}": value for name, value in scored.items()}

    def save(self, state: TrainingState, path: Path) -> None:
        torch.save(
            {
                "model": state.model.state_dict(),
                "optimizer": state.optimizer.state_dict(),
                "optimizer_config": dict(state.config["optimizer"]),
                "scheduled": state.schedule is not None,
                "random_state": torch.get_rng_state(),
                "resource": state.resource,
                "patience": None if state.patience is None else state.patience.saved(),
                "scaler": None if state.scaler is None else state.scaler.state_dict(),
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
            if state.patience is not None:
                state.patience.restore(saved.get("patience"))
            if state.scaler is not None and saved.get("scaler") is not None:
                state.scaler.load_state_dict(saved["scaler"])
        except (RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
            why = first_line(str(error))
            raise checkpoint.unusable(path, f"does not fit the trial's model and optimizer ({why})") from None
        return state

    def snapshot(self, state: TrainingState) -> saved_model.Snapshot:
        return saved_model.snapshot(state.model, state.data.input_shape, state.data.task)

    def save_model(self, snapshot: saved_model.Snapshot, path: Path) -> None:
        saved_model.write(snapshot, path)

    def load_model(self, config: Mapping[str, Any], path: Path) -> nn.Module:
        return saved_model.build_from(config.get("model"), path)

    def input_shape(self, path: Path) -> tuple[int, ...] | None:
        return saved_model.read(path).input_shape

    def problems(self, config: Mapping[str, Any]) -> list[Problem]:
        own = ConfigError(options.problems(config.get("objective") or {}, self.device)).under("objective").problems
        return [*own, *checks.problems(config)]

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

    def data_splits(self, config: Mapping[str, Any]) -> list[DataSplit]:
        node = own_arguments(config["dataset"])
        return data_splits(_dataset(node), node, final=self.final)

    def devices(self) -> list[str]:
        return visible_devices() if self.device.type == "cuda" else []

    def _data(self, node: Mapping[str, Any]) -> Splits | MapSplits:
        """The splits, those in memory on the device; trials that differ in `TRAINING_KEYS` alone share them."""
        key = json.dumps(own_arguments(node), sort_keys=True)
        if key not in self._datasets:
            while len(self._datasets) >= _KEPT_DATASETS:
                del self._datasets[next(iter(self._datasets))]
            self._datasets[key] = self._on_device(dataset_checks.load(_dataset(node)))
        return self._datasets[key]

    def _on_device(self, splits: Splits | MapSplits) -> Splits | MapSplits:
        if isinstance(splits, MapSplits):
            return joined(splits) if self.final else splits
        x, y = splits.x_train, splits.y_train
        x_validation, y_validation = splits.x_validation, splits.y_validation
        if self.final:
            x, y = torch.cat([x, x_validation]), torch.cat([y, y_validation])
            x_validation, y_validation = x[:0], y[:0]
        x, y, x_validation, y_validation = (part.to(self.device) for part in (x, y, x_validation, y_validation))
        return Splits(x, y, x_validation, y_validation, task=splits.task)


def _dataset(node: Mapping[str, Any]) -> Dataset:
    dataset: Dataset = build(own_arguments(node), "dataset")
    return dataset


def _in_memory(states: Sequence[TrainingState]) -> Splits:
    """The data of trials that can be in a pack."""
    data = states[0].data
    assert isinstance(data, Splits)  # or they had no pack_key
    return data


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
