"""Ends a tuner's worker processes when the tuner is gone, however that happened.

A program of its own, so that neither a worker that holds its interpreter's lock nor a signal to the tuner's process
group matters. It reads lines from its standard input: `+<pid>` for a worker that was started, `-<pid>` for one that has
ended. When the input ends, the tuner has, and all workers that are left are killed with their process groups.
"""

import contextlib
import os
import signal
import sys


def main() -> None:
    pids: set[int] = set()
    for line in sys.stdin:
        (pids.add if line[0] == "+" else pids.discard)(int(line[1:]))
    for pid in pids:
        for kill in (os.kill, os.killpg):  # it makes its group when it begins
            with contextlib.suppress(ProcessLookupError, PermissionError):
                kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    main()
