"""What the trials of tortured studies call: a curve in closed form that takes a moment, and trials that misbehave."""

from __future__ import annotations

import ctypes
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

UNIT_SECONDS = 0.004


def closed_form(lr: float, resource: int) -> float:
    """Learning curves that cross: small rates end lower, large ones fall faster."""
    z = math.log10(lr)
    return 0.2 + 0.01 * (z + 3) ** 2 + 0.5 * (1 + resource) ** -(0.8 + 0.1 * z)


def curve(config: Mapping[str, Any], resource: int, seed: int) -> dict[str, float]:
    """One unit of resource takes long enough for a signal to come in the middle of it."""
    time.sleep(float(os.environ.get("UNIT_SECONDS", UNIT_SECONDS)))
    return {"error": closed_form(config["optimizer"]["lr"], resource)}


class _UnprintableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("its text can't be had either")


def _raise(error: BaseException) -> None:
    raise error


def _sleeping_child() -> None:
    subprocess.Popen(["sleep", "1000"])


def _fork() -> None:
    if os.fork() == 0:
        time.sleep(1000)


def _forked_copy() -> None:
    """The copy goes on as if it were the worker."""
    os.fork()


def _endless_thread() -> None:
    threading.Thread(target=threading.Event().wait).start()


def _recursion() -> None:
    _recursion()


def _spin() -> None:
    while True:
        pass


def _delete_own_folder() -> None:
    shutil.rmtree(Path(os.environ["STUDY"]) / "trials" / os.environ["BAD_TRIAL"], ignore_errors=True)


def _close_all() -> None:
    os.closerange(0, 256)


DEEDS: dict[str, Callable[[], Any]] = {
    "closes sys.stdout": lambda: sys.stdout.close(),
    "closes sys.stderr": lambda: sys.stderr.close(),
    "sys.stdout is None": lambda: setattr(sys, "stdout", None),
    "closes file 1": lambda: os.close(1),
    "closes file 2": lambda: os.close(2),
    "closes all files": _close_all,
    "sys.exit(0)": lambda: sys.exit(0),
    "sys.exit('text')": lambda: sys.exit("text"),
    "os._exit(0)": lambda: os._exit(0),
    "os._exit(3)": lambda: os._exit(3),
    "raises": lambda: _raise(ValueError("no")),
    "raises what has no text": lambda: _raise(_UnprintableError()),
    "raises an empty text": lambda: _raise(ValueError("")),
    "raises lone surrogates": lambda: _raise(ValueError("\ud800 \udcff")),
    "raises ten megabytes": lambda: _raise(ValueError("x" * 10_000_000)),
    "raises many lines": lambda: _raise(ValueError("\n\n\x00\x1b[31m")),
    "raises KeyboardInterrupt": lambda: _raise(KeyboardInterrupt()),
    "raises GeneratorExit": lambda: _raise(GeneratorExit()),
    "raises StopIteration": lambda: _raise(StopIteration()),
    "raises BaseException": lambda: _raise(BaseException("base")),
    "raises MemoryError": lambda: _raise(MemoryError()),
    "raises EOFError": lambda: _raise(EOFError()),
    "raises BrokenPipeError": lambda: _raise(BrokenPipeError()),
    "recursion": _recursion,
    "chdir": lambda: os.chdir("/"),
    "hangs": lambda: time.sleep(1000),
    "spins": _spin,
    "kills itself": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "terminates itself": lambda: os.kill(os.getpid(), signal.SIGTERM),
    "segmentation fault": lambda: ctypes.string_at(0),
    "abort": lambda: os.abort(),
    "leaves a child": _sleeping_child,
    "leaves a fork": _fork,
    "forks and both go on": _forked_copy,
    "leaves a thread": _endless_thread,
    "prints 20 MB": lambda: [print("x" * 1_000_000) for _ in range(20)],
    "prints bytes": lambda: os.write(1, bytes(range(256)) * 100),
    "ignores signals": lambda: [signal.signal(number, signal.SIG_IGN) for number in (2, 10, 12, 15)],
    "resets signals": lambda: [signal.signal(number, signal.SIG_DFL) for number in (2, 10, 12, 15, 17)],
    "clears the environment": lambda: os.environ.clear(),
    "reseeds and patches": lambda: [random.seed(0), setattr(time, "time", lambda: 0.0)],
    "deletes its folder": _delete_own_folder,
    "umask": lambda: os.umask(0o777),
}
"""What a trial may do before it reports as usual."""

REPORTS: dict[str, Any] = {
    "NaN": {"error": float("nan")},
    "inf": {"error": float("inf")},
    "-inf": {"error": -float("inf")},
    "a string": {"error": "0.5"},
    "a wrong string": {"error": "x"},
    "None": {"error": None},
    "a list": {"error": [0.1]},
    "a huge integer": {"error": 10**400},
    "a complex number": {"error": 1j},
    "no metric": {"other": 0.1},
    "no metrics at all": {},
    "not a mapping": [0.1],
    "nothing": None,
    "further metrics": {"error": 0.1, "other": 1.0, "é": 2, "": 3, "\ud800": 4},
    "a metric of another type": {"error": 0.1, 1: 2.0},
    "seconds of its own": {"error": 0.1, "seconds": float("nan")},
}
"""What it may report."""


_BAD = (int(os.environ.get("BAD_TRIAL", -1)), int(os.environ.get("BAD_AT", -1)))
_WHAT = os.environ.get("MISBEHAVIOUR", "")  # read now: one of them clears the environment


def misbehaving(config: Mapping[str, Any], resource: int, seed: int) -> dict[str, float]:
    """`curve`; the trial BAD_TRIAL does at resource BAD_AT what MISBEHAVIOUR says."""
    usual = {"error": closed_form(config["optimizer"]["lr"], resource)}
    if (config["trial"], resource) != _BAD:
        return usual
    if _WHAT in REPORTS:
        return REPORTS[_WHAT]  # type: ignore[no-any-return]
    DEEDS[_WHAT]()
    return usual
