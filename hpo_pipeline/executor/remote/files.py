"""Checkpoints, best models and logs of a worker that doesn't see the study's folder: they travel to the tuner and back.

A job begins with the newest whole checkpoint of its trial that the tuner has, and what a worker has written is the
tuner's before the report that belongs to it is sent. A worker keeps nothing that another one may need.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterable
from multiprocessing import connection
from pathlib import Path
from typing import Any

from hpo_pipeline.atomic import remove
from hpo_pipeline.errors import StudyError, describe
from hpo_pipeline.executor.archive import read_archive, write_archive
from hpo_pipeline.executor.best_models import BestModel, BestModels
from hpo_pipeline.executor.checkpoints import Checkpoints
from hpo_pipeline.executor.runner import Task, append_log, log_path
from hpo_pipeline.executor.worker import Home
from hpo_pipeline.trial import Event, Notice, Result

_CHUNK = 1 << 20


class RemoteHome(Home):
    """The study's folder as a worker elsewhere has it: a folder of its own, and a connection to the tuner.

    Args:
        folder: the worker's own `trials` folder.
        connect: makes the connection; called when it is first needed.
    """

    def __init__(self, folder: Path, connect: Callable[[], connection.Connection]) -> None:
        self._folder = folder
        self._connect = connect
        self._pipe: connection.Connection | None = None
        self._logged: dict[int, int] = {}
        self._sent: dict[int, set[str]] = {}

    def fetch(self, task: Task) -> None:
        """Before the job begins: what it goes on from."""
        folder = self._folder / str(task.trial_id)
        self._drop_files(task.trial_id)
        if not task.recorded:
            return
        resource, best = self._ask("fetch", task.trial_id, task.recorded)
        folder.mkdir(parents=True, exist_ok=True)
        if best:  # its name alone: what there is to be better than
            (folder / best).touch()
            self._sent.setdefault(task.trial_id, set()).add(best)
        if resource:
            Checkpoints(self._folder).save(task.trial_id, resource, self._receive, midway=False)
            self._note_sent(task.trial_id)

    def hand_over(self, events: Iterable[Event]) -> None:
        """What the trials have written, before their events are told."""
        for event in events:
            if not isinstance(event, Notice):
                self._send_log(event.trial_id)
                self._send_files(event.trial_id)
                if isinstance(event, Result):
                    self._drop_files(event.trial_id)

    def forget(self, trial_id: int) -> None:
        """The trial goes on elsewhere, or nowhere."""
        self._logged.pop(trial_id, None)
        self._sent.pop(trial_id, None)
        with contextlib.suppress(OSError):
            remove(self._folder / str(trial_id))

    def _drop_files(self, trial_id: int) -> None:
        Checkpoints(self._folder).drop(trial_id)
        BestModels(self._folder).discard(trial_id)
        self._sent.pop(trial_id, None)

    def _note_sent(self, trial_id: int) -> None:
        names = (path.name for path in self._written(trial_id))
        self._sent.setdefault(trial_id, set()).update(names)

    def _written(self, trial_id: int) -> list[Path]:
        return [*Checkpoints(self._folder).paths(trial_id), *BestModels(self._folder).paths(trial_id)]

    def _send_files(self, trial_id: int) -> None:
        sent = self._sent.setdefault(trial_id, set())
        new = [path for path in self._written(trial_id) if path.name not in sent]
        for path in sorted(new, key=lambda path: path.suffix == ".ckpt"):  # best models first, as a pack writes them
            self._ask("keep", trial_id, path.name, path=path)
            sent.add(path.name)

    def _send_log(self, trial_id: int) -> None:
        try:
            with open(log_path(self._folder, trial_id), "rb") as file:
                file.seek(self._logged.get(trial_id, 0))
                new = file.read()
        except OSError:
            return
        if new:
            self._ask("log", trial_id, new)
            self._logged[trial_id] = self._logged.get(trial_id, 0) + len(new)

    def _receive(self, aside: Path) -> None:
        assert self._pipe is not None  # something was asked for
        _receive(self._pipe, aside)

    def _ask(self, what: str, *about: Any, path: Path | None = None) -> Any:
        if self._pipe is None:
            self._pipe = self._connect()
        self._pipe.send((what, about))
        if path is not None:
            _send(self._pipe, path)
        answer, error = self._pipe.recv()
        if error:
            raise StudyError(f"the tuner can't keep what trial {about[0]} has written: {error}")
        return answer


def serve_files(pipe: connection.Connection, folder: Path) -> None:
    """The tuner's end, until the worker is gone.

    Args:
        folder: the study's `trials` folder.
    """
    with contextlib.suppress(EOFError, OSError), pipe:
        while True:
            what, (trial_id, *more) = pipe.recv()
            about = int(trial_id), *more  # a number: no path that leads elsewhere
            answer: Any = None
            error = ""
            try:
                match what:
                    case "fetch":
                        _give(pipe, folder, *about)
                        continue
                    case "keep":
                        _keep(pipe, folder, *about)
                    case "log":
                        append_log(folder, *about)
            except (EOFError, ConnectionError):
                raise
            except (OSError, StudyError) as failure:
                error = describe(failure)
            pipe.send((answer, error))


def _give(pipe: connection.Connection, folder: Path, trial_id: int, at_most: int) -> None:
    """Answers with the resource of the checkpoint, the name of the best model, then the checkpoint itself."""
    best = next((path.name for path in BestModels(folder).paths(trial_id, at_most)), "")
    store = Checkpoints(folder)
    # Looked for first, and sent after the answer, which says whether there is one.
    found = store.load(trial_id, at_most, lambda path: path)
    pipe.send(((found.resource, best), ""))
    if found.resource:
        assert found.state is not None
        _send(pipe, found.state)


def _keep(pipe: connection.Connection, folder: Path, trial_id: int, name: str) -> None:
    """Keeps a file under the name that its content gives it, by the rules of its store."""
    received = _Once(pipe)
    try:
        if name.endswith(".best"):
            best = BestModel.named(name)
            BestModels(folder).save(trial_id, best, received)
        else:
            resource = int(name.split(".")[0])
            Checkpoints(folder).save(trial_id, resource, received, midway=name.endswith(".midway.ckpt"))
    finally:
        received.drain()


class _Once:
    """Takes one file or folder from the connection; what is not wanted is read all the same."""

    def __init__(self, pipe: connection.Connection) -> None:
        self._pipe = pipe
        self._stream: _Incoming | None = None

    def __call__(self, path: Path) -> None:
        self._stream = _Incoming(self._pipe)
        read_archive(self._stream, path)

    def drain(self) -> None:
        stream = self._stream or _Incoming(self._pipe)
        while stream.read(_CHUNK):
            pass


def _send(pipe: connection.Connection, path: Path) -> None:
    """A file or folder, as a tar archive in pieces; an empty piece is its end."""
    with io.BufferedWriter(_Outgoing(pipe), _CHUNK) as stream:
        write_archive(path, stream)
    pipe.send_bytes(b"")


def _receive(pipe: connection.Connection, path: Path) -> None:
    received = _Once(pipe)
    try:
        received(path)
    finally:
        received.drain()


class _Outgoing(io.RawIOBase):
    def __init__(self, pipe: connection.Connection) -> None:
        self._pipe = pipe

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        piece = bytes(data)
        if piece:
            self._pipe.send_bytes(piece)
        return len(piece)


class _Incoming:
    def __init__(self, pipe: connection.Connection) -> None:
        self._pipe = pipe
        self._rest = b""
        self._ended = False

    def read(self, size: int) -> bytes:
        while len(self._rest) < size and not self._ended:
            piece = self._pipe.recv_bytes()
            self._ended = not piece
            self._rest += piece
        found, self._rest = self._rest[:size], self._rest[size:]
        return found
