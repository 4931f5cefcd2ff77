"""What a pool needs of the place where its workers are. Another place (a cluster's actors) is another Transport.

    pool -> worker    ("run", Task) | ("stop", trial id) | ("forget", trial id) | ("go", turn)
    worker -> pool    Answer, Answer, ..., and Lost when the worker is gone, however that happened

What is sent arrives in order, or the worker is lost. What a worker does with it is `worker.serve`, over a `Channel`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from hpo_pipeline.executor.runner import PackSettings
from hpo_pipeline.trial import Event, Notice

Message = tuple[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a worker sends after each turn.

    Attributes:
        waits: whether it waits for the pool's "go" with the number of this turn. One that has room for no more jobs
            and no report at a milestone goes on without.
        size: jobs at once, if that is known.
    """

    events: list[Event]
    waits: bool
    size: int | None


@dataclass(frozen=True, slots=True)
class Lost:
    """A worker is gone, and nothing more comes of it.

    Attributes:
        how: "the worker process ended by signal 9".
        blameless: whether none of its jobs can have brought that about: the machine is gone.
    """

    how: str
    blameless: bool = False


class Transport(Protocol):
    """Starts workers, and carries messages. A worker is known by its name, which no other one of the session has.

    Attributes:
        capacity: workers at once. It may change at any time; if it shrinks, those that are too many are Lost or stay.
        works_in_wait: whether `wait` itself does the work.
        grows: whether workers may come by themselves.
    """

    works_in_wait: bool
    grows: bool = False

    @property
    def capacity(self) -> int: ...

    def open(self) -> None:
        """Finds the place, once, before anything else; a StudyError where it isn't there."""
        return

    def start(self, pack: PackSettings, avoided: Collection[str] = ()) -> str | None:
        """A new worker, on whichever device or node has the fewest; None where there is no room for one now.

        Args:
            avoided: nodes that it must not be on.
        """

    def node(self, worker: str) -> str:
        """The node that the worker is on; empty where there is one machine."""
        return ""

    def nodes(self) -> Mapping[str, int]:
        """How many workers are ready on each node, started or not; empty where there is one machine."""
        return {}

    def notices(self) -> list[Notice]:
        """What people should know of the place since the last call."""
        return []

    def is_leaving(self, worker: str) -> bool:
        """Whether its node is about to be taken away: it may end what it has, and gets nothing more."""
        return False

    def send(self, worker: str, message: Message) -> bool:
        """Whether the worker is there to get it, as far as is known. That it is lost comes by `receive`."""

    def wait(self, timeout: float | None) -> Sequence[str]:
        """Blocks until a worker may have something to receive (at most `timeout` seconds), and says which have."""

    def receive(self, worker: str) -> Answer | Lost | None:
        """The next that has arrived; None if nothing has. It doesn't wait."""

    def kill(self, worker: str, *, show_where: bool = False) -> None:
        """Ends it and all that its trials have started, if it isn't Lost. Nothing more comes of it.

        Args:
            show_where: if it can, it shows in the trial's log where it was.
        """

    def wake(self) -> None:
        """Makes the `wait` that is under way answer at once, or else the next one. From any thread."""

    def close(self) -> None:
        """Ends all workers; safe to call twice."""


class Channel(Protocol):
    """The worker's end of the way to its pool. Each method raises EOFError or OSError when the pool is gone."""

    def poll(self) -> bool: ...

    def recv(self) -> Any: ...

    def send(self, obj: Answer, /) -> None: ...
