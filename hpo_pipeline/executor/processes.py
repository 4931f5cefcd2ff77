"""How worker processes start, and that none of them, nor anything that they started, is left behind.

A worker is forked from a server that has imported what the objective needs, and leads a process group of its own. The
group is ended when the worker is, by the tuner, and by the guardian where the tuner itself is gone.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from multiprocessing import connection, context, forkserver
from multiprocessing.process import BaseProcess
from typing import Any

from hpo_pipeline.executor import guardian
from hpo_pipeline.executor.runner import PackSettings
from hpo_pipeline.executor.worker import work

TERM_SECONDS = 5.0
"""Time to end in good order, before a process is killed."""


class Processes:
    """Worker processes of one tuner.

    Args:
        objective: the `_target_` node.
    """

    def __init__(self, objective: Mapping[str, Any]) -> None:
        self._context = start_method(objective)
        self._guardian: subprocess.Popen[bytes] | None = None
        self._told: set[int] = set()
        self._n_started = 0

    def start(self, pack: PackSettings, environment: Mapping[str, str]) -> tuple[BaseProcess, connection.Connection]:
        """A new worker, and this end of its pipe. It has nothing to do before the guardian knows of it."""
        here, there = self._context.Pipe()
        # Not daemonic: a trial may start processes of its own.
        process = self._context.Process(target=work, args=(there, pack, self._n_started, environment), daemon=False)
        with _without_working_folder():
            process.start()
        there.close()
        self._n_started += 1
        self._tell("+", process)
        return process, here

    def end(self, *processes: BaseProcess, number: int = signal.SIGTERM) -> None:
        """Sends a signal, waits, and kills those that are left with all that they have started."""
        for process in processes:
            _send(process, number)
        deadline = time.monotonic() + TERM_SECONDS
        for process in processes:
            process.join(max(0.0, deadline - time.monotonic()))
            _send(process, getattr(signal, "SIGKILL", signal.SIGTERM))
            process.join()
            self._tell("-", process)

    def close(self) -> None:
        """The guardian is not needed any more."""
        if self._guardian is not None:
            assert self._guardian.stdin is not None
            with contextlib.suppress(OSError):
                self._guardian.stdin.close()
            self._guardian.wait()
            self._guardian = None

    def _tell(self, what: str, process: BaseProcess) -> None:
        pid = process.pid
        if not hasattr(os, "killpg") or pid is None:
            return
        lines = [f"{what}{pid}"]
        if self._guardian is None or self._guardian.poll() is not None:
            command = [sys.executable, "-I", "-S", guardian.__file__]
            self._guardian = subprocess.Popen(command, stdin=subprocess.PIPE, bufsize=0, start_new_session=True)
            lines = [*(f"+{told}" for told in self._told), *lines]
        (self._told.add if what == "+" else self._told.discard)(pid)
        assert self._guardian.stdin is not None
        with contextlib.suppress(OSError):
            self._guardian.stdin.write("".join(f"{line}\n" for line in lines).encode())


def _send(process: BaseProcess, number: int) -> None:
    """Sends a signal to the process, if it is there, and to what it has started."""
    if process.pid is None:
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if process.is_alive():
            os.kill(process.pid, number)
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)


def start_early(executor: Mapping[str, Any], objective: Mapping[str, Any]) -> None:
    """Has the server that workers are forked from begin its imports, which take seconds, while the config is checked.

    Args:
        executor, objective: the nodes, which may be wrong. A module that isn't ours is not imported before the check.
    """
    if not isinstance(executor, Mapping) or not isinstance(objective, Mapping):
        return
    kind = str(executor.get("_target_")).rpartition(".")[2]
    has_workers = kind == "ProcessExecutor" or (kind == "FusedExecutor" and executor.get("n_workers") != 1)
    ours = str(objective.get("_target_")).startswith("hpo_pipeline.objective.")
    if has_workers and ours and "forkserver" in multiprocessing.get_all_start_methods():
        start_method(objective)
        with _without_working_folder():
            forkserver.ensure_running()


def start_method(objective: Mapping[str, Any]) -> context.ForkServerContext | context.SpawnContext:
    """How workers start: from a server that has imported the objective once, where the system has that; else afresh.

    Not by forking the tuner: it has threads (MLflow, the table) that a fork would break. An objective that needs no
    torch has workers without it.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    chosen = multiprocessing.get_context("forkserver")
    module = str(objective.get("_target_")).rpartition(".")[0]
    chosen.set_forkserver_preload(
        ["hpo_pipeline.executor.worker", *filter(None, [module]), "hpo_pipeline.objective.preloaded"]
    )
    return chosen


@contextlib.contextmanager
def _without_working_folder() -> Iterator[None]:
    """The server would look for modules in the working folder first; workers get the tuner's own search path."""
    before = os.environ.get("PYTHONSAFEPATH")
    os.environ["PYTHONSAFEPATH"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONSAFEPATH"]
        else:
            os.environ["PYTHONSAFEPATH"] = before
