"""A program that runs: what it prints, how it ends, and the end of all that it has started.

It leads a process group, in which it stays with what it starts. The group ends with it, and is ended by a guardian
where the process that has started it is gone. It trains on while nobody reads what it prints, until the pipe is full.
"""

from __future__ import annotations

import contextlib
import math
import os
import selectors
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hpo_pipeline.guardian import Guardian

_CHUNK = 1 << 16
_LEFT = 1 << 22
"""Bytes that are read of what an ended program has left in a pipe: more than a pipe holds."""
_KEPT = 1000
"""Lines of what a program prints when it was asked to end."""
_LONGEST = 1 << 20
"""Bytes; what is printed without an end of line is cut there."""


@dataclass(frozen=True, slots=True)
class Line:
    """What a program printed, without the end of the line. `may_report`: not on its standard error."""

    text: str
    may_report: bool


@dataclass(slots=True)
class _Stream:
    file: int
    may_report: bool
    rest: bytes = b""

    def take(self, chunk: bytes) -> list[Line]:
        """The lines that are whole now; at the end, with b"", what is left is one."""
        *whole, self.rest = (self.rest + chunk).split(b"\n")
        if self.rest and (not chunk or len(self.rest) > _LONGEST):
            whole, self.rest = [*whole, self.rest], b""
        return [Line(line.removesuffix(b"\r").decode("utf-8", "replace"), self.may_report) for line in whole]


class Running:
    """Starts a program.

    Args:
        words: the program and its arguments.
        environment: of the program; `HPO_REPORT` is added: a file to write reports to, beside the standard output.
        guardian: ends it when this process is gone.

    Raises:
        OSError: it can't be started.
    """

    def __init__(self, words: Sequence[str], environment: Mapping[str, str], guardian: Guardian) -> None:
        reports, theirs = os.pipe()
        ended, ends = os.pipe()
        own_group = {"process_group": 0} if hasattr(os, "killpg") else {}
        try:
            self._process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=(theirs,),
                env={**environment, "HPO_REPORT": f"/dev/fd/{theirs}"},
                **own_group,  # type: ignore[call-overload]
            )
        except BaseException:
            for file in (reports, ended, ends):
                os.close(file)
            raise
        finally:
            os.close(theirs)
        guardian.add(self._process.pid)
        self._guardian = guardian
        self._closed = False
        self._lines: deque[Line] = deque()
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._selector = selectors.DefaultSelector()
        self._ended = ended
        self._selector.register(ended, selectors.EVENT_READ, None)
        for file, may_report in (
            (self._process.stdout.fileno(), True),
            (reports, True),
            (self._process.stderr.fileno(), False),
        ):
            os.set_blocking(file, False)
            self._selector.register(file, selectors.EVENT_READ, _Stream(file, may_report))
        self._reports = reports
        # What it has started may hold its pipes open: their end doesn't tell its own.
        threading.Thread(target=self._wait, args=(ends,), daemon=True).start()

    def _wait(self, ends: int) -> None:
        self._process.wait()
        os.close(ends)

    @property
    def exit_code(self) -> int | None:
        """None while it runs; below 0 for the number of a signal."""
        code: int | None = self._process.returncode
        return code

    @property
    def has_lines(self) -> bool:
        """Whether `line` answers at once."""
        return bool(self._lines) or self._closed

    def line(self, deadline: float) -> Line | None:
        """The next line, or None at its end, when all is read.

        Args:
            deadline: by `time.monotonic`.

        Raises:
            TimeoutError: there was none until then.
        """
        while not self._lines:
            if self._closed:
                return None
            self._read(deadline)
        return self._lines.popleft()

    def _read(self, deadline: float) -> None:
        seconds = deadline - time.monotonic()
        if seconds <= 0:
            raise TimeoutError
        ready = self._selector.select(None if seconds == math.inf else seconds)
        for key, _ in ready:
            if key.data is None:
                self._finish()
                return
            self._lines += self._chunk(key.data)

    def _chunk(self, stream: _Stream) -> list[Line]:
        try:
            chunk = os.read(stream.file, _CHUNK)
        except BlockingIOError:
            return []
        if not chunk:
            self._selector.unregister(stream.file)
        return stream.take(chunk)

    def _left(self, stream: _Stream) -> list[Line]:
        """What is in the pipe still. Its end may not come: what has left the group may hold it open."""
        lines: list[Line] = []
        with contextlib.suppress(BlockingIOError):
            for _ in range(_LEFT // _CHUNK):
                if not (chunk := os.read(stream.file, _CHUNK)):
                    break
                lines += stream.take(chunk)
        return lines + stream.take(b"")

    def end(self, grace: float) -> None:
        """Asks it to end (SIGTERM), kills it after `grace` seconds if it hasn't; safe to call twice."""
        if self._closed:
            return
        self._signal(signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            deadline = time.monotonic() + grace
            while not self._closed:  # a program whose pipe is full waits for a reader
                self._read(deadline)
                while len(self._lines) > _KEPT:
                    self._lines.popleft()
        self._finish()

    def _finish(self) -> None:
        """Kills what is left of it, reads what that has printed, and gives everything back."""
        if self._closed:
            return
        self._closed = True
        self._signal(getattr(signal, "SIGKILL", signal.SIGTERM))
        self._process.wait()
        self._guardian.discard(self._process.pid)
        for key in list(self._selector.get_map().values()):
            if key.data is not None:
                self._lines += self._left(key.data)
        self._selector.close()
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._process.stdout.close()
        self._process.stderr.close()
        os.close(self._reports)
        os.close(self._ended)

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if hasattr(os, "killpg"):
                os.killpg(self._process.pid, number)
            else:
                self._process.send_signal(number)
