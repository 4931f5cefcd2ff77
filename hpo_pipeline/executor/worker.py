"""A worker process: takes tasks from its pipe, trains them as a pack, sends back what happened.

    tuner -> worker    ("run", Task) | ("stop", trial id) | ("forget", trial id) | ("go", turn)
    worker -> tuner    Answer

After a result or a report that the scheduler decides about, the worker waits for "go": the tuner sends it when it has
said all that it has to say, so that a stopped trial never gets another epoch, and a pack is full again before it goes
on. The tuner answers at once; between two other epochs the worker only looks whether there is anything in the pipe.
"""

from __future__ import annotations

import contextlib
import faulthandler
import functools
import multiprocessing
import os
import signal
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import connection
from pathlib import Path

from hpo_pipeline import trust
from hpo_pipeline.executor.isolation import isolated
from hpo_pipeline.executor.pack import Pack
from hpo_pipeline.executor.runner import PackSettings, log_path, open_log
from hpo_pipeline.interrupt import ignore_ctrl_c
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


def work(pipe: connection.Connection, setup: PackSettings, number: int, environment: Mapping[str, str]) -> None:
    """The process's main function. Ends when the tuner closes the pipe.

    Args:
        number: the worker's, among the study's.
        environment: set before anything is imported or built.
    """
    ignore_ctrl_c()
    os.environ.update(environment)
    if hasattr(os, "setsid"):
        # What trials start stays in this process's group, and is ended with it: children of a fork or of a spawn, not
        # those of the server that has forked this process.
        os.setsid()
        multiprocessing.set_start_method("spawn" if sys.platform == "darwin" else "fork", force=True)
        # Before it dies of this signal, or crashes, the process shows in the trial's log where it was.
        faulthandler.enable(2)
        faulthandler.register(signal.SIGUSR1, 2, chain=True)
    trust.trust(setup.trusted)
    code = 0
    try:
        _work(pipe, Pack(setup, functools.partial(_output, setup.folder, number)))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        pass  # the tuner has closed the pipe
    except BaseException:
        traceback.print_exc()
        code = 1
    os._exit(code)  # without waiting for what trials have started


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


@contextlib.contextmanager
def _output(folder: Path, number: int, trial_ids: Sequence[int], *, breakable: bool = True) -> Iterator[None]:
    """All that this process prints, its libraries in C too, goes to the end of a file.

    To the trial's log where one is at work. Of several together nobody can tell whose it is: the worker has a log for
    that, beside the trials.
    """
    path = log_path(folder, trial_ids[0]) if len(trial_ids) == 1 else folder.parent / "packs" / f"{number}.txt"
    file = open_log(path)
    try:
        with isolated(file):
            yield
    finally:
        if file > 2:  # else it has taken the place of a stream that was closed
            with contextlib.suppress(OSError):
                os.close(file)
