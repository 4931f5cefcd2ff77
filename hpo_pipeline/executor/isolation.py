"""What a trial's code does to the process that it shares with others is undone: streams, working folder."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any


class _Lent:
    """A stream that a trial can write to, and not close."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __enter__(self) -> _Lent:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.flush()

    def detach(self) -> None:
        raise OSError("a trial shares this stream with others")

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._stream.flush()


@contextlib.contextmanager
def isolated(output: int | None = None) -> Iterator[None]:
    """For the block, in which a trial's code runs, the working folder and the standard streams are lent.

    Afterwards they are as they were, wherever that code went and whatever it closed. A copy of this process that it
    forked ends here, if it comes so far: it must not do this one's work a second time.

    Args:
        output: the file descriptor that stands behind both streams from now on; None to leave them where they lead.
    """
    process = os.getpid()
    home = _opened(lambda: os.open(".", os.O_RDONLY))
    saved = [_opened(lambda n=n: os.dup(n if output is None else output)) for n in (1, 2)]  # type: ignore[misc]
    if output is not None:
        _restore(saved)
    streams = _usable(sys.stdout, 1), _usable(sys.stderr, 2)
    sys.stdout, sys.stderr = _Lent(streams[0]), _Lent(streams[1])
    try:
        yield
    finally:
        if os.getpid() != process:
            os._exit(0)
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):  # by now it may be one of the trial's own
                stream.flush()
        sys.stdout, sys.stderr = streams
        _restore(saved)
        if home is not None:
            with contextlib.suppress(OSError):
                os.fchdir(home)
        for file in (home, *saved):
            if file is not None:
                with contextlib.suppress(OSError):
                    os.close(file)


def _opened(make: Callable[[], int]) -> int | None:
    """A new file descriptor; None where there is nothing to open (a program may be started without streams)."""
    with contextlib.suppress(OSError):
        return make()
    return None


def _restore(saved: list[int | None]) -> None:
    for number, file in zip((1, 2), saved, strict=True):
        if file is not None:
            with contextlib.suppress(OSError):
                os.dup2(file, number)


def _usable(stream: Any, number: int) -> Any:
    """The stream, or another one to the same file descriptor where a trial closed it from beneath."""
    if getattr(stream, "closed", True):
        return open(number, "w", encoding="utf-8", errors="backslashreplace", closefd=False)
    return stream
