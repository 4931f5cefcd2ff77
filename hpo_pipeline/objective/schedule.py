"""Learning-rate schedules: the learning rate of each epoch of a trial, by a scheduler of torch.optim."""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import (
    CosineAnnealingWarmRestarts,
    CyclicLR,
    LambdaLR,
    LRScheduler,
    OneCycleLR,
    ReduceLROnPlateau,
)

from hpo_pipeline.build import build, locate
from hpo_pipeline.checks import integer_problems, is_integer, is_number, value_problems
from hpo_pipeline.errors import ConfigError, Problem


class Schedule:
    """A function of the config and the epoch alone: no checkpoint holds it, and nothing that one holds changes it.

    The scheduler moves the rates of a stand-in, from where they are copied at the beginning of each epoch. So a trial
    whose config gets another `optimizer.lr` on its way goes on with that rate times the factor of its epoch, and it
    does not matter who takes the optimizer's steps.

    Args:
        node: the scheduler's config; its argument `optimizer` is supplied.
        optimizer: new, with the rates that the schedule begins from.

    Raises:
        ConfigError: `node` makes no scheduler that an epoch's number is enough for.
        ValueError: the scheduler refuses its arguments, or begins with a rate that is none.
    """

    def __init__(self, node: Mapping[str, Any], optimizer: Optimizer) -> None:
        self._node = node
        self._first = [float(group["lr"]) for group in optimizer.param_groups]
        self._begin()

    def _begin(self) -> None:
        self._rates = _Rates(self._first)
        scheduler = build(self._node, "lr_schedule", optimizer=self._rates)
        if isinstance(scheduler, ReduceLROnPlateau):
            what = f"{self._node['_target_']} follows a metric"
            mend = "take a schedule that follows the epoch, e.g. lr_schedule=cosine"
            raise ConfigError(Problem("_target_", f"{what}; {mend}"))
        self._scheduler = scheduler
        self._epoch = 0
        self._now = self._checked()

    def rates(self, epoch: int) -> list[float]:
        """The learning rate of each parameter group in `epoch`, counted from 0. An earlier one begins from the start.

        Raises:
            ValueError: it is no number that an optimizer can work with.
        """
        if epoch < self._epoch:
            self._begin()
        while self._epoch < epoch:
            self._rates.step()  # torch warns of a scheduler that is ahead of its optimizer
            self._scheduler.step()
            self._epoch += 1
            self._now = self._checked()
        return self._now

    def apply(self, optimizer: Optimizer, epoch: int) -> None:
        """Gives `optimizer` the learning rates of `epoch`, counted from 0."""
        for group, rate in zip(optimizer.param_groups, self.rates(epoch), strict=True):
            group["lr"] = rate

    def skip_to(self, epoch: int) -> None:
        """Looks at a later `epoch` without those in between, where the scheduler has a formula for it.

        Raises:
            ValueError: its rate is no number that an optimizer can work with.
        """
        if not (hasattr(self._scheduler, "_get_closed_form_lr") or isinstance(self._scheduler, _BY_EPOCH)):
            return
        self._epoch = epoch
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch would rather not be asked for an epoch
            try:
                self._scheduler.step(epoch)
            except OverflowError:
                raise ValueError(f"the learning rate of epoch {epoch + 1} would be too large a number") from None
        self._checked()

    def _checked(self) -> list[float]:
        rates = [float(group["lr"]) for group in self._rates.param_groups]
        for rate in rates:
            if not 0 <= rate < math.inf:
                raise ValueError(f"the learning rate of epoch {self._epoch + 1} would be {rate!r}")
        return rates


WALKED = 5000
"""Epochs that are looked at one by one, which takes about 0.1 s; of those beyond, some are, by formula."""


def check(node: Mapping[str, Any], optimizer: Optimizer, epochs: int) -> None:
    """Goes through the learning rates of the first epochs, for a new optimizer of one parameter group.

    Args:
        node: as for `Schedule`, with arguments that the scheduler's signature has.

    Raises:
        ConfigError: an argument is wrong: torch takes counts and factors as they come, and its schedulers then divide
            by zero, or give negative rates, in the middle of a trial.
        ValueError: the scheduler refuses its arguments, or gives a rate that is none.
    """
    if found := list(_argument_problems(node)):
        raise ConfigError(found)
    schedule = Schedule(node, optimizer)
    for epoch in range(min(epochs, WALKED)):
        schedule.rates(epoch)
    beyond = WALKED
    while beyond < epochs:
        beyond = min(2 * beyond, epochs)
        schedule.skip_to(beyond - 1)


def _argument_problems(node: Mapping[str, Any]) -> Iterator[Problem]:
    """What is wrong with the arguments that mean the same in every scheduler that has them."""
    yield from integer_problems(**{key: node[key] for key in ("T_max", "step_size") if key in node})
    # An eta_min above optimizer.lr is left alone: a space may well have rates on both sides of it.
    rates = {key: node[key] for key in ("gamma", "eta_min") if key in node}
    yield from value_problems("a number of at least 0", lambda value: is_number(value, 0), **rates)
    takes = inspect.signature(locate(node["_target_"], "lr_schedule")).parameters
    if "cycle_momentum" in takes and node.get("cycle_momentum", takes["cycle_momentum"].default) is not False:
        yield Problem("cycle_momentum", "set cycle_momentum: false; a schedule here moves the learning rate alone")


class _Rates(Optimizer):
    """Stands for an optimizer: learning rates and nothing else, so that schedules which move more are refused."""

    def __init__(self, rates: list[float]) -> None:
        super().__init__([{"params": [torch.zeros(1)], "lr": rate} for rate in rates], {})

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Does nothing."""


class WarmupCosineLR(LRScheduler):
    """Linear warm-up (Goyal et al. 2017, section 2.2), then cosine annealing (Loshchilov & Hutter 2017, eq. 5).

    With `w` warm-up epochs, epoch `e` from 0 has the learning rate

        e < w:          lr (e + 1) / (w + 1)
        w <= e <= T:    eta_min + (lr - eta_min) (1 + cos(pi (e - w) / (T - w))) / 2

    so epoch `w` is the first with the whole `lr`, and as in torch's cosine, `eta_min` would be that of epoch `T`.

    Args:
        T_max: epochs until the rate is at `eta_min`, those of the warm-up included; it stays there.
        warmup_epochs: fewer than `T_max`.
        eta_min: the lowest learning rate of the annealing.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        T_max: int,  # noqa: N803 (torch calls it so)
        warmup_epochs: int = 1,
        eta_min: float = 0.0,
    ) -> None:
        if problems := integer_problems(T_max=T_max):
            raise ConfigError(problems)
        if not is_integer(warmup_epochs, 0, T_max - 1):
            wanted = f"must be an integer from 0 to {T_max - 1} (T_max is {T_max})"
            raise ConfigError(Problem("warmup_epochs", wanted, warmup_epochs))
        self.T_max = T_max
        self.warmup_epochs = warmup_epochs
        self.eta_min = eta_min
        super().__init__(optimizer)

    def get_lr(self) -> list[Any]:
        epoch, warmup = self.last_epoch, self.warmup_epochs
        if epoch < warmup:
            return [rate * (epoch + 1) / (warmup + 1) for rate in self.base_lrs]
        done = min(1.0, (epoch - warmup) / (self.T_max - warmup))
        factor = (1 + math.cos(math.pi * done)) / 2
        return [self.eta_min + (rate - self.eta_min) * factor for rate in self.base_lrs]


_BY_EPOCH = (CosineAnnealingWarmRestarts, CyclicLR, LambdaLR, OneCycleLR, WarmupCosineLR)
"""Their rates follow from the epoch's number, not from the rate before. Others that do have a closed form, by name."""
