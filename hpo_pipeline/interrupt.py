"""What ends a trial's code from outside: Ctrl-C, SIGTERM, and a time limit."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

_arrived: bool | None = None
"""Whether a signal asked for the study's end; None while nobody listens to them."""

AGAIN_SECONDS = 1.0
"""After so long a time limit is enforced again: the code may have swallowed the exception."""


@contextlib.contextmanager
def signals_as_interrupt() -> Iterator[None]:
    """Ctrl-C, SIGTERM (which clusters send before they kill) and SIGHUP (a lost terminal) raise KeyboardInterrupt.

    In the main thread alone; one that is ignored (`nohup`) stays so. Meanwhile `requested` can tell them from a
    KeyboardInterrupt that a trial raises by itself.
    """
    global _arrived

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        global _arrived
        _arrived = True
        raise KeyboardInterrupt

    if not _in_main_thread():
        yield
        return
    _arrived = False
    before = {number: signal.signal(number, interrupt) for number in _heard()}
    try:
        yield
    finally:
        _arrived = None
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def interrupts_held() -> Iterator[None]:
    """The same signals wait until the block, which must be short, is done.

    Libraries may turn a KeyboardInterrupt in their midst into an error of another kind.
    """
    if not _in_main_thread():
        yield
        return
    arrived: list[int] = []
    before = {number: signal.signal(number, lambda number, _: arrived.append(number)) for number in _heard()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if arrived:
            signal.raise_signal(arrived[0])


def _heard() -> list[signal.Signals]:
    """The signals that ask for the study's end; one that is ignored (`nohup`) stays so."""
    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    return [number for number in numbers if signal.getsignal(number) != signal.SIG_IGN]


def ignore_ctrl_c() -> None:
    """For a worker process: its tuner decides. From now on a KeyboardInterrupt here is a trial's own."""
    global _arrived
    _arrived = False
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def requested(error: BaseException | None = None) -> bool:
    """Whether a signal asked for the study's end.

    Args:
        error: what came out of a trial. Where nobody listens to signals, a KeyboardInterrupt is taken for one.
    """
    return isinstance(error, KeyboardInterrupt) if _arrived is None else _arrived


class TimeUp(BaseException):
    """The study's time is over in the middle of a trial."""


def pass_on(error: BaseException) -> None:
    """Raises again what came out of a trial and is not its own doing: the study's end."""
    if isinstance(error, TimeUp):
        raise error
    if requested(error):
        raise KeyboardInterrupt from error


@contextlib.contextmanager
def time_limit(seconds: float, error: BaseException) -> Iterator[None]:
    """Raises `error` in the block when `seconds` are over, and again each second until it leaves the block.

    Python raises it between two of its instructions: a call into C that doesn't return is not ended. Without effect
    outside the main thread, and on systems that have no interval timer.
    """
    if not hasattr(signal, "setitimer") or not _in_main_thread():
        yield
        return
    armed = True

    def expire(_number: int, _frame: FrameType | None) -> None:
        if armed:
            raise error

    before = signal.signal(signal.SIGALRM, expire)
    try:
        signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-6), AGAIN_SECONDS)
        yield
    finally:
        armed = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
