"""Jobs in worker processes of this machine, of which none, nor anything that they started, is left behind.

A worker is forked from a server that has imported what the objective needs, and leads a process group of its own. The
group is ended when the worker is, by the tuner, and by the guardian where the tuner itself is gone.
"""

from __future__ import annotations

import atexit
import contextlib
import itertools
import multiprocessing
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from multiprocessing import connection, context, forkserver
from multiprocessing.process import BaseProcess
from types import ModuleType
from typing import Any

from hpo_pipeline import trust
from hpo_pipeline.executor.pool import Pool, check_arguments
from hpo_pipeline.executor.runner import PackSettings, StudySetup
from hpo_pipeline.executor.transport import Answer, Lost, Message, Transport
from hpo_pipeline.executor.worker import work
from hpo_pipeline.guardian import Guardian

TERM_SECONDS = 5.0
"""Time to end in good order, before a process is killed."""

ENDING_SECONDS = 1.0
"""From the end of a worker's pipe to its own, at most."""


@dataclass(frozen=True, slots=True)
class _Worker:
    """A worker process, the tuner's end of its pipe, and the index of its device."""

    process: BaseProcess
    pipe: connection.Connection
    device: int


class Processes(Transport):
    """Worker processes on this machine, each with its share of the cores, or one of the GPUs. A `Transport`.

    Args:
        objective: the `_target_` node.
        n_workers: processes at once; None for one a GPU, or one a core where there are none: of those that affinity and
            container limits leave to this process.
        devices: ids of the GPUs to spread the workers over; none for a study on the CPU.
    """

    works_in_wait = False
    capacity = 1

    def __init__(self, objective: Mapping[str, Any], n_workers: int | None, devices: Sequence[str] = ()) -> None:
        import joblib

        self.capacity = n_workers or len(devices) or int(joblib.cpu_count())
        self._devices = devices
        self._context = start_method(objective)
        self._guardian = Guardian()
        self._workers: dict[str, _Worker] = {}
        self._numbers = itertools.count()
        self._wakes, self._waker = connection.Pipe(duplex=False)

    def start(self, pack: PackSettings, avoided: Collection[str] = ()) -> str:
        counts = Counter(worker.device for worker in self._workers.values())
        device = min(range(len(self._devices)), key=counts.__getitem__, default=0)
        visible = {"CUDA_VISIBLE_DEVICES": self._devices[device]} if self._devices else {}
        environment = {**_variables(), **visible}
        pack = replace(pack, sharing=-(-self.capacity // max(1, len(self._devices))))
        name = str(next(self._numbers))
        if not self._workers:
            atexit.register(self.close)  # before Python waits for processes that aren't daemonic
        here, there = self._context.Pipe()
        # Not daemonic: a trial may start processes of its own.
        process = self._context.Process(target=work, args=(there, pack, name, environment), daemon=False)
        with _without_working_folder(), _without_main():
            process.start()
        there.close()
        assert process.pid is not None  # it was started
        self._guardian.add(process.pid)  # before it has anything to do
        self._workers[name] = _Worker(process, here, device)
        return name

    def send(self, worker: str, message: Message) -> bool:
        with contextlib.suppress(KeyError, OSError):
            if self._workers[worker].process.is_alive():
                self._workers[worker].pipe.send(message)
                return True
        return False

    def wait(self, timeout: float | None) -> list[str]:
        # A pipe alone doesn't tell that its worker died: what a trial has started may hold it open.
        sources: dict[Any, str] = {worker.pipe: name for name, worker in self._workers.items()}
        sources |= {worker.process.sentinel: name for name, worker in self._workers.items()}
        ready = connection.wait([*sources, self._wakes], timeout)
        if self._wakes in ready:
            self._wakes.recv_bytes()
        return list(dict.fromkeys(sources[source] for source in ready if source in sources))

    def receive(self, worker: str) -> Answer | Lost | None:
        process, pipe = self._workers[worker].process, self._workers[worker].pipe
        if not (alive := process.is_alive()):
            self._end(process)  # what trials have started, too: it may hold the pipe open
        with contextlib.suppress(EOFError, OSError):
            if pipe.poll():
                answer: Answer = pipe.recv()
                return answer
            if alive:
                return None
        process.join(ENDING_SECONDS)
        self.kill(worker)
        how = f"with exit code {process.exitcode}"
        if process.exitcode is not None and process.exitcode < 0:
            how = f"by signal {-process.exitcode}"
        return Lost(f"the worker process ended {how}")

    def kill(self, worker: str, *, show_where: bool = False) -> None:
        if ended := self._workers.pop(worker, None):
            shows_where = getattr(signal, "SIGUSR1", signal.SIGTERM)
            self._end(ended.process, number=shows_where if show_where else signal.SIGTERM)
            ended.pipe.close()

    def wake(self) -> None:
        with contextlib.suppress(OSError):  # it is closed
            if not self._wakes.poll():
                self._waker.send_bytes(b"")

    def _end(self, *processes: BaseProcess, number: int = signal.SIGTERM) -> None:
        """Sends a signal, waits, and kills those that are left with all that they have started."""
        for process in processes:
            _send(process, number)
        deadline = time.monotonic() + TERM_SECONDS
        for process in processes:
            process.join(max(0.0, deadline - time.monotonic()))
            _send(process, getattr(signal, "SIGKILL", signal.SIGTERM))
            process.join()
            assert process.pid is not None
            self._guardian.discard(process.pid)

    def close(self) -> None:
        self._end(*(worker.process for worker in self._workers.values()))
        for pipe in (*(worker.pipe for worker in self._workers.values()), self._wakes, self._waker):
            pipe.close()
        self._workers.clear()
        self._guardian.close()
        atexit.unregister(self.close)


class ProcessExecutor(Pool):
    """A pool of worker processes, each with one job at a time.

    Args:
        setup: the study's. Those that aren't named here are explained in `conf/executor/process.yaml`.
        devices: ids of the GPUs to spread the workers over; none for a study on the CPU.
    """

    def __init__(
        self,
        setup: StudySetup,
        devices: Sequence[str] = (),
        n_workers: int | None = None,
        threads_per_worker: int = 1,
        checkpoint_seconds: float = 30.0,
        job_timeout: float | None = None,
        max_retries: int = 1,
    ) -> None:
        check_arguments(
            checkpoint_seconds, job_timeout, max_retries, n_workers=n_workers, threads_per_worker=threads_per_worker
        )
        processes = Processes(setup.objective, n_workers, devices)
        super().__init__(setup, setup.pack(threads_per_worker, checkpoint_seconds), processes, job_timeout, max_retries)


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


def start_early(executor: Mapping[str, Any], objective: Mapping[str, Any], metrics: object = None) -> None:
    """Has the server that workers are forked from begin its imports, which take seconds, while the config is checked.

    Args:
        executor, objective: the nodes, which may be wrong. A module that isn't ours is not imported before the check.
        metrics: whether there are any that torchmetrics measures.
    """
    if not isinstance(executor, Mapping) or not isinstance(objective, Mapping):
        return
    kind = str(executor.get("_target_")).rpartition(".")[2]
    has_workers = kind == "ProcessExecutor" or (kind == "FusedExecutor" and executor.get("n_workers") != 1)
    ours = str(objective.get("_target_")).startswith("hpo_pipeline.objective.")
    if has_workers and ours and "forkserver" in multiprocessing.get_all_start_methods():
        start_method(objective, metrics)
        _variables()
        with _without_working_folder():
            forkserver.ensure_running()


_variables_so_far: set[str] = set()


def _variables() -> dict[str, str | None]:
    """The environment as it is now; None for what has been in it since the server of workers started."""
    _variables_so_far.update(os.environ)
    return {**dict.fromkeys(_variables_so_far), **os.environ, "PYTHONSAFEPATH": "1"}


def start_method(
    objective: Mapping[str, Any], metrics: object = None
) -> context.ForkServerContext | context.SpawnContext:
    """How workers start: from a server that has imported the objective once, where the system has that; else afresh.

    Not by forking the tuner: it has threads (MLflow, the table) that a fork would break. An objective that needs no
    torch has workers without it.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    chosen = multiprocessing.get_context("forkserver")
    module = str(objective.get("_target_")).rpartition(".")[0]
    needed = ["torchmetrics"] if metrics else []  # what each worker would import by itself, for seconds
    needed += ["torch._dynamo"] if objective.get("compile") is True else []
    chosen.set_forkserver_preload(["hpo_pipeline.executor.worker", *filter(None, [module]), *needed])
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


@contextlib.contextmanager
def _without_main() -> Iterator[None]:
    """Workers start without the program that started the study: it may be a script that would start it once more.

    Unless its own names are trusted: then its objective may be in there.
    """
    if any(entry.partition(".")[0] == "__main__" for entry in trust.trusted()):
        yield
        return
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
