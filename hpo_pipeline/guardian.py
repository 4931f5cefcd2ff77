"""Ends processes, and all in their process groups, when the process that watches over them is gone.

The guardian is a program of its own, so that neither a process that holds its interpreter's lock nor a signal to a
process group matters. It reads lines from its standard input: `+<pid>` for a process that was started, `-<pid>` for one
that has ended. When the input ends, whoever wrote has, and all that are left are killed with their groups.
"""

import contextlib
import os
import signal
import subprocess
import sys


class Guardian:
    """The way to it; it is started when there is something to guard, and anew if somebody ended it."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._guarded: set[int] = set()

    def add(self, pid: int) -> None:
        """A process that leads its group, or will, was started."""
        self._tell("+", pid)
        self._guarded.add(pid)

    def discard(self, pid: int) -> None:
        """It has ended, and so has its group."""
        self._tell("-", pid)
        self._guarded.discard(pid)

    def _tell(self, what: str, pid: int) -> None:
        if not hasattr(os, "killpg"):
            return
        lines = [f"{what}{pid}"]
        if self._process is None or self._process.poll() is not None:
            command = [sys.executable, "-I", "-S", __file__]
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, bufsize=0, start_new_session=True)
            lines = [*(f"+{guarded}" for guarded in self._guarded), *lines]
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.write("".join(f"{line}\n" for line in lines).encode())

    def let_go(self) -> None:
        """For a copy of this process that was forked: the guardian watches over the original alone."""
        if self._process is not None and self._process.stdin is not None:
            os.close(self._process.stdin.fileno())
            self._process = None

    def close(self) -> None:
        """Kills what is left; safe to call twice."""
        if self._process is not None:
            assert self._process.stdin is not None
            with contextlib.suppress(OSError):
                self._process.stdin.close()
            self._process.wait()
            self._process = None
            self._guarded.clear()


def main() -> None:
    """The program."""
    pids: set[int] = set()
    for line in sys.stdin:
        (pids.add if line[0] == "+" else pids.discard)(int(line[1:]))
    for pid in pids:
        for kill in (os.kill, os.killpg):  # it makes its group when it begins
            with contextlib.suppress(ProcessLookupError, PermissionError):
                kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    main()
