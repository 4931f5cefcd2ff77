"""What a worker does: takes tasks from its pool, trains them as a pack, sends back what happened (`transport.py`).

After a result or a report at a milestone, the worker waits for "go": the pool sends it when it has said all that it has
to say, so that a stopped trial never gets another epoch, and a pack is full again before it goes on. The pool answers
at once; between two other epochs the worker only looks whether there is a message.
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
from multiprocessing import connection
from pathlib import Path

from hpo_pipeline import trust
from hpo_pipeline.executor.isolation import isolated
from hpo_pipeline.executor.pack import Pack
from hpo_pipeline.executor.runner import PackSettings, Task, open_log, output_path
from hpo_pipeline.executor.transport import Answer, Channel, Message
from hpo_pipeline.executor.trial_logging import log_to_standard_error
from hpo_pipeline.interrupt import ignore_ctrl_c
from hpo_pipeline.trial import Event, Result


def work(pipe: connection.Connection, settings: PackSettings, name: str, environment: Mapping[str, str | None]) -> None:
    """The main function of a worker process. Ends when the tuner closes the pipe.

    Args:
        name: the worker's.
        environment: variables to set, or to remove (None), before anything is built: the server that it comes from has
            those of the first study. What has read them when it was imported, torch for one, keeps what it read.
    """
    for key, value in environment.items():
        if value is None:
            os.environ.pop(key, None)
        else:
            os.environ[key] = value
    lead_group()
    code = 0
    try:
        serve(pipe, settings, name)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        pass  # the tuner has closed the pipe
    except BaseException:
        traceback.print_exc()
        code = 1
    os._exit(code)  # without waiting for what trials have started


def lead_group() -> None:
    """Makes this process the leader of a group, in which all stays that its trials start, and is ended with it."""
    ignore_ctrl_c()
    if hasattr(os, "setsid"):
        if os.getpgid(0) != os.getpid():
            os.setsid()
        # Children of a fork or of a spawn, not those of a server that has forked this process.
        multiprocessing.set_start_method("spawn" if sys.platform == "darwin" else "fork", force=True)
        # Before it dies of this signal, or crashes, the process shows in the trial's log where it was.
        faulthandler.enable(2)
        faulthandler.register(signal.SIGUSR1, 2, chain=True)


class Home:
    """Where the files of trials belong. A worker that sees the study's folder works there: nothing is to be done."""

    def fetch(self, task: Task) -> None:
        """Before a job begins: what it goes on from."""

    def hand_over(self, events: Sequence[Event]) -> None:
        """What the trials of these events have written, before the events are told."""

    def forget(self, trial_id: int) -> None:
        """Nothing of the trial is needed here any more."""


def serve(channel: Channel, settings: PackSettings, name: str, home: Home | None = None) -> None:
    """Trains what the pool sends, until the channel raises.

    Args:
        home: where the files belong, if `settings.folder` isn't the study's.
    """
    home = home or Home()
    trust.trust(settings.trusted)
    log_to_standard_error(settings.log_levels)
    pack = Pack(settings, functools.partial(_output, settings.folder, name))
    turn, go, waits = 0, -1, True

    def may_go_on() -> bool:
        full = pack.n_jobs >= pack.policy.size and not pack.asked
        return pack.n_jobs > 0 and (full or go == turn or not waits)

    while True:
        while channel.poll() or not may_go_on():
            what, about = channel.recv()
            if what == "go":
                go = about
            else:
                if what == "run" and not pack.holds(about):
                    home.fetch(about)
                take(pack, (what, about))
                if what == "forget":
                    home.forget(about)
        answer = advance(pack)
        home.hand_over(answer.events)
        turn, waits = turn + 1, answer.waits
        channel.send(answer)


def take(pack: Pack, message: Message) -> None:
    """Does what the pool says."""
    match message:
        case "run", task:
            pack.submit(task)
        case "stop", trial_id:
            pack.stop(trial_id)
        case "forget", trial_id:
            pack.forget(trial_id)


def advance(pack: Pack) -> Answer:
    """One turn."""
    events = pack.advance()
    waits = pack.asked or any(isinstance(event, Result) for event in events)
    return Answer(events, waits, pack.policy.size if pack.policy.settled else None)


@contextlib.contextmanager
def _output(folder: Path, name: str, trial_ids: Sequence[int], *, breakable: bool = True) -> Iterator[None]:
    """All that this process prints, its libraries in C too, goes to the end of a file."""
    file = open_log(output_path(folder, name, trial_ids))
    try:
        with isolated(file):
            yield
    finally:
        if file > 2:  # else it has taken the place of a stream that was closed
            with contextlib.suppress(OSError):
                os.close(file)
