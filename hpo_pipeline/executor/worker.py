"""A worker process: takes tasks from its pipe, trains them as a pack, sends back what happened.

    tuner -> worker    ("run", Task) | ("stop", trial id) | ("forget", trial id) | ("go", turn)
    worker -> tuner    Answer

After a result or a report that the scheduler decides about, the worker waits for "go": the tuner sends it when it has
said all that it has to say, so that a stopped trial never gets another epoch, and a pack is full again before it goes
on. The tuner answers at once; between two other epochs the worker only looks whether there is anything in the pipe.
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import connection, process
from pathlib import Path

from hpo_pipeline import trust
from hpo_pipeline.executor.pack import Pack
from hpo_pipeline.executor.runner import PackSetup, trial_folder
from hpo_pipeline.trial import Event, Result


@dataclass(frozen=True, slots=True)
class Answer:
    """What a worker sends after each turn.

    Attributes:
        waits: whether it waits for the tuner's "go" with the number of this turn. One that has no place free and
            nothing to be decided goes on without.
        size: jobs at once, if that is known.
    """

    events: list[Event]
    waits: bool
    size: int | None


def work(pipe: connection.Connection, setup: PackSetup, number: int, environment: Mapping[str, str]) -> None:
    """The process's main function. Ends when the tuner closes the pipe, or dies.

    Args:
        number: the worker's, among the study's.
        environment: set before anything is imported or built.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the tuner decides
    os.environ.update(environment)
    _die_with_tuner()
    trust.trust(setup.trusted)
    pack = Pack(setup, functools.partial(_output, setup.folder, number))
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        _work(pipe, pack)


def _work(pipe: connection.Connection, pack: Pack) -> None:
    turn, told, waits = 0, -1, True

    def may_go_on() -> bool:
        full = pack.n_jobs >= pack.size and not pack.asked
        return pack.n_jobs > 0 and (full or told == turn or not waits)

    while True:
        while pipe.poll() or not may_go_on():
            match pipe.recv():
                case "run", task:
                    pack.submit(task)
                case "stop", trial_id:
                    pack.stop(trial_id)
                case "forget", trial_id:
                    pack.forget(trial_id)
                case "go", told:
                    pass
        events = pack.advance()
        waits = pack.asked or any(isinstance(event, Result) for event in events)
        turn += 1
        pipe.send(Answer(events, waits, pack.size if pack.measured else None))


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
def _output(folder: Path, number: int, trial_ids: Sequence[int]) -> Iterator[None]:
    """All that this process prints, its libraries in C too, goes to the end of a file.

    To the trial's log where one is at work. Of several together nobody can tell whose it is: the worker has a log for
    that, beside the trials.
    """
    one = trial_folder(folder, trial_ids[0]) / "log.txt"
    path = one if len(trial_ids) == 1 else folder.parent / "packs" / f"{number}.txt"
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
