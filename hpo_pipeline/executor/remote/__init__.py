"""Workers on other machines: how tuner and worker reach each other, whoever has started the worker there.

Links         the tuner's end: who has come, what they say, who is silent (`links.py`)
join          the worker's end: it comes to the tuner, and trains what it is sent (`joining.py`)
Home          where a worker's checkpoints and logs go that doesn't see the study's folder (`files.py`)

    worker -> tuner    Hello, ALIVE, Answer, ALIVE, ..., or Farewell
    tuner -> worker    ("pack", PackSettings), then what `transport.py` says; PING; SHOW_WHERE

Both ends say something every quarter of `Invitation.heartbeat` seconds. A worker that hears nothing for so long ends
itself, and one that isn't heard for so long is given up: so nobody works on for a tuner that has given it up.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

ALIVE = "alive"
PING = ("ping", None)
SHOW_WHERE = ("show where", None)
BEATS = 4
"""Signs of life in the time after which silence counts."""


@dataclass(frozen=True, slots=True)
class Invitation:
    """What a worker needs to come to its tuner; plain data.

    Attributes:
        address: host and port of the tuner's `Links`.
        key: the secret that proves to each that the other belongs to the study.
        heartbeat: seconds of silence after which the other is given up.
        folder: the study's `trials` folder.
        token: what stands in the file `folder / PROBE`: who reads it sees the folder, and not another one of that name.
        working_folder: the tuner's, which relative paths in configs start from; taken where it is there.
        path: folders where the tuner finds modules.
        environment: variables to set, or to remove (None), before anything is imported.
        modules: to import while there is nothing to do yet.
    """

    address: tuple[str, int]
    key: bytes
    heartbeat: float
    folder: Path
    token: str
    working_folder: str
    path: tuple[str, ...] = ()
    environment: Mapping[str, str | None] = field(default_factory=dict)
    modules: tuple[str, ...] = ()

    def settle(self) -> None:
        """Sets what a process of the tuner's own machine inherits: before NumPy is imported, which reads some of it."""
        for key, value in self.environment.items():
            if value is None:
                os.environ.pop(key, None)
            else:
                os.environ[key] = value
        with contextlib.suppress(OSError):
            os.chdir(self.working_folder)
        sys.path.extend(folder for folder in self.path if folder not in sys.path and os.path.isdir(folder))


PROBE = ".probe"


@dataclass(frozen=True, slots=True)
class Hello:
    """A worker has come.

    Attributes:
        name: as whoever started it has called it.
        node: the machine's id.
        time: seconds since the epoch, by its clock.
        sees_folder: whether it works in the study's folder itself.
    """

    name: str
    node: str
    pid: int
    time: float
    sees_folder: bool


@dataclass(frozen=True, slots=True)
class Farewell:
    """A worker ends of itself, through no fault of its jobs."""

    why: str


@dataclass(frozen=True, slots=True)
class FilesHello:
    """The same worker's second connection, for what `files.py` carries."""

    name: str
