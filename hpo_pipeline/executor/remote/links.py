"""The tuner's end of the connections to workers on other machines.

One thread hears them all; another one lets new ones in. What has arrived waits for the pool to take it up.
"""

from __future__ import annotations

import contextlib
import itertools
import secrets
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from multiprocessing import AuthenticationError, connection
from pathlib import Path

from hpo_pipeline.atomic import remove
from hpo_pipeline.errors import describe
from hpo_pipeline.executor.remote import BEATS, PING, PROBE, Farewell, FilesHello, Hello
from hpo_pipeline.executor.remote.files import serve_files
from hpo_pipeline.executor.transport import Answer, Lost, Message
from hpo_pipeline.trial import Notice

_BACKLOG = 1024
"""Workers that come at the same time."""
_PAUSE_SECONDS = 0.1


@dataclass(slots=True)
class _Link:
    """One worker's connection.

    Attributes:
        heard: when it last said something (monotonic).
        ahead: seconds that its clock is ahead of this one.
        inbox: what the pool hasn't taken up.
        is_lost: whether nothing more can arrive.
    """

    pipe: connection.Connection
    hello: Hello
    heard: float
    ahead: float
    inbox: deque[Answer | Lost] = field(default_factory=deque)
    is_lost: bool = False
    sending: threading.Lock = field(default_factory=threading.Lock)

    def send(self, message: object) -> bool:
        with contextlib.suppress(OSError), self.sending:
            self.pipe.send(message)
            return True
        return False


class Links:
    """Lets workers in that know the key, and carries messages to and from them.

    Args:
        host: the address of this machine that workers can reach.
        folder: the study's `trials` folder.
        heartbeat: seconds of silence after which a worker is given up.
        why_lost: (worker, its farewell, or what went wrong if that is known) -> what to tell of its end. It may take a
            few seconds.
        on_change: called when a worker has come or gone; from a thread.
        token: what workers are to find in the folder; empty if they are not to use it; None for one that nobody knows.

    Attributes:
        address: where workers are to come to.
        key: what they must know.
        token: what they find in the study's folder if they see it.
    """

    def __init__(
        self,
        host: str,
        folder: Path,
        heartbeat: float,
        why_lost: Callable[[Hello, Farewell | str], Lost],
        on_change: Callable[[], None] = lambda: None,
        token: str | None = None,
    ) -> None:
        self.key = secrets.token_bytes(32)
        self.token = secrets.token_hex(16) if token is None else token
        self._folder = folder
        self._heartbeat = heartbeat
        self._why_lost = why_lost
        self._on_change = on_change
        self._links: dict[str, _Link] = {}
        self._ready: dict[str, None] = {}
        self._woken = False
        self._closed = False
        self._changed = threading.Condition()
        folder.mkdir(parents=True, exist_ok=True)
        if self.token:
            (folder / PROBE).write_text(self.token, encoding="utf-8")
        self._listener = connection.Listener(
            (host, 0), "AF_INET", _BACKLOG
        )  # the key is asked for in a thread of its own
        self.address: tuple[str, int] = self._listener.address
        self._selector = selectors.DefaultSelector()
        self._wakes, self._waker = socket.socketpair()
        self._selector.register(self._wakes, selectors.EVENT_READ)
        self._numbers = itertools.count()
        self._threads = [
            threading.Thread(target=run, name=f"hpo links {run.__name__}", daemon=True)
            for run in (self._let_in, self._hear)
        ]
        for thread in self._threads:
            thread.start()

    # -- for the pool ----------------------------------------------------------------------------------------------

    def ready(self) -> dict[str, Hello]:
        """The workers that have come and aren't lost."""
        return {name: link.hello for name, link in list(self._links.items()) if not link.is_lost}

    def send(self, worker: str, message: Message) -> bool:
        link = self._links.get(worker)
        return link is not None and not link.is_lost and link.send(message)

    def wait(self, timeout: float | None) -> list[str]:
        """Blocks until something has arrived, somebody calls `wake`, or `timeout` seconds are over."""
        with self._changed:
            self._changed.wait_for(lambda: self._ready or self._woken, timeout)
            self._woken = False
            return list(self._ready)

    def receive(self, worker: str) -> Answer | Lost | None:
        """The next that has arrived; None if nothing has."""
        with self._changed:
            link = self._links.get(worker)
            found = link.inbox.popleft() if link is not None and link.inbox else None
            if link is None or not link.inbox:
                self._ready.pop(worker, None)
            return found

    def drop(self, worker: str) -> None:
        """Ends the connection, and with it the worker. Nothing more comes of it."""
        with self._changed:
            link = self._links.pop(worker, None)
            self._ready.pop(worker, None)
        if link is not None:
            link.is_lost = True
            with contextlib.suppress(KeyError, ValueError, OSError):
                self._selector.unregister(link.pipe)
            _shut(link.pipe)

    def wake(self) -> None:
        with self._changed:
            self._woken = True
            self._changed.notify_all()

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        for worker in list(self._links):
            self.drop(worker)
        with contextlib.suppress(OSError):  # accept() isn't ended by closing
            socket.create_connection(self.address, 1.0).close()
        self._waker.send(b"x")
        for thread in self._threads:
            thread.join(5.0)
        self._listener.close()
        self._selector.close()
        self._wakes.close()
        self._waker.close()
        with contextlib.suppress(OSError):
            remove(self._folder / PROBE)

    # -- threads ---------------------------------------------------------------------------------------------------

    def _let_in(self) -> None:
        while not self._closed:
            try:
                pipe = self._listener.accept()
            except OSError:
                time.sleep(_PAUSE_SECONDS)  # too many open files, if it isn't the end
                continue
            threading.Thread(target=self._greet, args=(pipe,), name="hpo greeting", daemon=True).start()

    def _greet(self, pipe: connection.Connection) -> None:
        """Who doesn't know the key is sent away; nothing that it says is unpickled."""
        try:
            connection.deliver_challenge(pipe, self.key)
            connection.answer_challenge(pipe, self.key)
            hello = pipe.recv()
        except (AuthenticationError, EOFError, OSError):
            pipe.close()
            return
        without_delay(pipe)
        if isinstance(hello, FilesHello):
            serve_files(pipe, self._folder)
            return
        now = time.monotonic()
        link = _Link(pipe, hello, now, hello.time - time.time())
        with self._changed:
            if self._closed:
                pipe.close()
                return
            self._links[hello.name] = link
            self._selector.register(pipe, selectors.EVENT_READ, link)
        self._waker.send(b"x")
        self._on_change()

    def _hear(self) -> None:
        pause = self._heartbeat / BEATS
        beat = time.monotonic() + pause
        while not self._closed:
            for key, _ in self._selector.select(max(0.0, beat - time.monotonic())):
                if key.data is None:
                    self._wakes.recv(4096)
                else:
                    self._take(key.data)
            now = time.monotonic()
            if now >= beat:
                late = now - beat  # this process itself was stopped, or starved
                beat = now + pause
                for link in list(self._links.values()):
                    link.heard += late
                    if now - link.heard > self._heartbeat:
                        self._lose(link, f"nothing was heard of it for {self._heartbeat:g} s")
                    elif not link.is_lost:
                        link.send(PING)

    def _take(self, link: _Link) -> None:
        """What has arrived of one worker."""
        try:
            said = link.pipe.recv()
        except (EOFError, OSError):
            self._lose(link, "")
            return
        except Exception as error:  # another version of what is sent
            self._lose(link, f"what it sends can't be read ({describe(error)})")
            return
        link.heard = time.monotonic()
        if isinstance(said, Answer):
            events = [e if isinstance(e, Notice) else replace(e, time=e.time - link.ahead) for e in said.events]
            self._arrived(link, replace(said, events=events))
        elif isinstance(said, Farewell):
            self._lose(link, said)

    def _lose(self, link: _Link, said: Farewell | str) -> None:
        if link.is_lost:
            return
        link.is_lost = True
        with contextlib.suppress(KeyError, ValueError, OSError):
            self._selector.unregister(link.pipe)
        _shut(link.pipe)

        def find_out() -> None:
            self._arrived(link, self._why_lost(link.hello, said))
            self._on_change()

        threading.Thread(target=find_out, name="hpo loss", daemon=True).start()

    def _arrived(self, link: _Link, what: Answer | Lost) -> None:
        with self._changed:
            if self._links.get(link.hello.name) is link:
                link.inbox.append(what)
                self._ready[link.hello.name] = None
                self._changed.notify_all()


def without_delay(pipe: connection.Connection) -> None:
    """Small messages go out at once: two in a row would wait for the first one's receipt (Nagle's algorithm)."""
    with socket.fromfd(pipe.fileno(), socket.AF_INET, socket.SOCK_STREAM) as copy:
        copy.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _shut(pipe: connection.Connection) -> None:
    """Closes it for the other end too, whoever else holds a copy of it."""
    with contextlib.suppress(OSError):
        with socket.fromfd(pipe.fileno(), socket.AF_INET, socket.SOCK_STREAM) as copy, contextlib.suppress(OSError):
            copy.shutdown(socket.SHUT_RDWR)
        pipe.close()
