"""A worker process: takes tasks from its pipe, trains, sends back what happened.

tuner -> worker    ("run", Task) | ("decide", stop)
worker -> tuner    list[Event]
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from multiprocessing import connection, process
from pathlib import Path
from typing import Any

from hpo_pipeline.build import build
from hpo_pipeline.executor.runner import JobRunner, Task, trial_folder
from hpo_pipeline.trial import Event, Outcome, Report, Result


@dataclass(frozen=True, slots=True)
class WorkerSetup:
    """A worker's share of the study's setup; `environment` is set before anything is imported or built."""

    objective: Mapping[str, Any]
    metric: str
    folder: Path
    threads: int
    checkpoint_seconds: float
    environment: Mapping[str, str]


def work(pipe: connection.Connection, setup: WorkerSetup) -> None:
    """The process's main function. Ends when the tuner closes the pipe, or dies."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the tuner decides
    os.environ.update(setup.environment)
    _die_with_tuner()
    make = functools.partial(build, setup.objective, threads=setup.threads)
    runner = JobRunner(make, setup.metric, setup.folder, setup.checkpoint_seconds)
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            _, task = pipe.recv()
            with _output_to(trial_folder(setup.folder, task.trial_id) / "log.txt"):
                _run(pipe, runner, task)


def _run(pipe: connection.Connection, runner: JobRunner, task: Task) -> None:
    running = runner.run(task)
    for events in running:
        pipe.send(events)
        if _asks(events[0], task) and pipe.recv()[1]:
            running.close()  # type: ignore[attr-defined]
            stopped: list[Event] = [Result(task.trial_id, Outcome.STOPPED, time.time())]
            pipe.send(stopped)
            return


def _asks(event: Event, task: Task) -> bool:
    return isinstance(event, Report) and event.resource < task.resource and event.resource in task.decide_at


def _die_with_tuner() -> None:
    """Ends this process when its tuner dies, however that happened, even in the middle of an epoch."""
    parent = process.parent_process()
    if parent is None:
        return
    sentinel = parent.sentinel

    def watch() -> None:
        connection.wait([sentinel])
        os._exit(1)

    threading.Thread(target=watch, name="watch-tuner", daemon=True).start()


@contextlib.contextmanager
def _output_to(path: Path) -> Iterator[None]:
    """All that this process prints, its libraries in C too, goes to the end of the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
