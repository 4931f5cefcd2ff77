"""Objective functions that misbehave; the workers of the tests import them under HPO_TRUST."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from typing import Any

import filelock

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
