"""Objective functions that misbehave; the workers of the tests import them under HPO_TRUST."""

from __future__ import annotations

import asyncio
import fcntl
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import filelock

from hpo_pipeline.objective import TrialSpec

LOCK = filelock.FileLock("alive.lock")


def curve(config: Mapping[str, Any], resource: int, seed: int) -> dict[str, float]:
    """What the trial's sample asks for: x below 0 raises, above 1 ends the process, else a value.

    At 4, the process ends in the second unit of resource.
    """
    x = config["x"]
    print(f"resource {resource}")
    if x == -1:
        raise RuntimeError("no\nsuch luck")
    if x == -2:
        return {"other": 1.0}
    if x == 2:
        os._exit(7)
    if x == 3:
        os.abort()
    if x == 4 and resource == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return {"loss": x / resource + seed * 1e-30, "pid": float(os.getpid()), "threads": config["threads"]}


def one_ends(config: Mapping[str, Any], resource: int, seed: int) -> dict[str, float]:
    """Trials are the better the lower their number; number 1 ends its process."""
    if config["trial"] == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return {"loss": config["trial"] + 1 / resource}


def endless(config: Mapping[str, Any], resource: int, seed: int) -> dict[str, float]:
    """Holds a lock as long as its process lives; the second unit of resource never ends."""
    if resource == 1:
        LOCK.acquire()
        return {"loss": 0.0}
    while True:
        time.sleep(60)


class UnprintableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


def raises(error: BaseException) -> Callable[[], None]:
    def act() -> None:
        raise error

    return act


def closes_streams() -> None:
    print("before")
    sys.stdout.close()
    sys.stderr.close()


def closes_descriptors() -> None:
    os.close(1)
    os.close(2)


def goes_away() -> None:
    os.chdir("/")


DEEDS: dict[str, Callable[[], object]] = {
    "closes streams": closes_streams,
    "closes descriptors": closes_descriptors,
    "goes away": goes_away,
    "exits": raises(SystemExit(0)),
    "exits with a text": raises(SystemExit("enough")),
    "closes a generator": raises(GeneratorExit()),
    "is cancelled": raises(asyncio.CancelledError()),
    "interrupts": raises(KeyboardInterrupt()),
    "goes on twice": lambda: [os.fork(), None][1],
    "has a text that UTF-8 can't hold": raises(RuntimeError("caf\udce9")),
    "has no text": raises(UnprintableError()),
    "can't be pickled": raises(RuntimeError(lambda: None)),
    "returns nothing": lambda: None,
    "returns a list": lambda: [1.0],
    "reports text": lambda: {"loss": "0.5"},
    "reports a list": lambda: {"loss": [0.5]},
    "reports a number as a name": lambda: {"loss": 0.5, 3: 1.0},
    "reports a complex number": lambda: {"loss": 1j},
    "hangs": lambda: time.sleep(600),
    "hangs in C": lambda: re.match(r"(a+)+$", "a" * 60 + "b"),
}


class Deeds:
    """An objective that does what the trial's `x` names, in its second unit of resource."""

    unit = "step"
    metrics = ()

    def __init__(self, deed: str = "good") -> None:
        pass

    def start(self, trial: TrialSpec) -> dict[str, Any]:
        config = trial.config
        return {"x": config["objective"]["deed"] if "objective" in config else config["x"], "resource": 0}

    def advance(self, state: dict[str, Any]) -> Any:
        state["resource"] += 1
        print(f"{state['x']} at {state['resource']}")
        if state["resource"] == 2 and state["x"] in DEEDS:
            deed = DEEDS[state["x"]]()
            if deed is not None or state["x"] == "returns nothing":
                return deed
        return {"loss": 1 / state["resource"]}

    def save(self, state: dict[str, Any], path: Path) -> None:
        path.write_text(str(state["resource"]))

    def load(self, trial: TrialSpec, path: Path) -> dict[str, Any]:
        return {**self.start(trial), "resource": int(path.read_text())}


def waits_for_a_file(config: Mapping[str, Any], resource: int, seed: int) -> dict[str, float]:
    """The second unit of resource takes until the file `go` is there."""
    while resource == 2 and not Path("go").exists():
        time.sleep(0.01)
    return {"loss": 1 / resource}


def swallows(config: Mapping[str, Any], resource: int, seed: int) -> dict[str, float]:
    """What is raised in it first is lost."""
    try:
        time.sleep(600)
    except BaseException:
        time.sleep(600)
    return {"loss": 1.0}


def leaves_a_child(config: Mapping[str, Any], resource: int, seed: int) -> dict[str, float]:
    """A child that holds a lock, and all that its parent has open, as long as it lives.

    In the second unit of resource the parent holds its interpreter's lock and doesn't return.
    """
    if resource == 2:
        DEEDS["hangs in C"]()
    lock = os.open("child.lock", os.O_CREAT | os.O_RDWR)
    fcntl.flock(lock, fcntl.LOCK_EX)
    if os.fork() == 0:
        time.sleep(600)
        os._exit(0)
    os.close(lock)
    return {"loss": 1.0, "pid": float(os.getpid())}


def modules(config: Mapping[str, Any], resource: int, seed: int) -> dict[str, float]:
    return {"loss": float("torch" in sys.modules)}


def reads_the_environment(config: Mapping[str, Any], resource: int, seed: int) -> dict[str, float]:
    return {"loss": float(os.environ.get("LEVEL", "0")), "safe": float(os.environ["PYTHONSAFEPATH"])}


def loads_data(config: Mapping[str, Any], resource: int, seed: int) -> dict[str, float]:
    """Through a DataLoader with two processes of its own."""
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    loader = DataLoader(TensorDataset(torch.arange(10.0)), batch_size=2, num_workers=2)
    return {"loss": float(sum(batch.sum() for (batch,) in loader))}


def interrupted(config: Mapping[str, Any], resource: int, seed: int) -> dict[str, float]:
    os.kill(os.getpid(), signal.SIGINT)
    raise AssertionError("went on after Ctrl-C")


def swallows_ctrl_c(config: Mapping[str, Any], resource: int, seed: int) -> dict[str, float]:
    try:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(600)
    except BaseException:
        pass
    return {"loss": 1.0}


class Sum:
    """Its state is the sum of the trial's `x` over the units of resource; the larger, the better."""

    unit = "step"
    metrics = ("loss",)

    def start(self, trial: TrialSpec) -> list[float]:
        return [trial.config["x"], 0.0]

    def advance(self, state: list[float]) -> dict[str, float]:
        state[1] += state[0]
        return {"loss": -state[1]}

    def save(self, state: list[float], path: Path) -> None:
        path.write_text(repr(state[1]))

    def load(self, trial: TrialSpec, path: Path) -> list[float]:
        return [trial.config["x"], float(path.read_text())]


class Writes(Sum):
    """Counts its units of resource in a file of the trial's own, and notes what it is closed with."""

    def start(self, trial: TrialSpec) -> list[Any]:
        return [trial.config["x"], 0.0, trial.directory]

    def advance(self, state: list[Any]) -> dict[str, float]:
        with open(state[2] / "units.txt", "a") as file:
            file.write("x")
        if state[0] == -1:
            raise RuntimeError("no luck")
        return super().advance(state)

    def load(self, trial: TrialSpec, path: Path) -> list[Any]:
        return [*super().load(trial, path), trial.directory]

    def close(self, state: list[Any]) -> None:
        with open("closed.txt", "a") as file:
            file.write(f"{state[0]} at {-state[1]}\n")


class Aimed(Sum):
    """Reports how far it was told to go."""

    def set_target(self, state: list[float], units: int) -> None:
        state[:] = [0.0, float(units)]

    def advance(self, state: list[float]) -> dict[str, float]:
        return {"loss": state[-1]}


class HangsInAPack(Sum):
    """Trials hang when they are trained as a pack."""

    def pack_key(self, state: list[float]) -> int:
        return 0

    def pack_gain(self, states: list[list[float]]) -> float:
        return 2.0

    def pack_cost(self, states: list[list[float]]) -> None:
        """Not asked for: the size of the pack is given."""

    def advance_pack(self, states: list[list[float]]) -> None:
        time.sleep(600)
