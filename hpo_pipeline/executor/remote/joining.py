"""The worker's end: a process on another machine comes to its tuner, and trains what it is sent."""

from __future__ import annotations

import contextlib
import faulthandler
import importlib
import os
import queue
import tempfile
import threading
import time
import traceback
from dataclasses import replace
from multiprocessing import connection
from pathlib import Path
from typing import Any

from hpo_pipeline.atomic import remove
from hpo_pipeline.executor.remote import ALIVE, BEATS, PING, PROBE, SHOW_WHERE, Farewell, FilesHello, Hello, Invitation
from hpo_pipeline.executor.remote.files import RemoteHome
from hpo_pipeline.executor.remote.links import without_delay
from hpo_pipeline.executor.runner import PackSettings
from hpo_pipeline.executor.transport import Answer
from hpo_pipeline.executor.worker import lead_group, serve
from hpo_pipeline.guardian import Guardian


def join(invitation: Invitation, name: str, node: str) -> None:
    """Trains for the tuner that has invited. This process ends when the tuner is gone, or has no more use for it.

    It has called `invitation.settle` before this module was imported.

    Args:
        name: of this worker.
        node: the machine's id.

    Raises:
        OSError: the tuner can't be reached.
        multiprocessing.AuthenticationError: it is another study's.
    """
    lead_group()
    guardian = Guardian()
    guardian.add(os.getpid())  # whatever ends this process, what its trials have started ends too
    with contextlib.suppress(AttributeError):
        os.register_at_fork(after_in_child=guardian.let_go)
    for module in invitation.modules:
        importlib.import_module(module)
    sees_folder = _sees_folder(invitation)
    link = _Link(_connect(invitation), invitation.heartbeat)
    link.say(Hello(name, node, os.getpid(), time.time(), sees_folder))
    link.listen()
    try:
        _train(link, invitation, name, sees_folder=sees_folder)
    except BaseException:
        traceback.print_exc()
    os._exit(1)


def _train(link: _Link, invitation: Invitation, name: str, *, sees_folder: bool) -> None:
    settings: PackSettings = link.recv()[1]
    if sees_folder:
        serve(link, settings, name)
        return
    link.scratch = Path(tempfile.mkdtemp(prefix="hpo_pipeline_"))
    folder = link.scratch / "trials"

    def connect() -> connection.Connection:
        pipe = _connect(invitation)
        pipe.send(FilesHello(name))
        return pipe

    serve(link, replace(settings, folder=folder), name, RemoteHome(folder, connect))


def _sees_folder(invitation: Invitation) -> bool:
    if not invitation.token:
        return False
    try:
        text = (invitation.folder / PROBE).read_text(encoding="utf-8")
        return text == invitation.token and os.access(invitation.folder, os.W_OK | os.X_OK)
    except (OSError, UnicodeError):
        return False


def _connect(invitation: Invitation) -> connection.Connection:
    pipe: connection.Connection = connection.Client(invitation.address, "AF_INET", authkey=invitation.key)
    without_delay(pipe)
    return pipe


class _Link:
    """A `Channel` to the tuner; it hears while the process trains, and ends it when the tuner is gone.

    Attributes:
        scratch: a folder to remove then.
    """

    def __init__(self, pipe: connection.Connection, heartbeat: float) -> None:
        self.scratch: Path | None = None
        self._pipe = pipe
        self._heartbeat = heartbeat
        self._inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._sending = threading.Lock()

    def poll(self) -> bool:
        return not self._inbox.empty()

    def recv(self) -> Any:
        return self._inbox.get()

    def send(self, obj: Answer, /) -> None:
        self.say(obj)

    def say(self, what: object) -> None:
        with self._sending:
            self._pipe.send(what)

    def listen(self) -> None:
        threading.Thread(target=self._hear, name="hpo tuner", daemon=True).start()

    def _hear(self) -> None:
        pause = self._heartbeat / BEATS
        heard = time.monotonic()
        beat = heard + pause
        try:
            while True:
                while self._pipe.poll(max(0.0, beat - time.monotonic())):
                    said = self._pipe.recv()
                    heard = time.monotonic()
                    if said == SHOW_WHERE:
                        faulthandler.dump_traceback(2)
                    elif said != PING:
                        self._inbox.put(said)
                now = time.monotonic()
                heard += now - beat  # this process itself was stopped, or starved
                beat = now + pause
                if now - heard > self._heartbeat:
                    self.say(Farewell(f"it has heard nothing of the tuner for {self._heartbeat:g} s"))
                    break
                self.say(ALIVE)
        except BaseException:
            pass  # the tuner is gone: there is nobody to tell
        if self.scratch is not None:
            with contextlib.suppress(OSError):
                remove(self.scratch)
        os._exit(0)  # whatever the process is at
