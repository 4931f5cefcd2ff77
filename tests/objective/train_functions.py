"""Functions that train, for the tests of those that run them; some misbehave."""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hpo_pipeline.objective.reporting import Trial

Config = Mapping[str, Any]


def _begin(trial: Trial) -> float:
    """The weight of a new trial, or the one that was saved; notes which epochs are trained."""
    if trial.checkpoint is None:
        return float(np.random.default_rng(trial.seed).random())
    return float(json.loads(trial.checkpoint.read_text()))


def _trained(config: Config, trial: Trial, epoch: int, weight: float) -> float:
    """A step with all of the global random numbers; the epoch is noted."""
    with open(trial.directory / "epochs", "a") as file:
        file.write(f"{epoch} ")
    return weight * 0.5 + config["params"]["lr"] + random.random() + float(np.random.rand())  # noqa: NPY002


def _saving(weight: float) -> Callable[[Path], object]:
    return lambda path: path.write_text(json.dumps(weight))


def loop(config: Config, trial: Trial) -> None:
    weight = _begin(trial)
    for epoch in trial.epochs():
        weight = _trained(config, trial, epoch, weight)
        trial.report(epoch, checkpoint=_saving(weight), loss=weight)


def generator(config: Config, trial: Trial) -> Iterator[dict[str, Any]]:
    weight = _begin(trial)
    for epoch in trial.epochs():
        weight = _trained(config, trial, epoch, weight)
        yield {"loss": weight, "checkpoint": _saving(weight)}


def by_file(config: Config, trial: Trial) -> None:
    """Keeps its weight in one file, every second epoch."""
    weight = _begin(trial)
    for epoch in trial.epochs():
        weight = _trained(config, trial, epoch, weight)
        (trial.directory / "last.json").write_text(json.dumps(weight))
        trial.report(epoch, checkpoint=trial.directory / "last.json" if epoch % 2 == 0 else None, loss=weight)


def forgetful(config: Config, trial: Trial) -> None:
    """Keeps no checkpoints."""
    weight = _begin(trial)
    for epoch in trial.epochs():
        weight = _trained(config, trial, epoch, weight)
        trial.report(epoch, loss=weight)


def three_epochs(config: Config, trial: Trial) -> None:
    for epoch in range(trial.resource + 1, 4):
        trial.report(epoch, checkpoint=Path.touch, loss=config["params"].get("lr", 0) + 1 / epoch)


def one_value(config: Config, trial: Trial) -> dict[str, float]:
    return {"loss": config["params"]["lr"]}


def nothing(config: Config, trial: Trial) -> None:
    pass


def no_yield(config: Config, trial: Trial) -> Iterator[dict[str, float]]:
    yield from ()


def a_number(config: Config, trial: Trial) -> float:
    return 0.5


def yields_none(config: Config, trial: Trial) -> Iterator[None]:
    yield None


def twice(config: Config, trial: Trial) -> None:
    trial.report(1, loss=1.0)
    trial.report(1, loss=1.0)


def from_zero(config: Config, trial: Trial) -> None:
    for epoch in range(3):
        trial.report(epoch, loss=1.0)


def always_from_one(config: Config, trial: Trial) -> None:
    for epoch in range(1, 9):
        trial.report(epoch, checkpoint=Path.touch, loss=1.0)


def skips_an_epoch(config: Config, trial: Trial) -> None:
    for epoch in trial.epochs():
        if epoch != 2:
            trial.report(epoch, loss=1.0)


def no_such_file(config: Config, trial: Trial) -> None:
    trial.report(1, checkpoint="nowhere.pt", loss=1.0)


def writes_nothing(config: Config, trial: Trial) -> None:
    trial.report(1, checkpoint=lambda path: None, loss=1.0)


def raises(config: Config, trial: Trial) -> None:
    trial.report(1, loss=1.0)
    raise ValueError("no such luck")


def interrupts(config: Config, trial: Trial) -> None:
    raise KeyboardInterrupt


def tidies_up(config: Config, trial: Trial) -> None:
    try:
        for epoch in trial.epochs():
            trial.report(epoch, loss=1.0)
    except Exception:
        (trial.directory / "wrong").touch()
    finally:
        (trial.directory / "tidied").touch()


def tidies_up_generator(config: Config, trial: Trial) -> Iterator[dict[str, float]]:
    try:
        while True:
            yield {"loss": 1.0}
    finally:
        (trial.directory / "tidied").touch()


def busy(config: Config, trial: Trial) -> None:
    trial.report(1, loss=1.0)
    try:
        while True:
            time.sleep(0.001)
    finally:
        (trial.directory / "tidied").touch()


def clings(config: Config, trial: Trial) -> None:
    while trial.resource < 9:
        try:
            trial.report(trial.resource + 1, loss=1.0)
        except BaseException:
            (trial.directory / "tidied").touch()


def reports_threads(config: Config, trial: Trial) -> None:
    import torch

    trial.report(1, loss=float(torch.get_num_threads()), threads=trial.threads, pid=os.getpid())


async def asynchronous(config: Config, trial: Trial) -> None:
    pass


def of_one(config: Config) -> None:
    pass


def plain(config: Config, resource: int, seed: int) -> dict[str, float]:
    return {"loss": 1.0}


def by_gate(config: Config, trial: Trial) -> None:
    """`loop`, which stands still before its third epoch while GATE is set."""
    weight = _begin(trial)
    for epoch in trial.epochs():
        while epoch == 3 and "GATE" in os.environ:
            time.sleep(60)
        weight = _trained(config, trial, epoch, weight)
        trial.report(epoch, checkpoint=_saving(weight), loss=weight)
