"""The nodes of a cluster as the tuner last saw them: what they are called, which has room, which gets no more jobs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping

from hpo_pipeline.executor.ray_cluster import RayCluster

_REST_SECONDS = 60.0
"""For a node on which a worker couldn't start."""


class Nodes:
    """Looked at every second.

    Args:
        cluster: open.
        need: what a worker takes: resource -> amount.
        say: called with what people should know.
    """

    def __init__(self, cluster: RayCluster, need: Mapping[str, float], say: Callable[[str], None]) -> None:
        self._cluster = cluster
        self._need = need
        self._say = say
        self._names: dict[str, str] = {}
        self._room: dict[str, int] = {}
        self._leaving: frozenset[str] = frozenset()
        self._resting: dict[str, float] = {}
        self._is_first = True

    def look(self) -> None:
        """Asks the cluster; raises what Ray raises where its head doesn't answer."""
        nodes = self._cluster.nodes()
        room = self._cluster.room(self._need)
        self._room = {node: room.get(node, 0) for node in nodes}
        leaving = frozenset(node for node, found in nodes.items() if found.is_leaving)
        for node in sorted(leaving - self._leaving):
            self._say(f"node {nodes[node].name} is being drained: it gets no more jobs")
        for node in [] if self._is_first else sorted(nodes.keys() - self._names.keys()):
            self._say(f"node {nodes[node].name} has joined")
        self._leaving = leaving
        self._names |= {node: found.name for node, found in nodes.items()}
        self._is_first = False

    def name(self, node: str | None) -> str:
        """Of one that may be gone; empty for None, a place that isn't known yet."""
        return self._names.get(node, node[:6]) if node else ""

    def is_up(self, node: str) -> bool:
        """Whether it answers now."""
        return self._cluster.is_up(node)

    def is_leaving(self, node: str | None) -> bool:
        return node in self._leaving

    def rest(self, node: str | None) -> None:
        """Starts no workers there for a while, if there is another one."""
        if node and len(self._room) > 1:
            self._resting[node] = time.monotonic() + _REST_SECONDS

    def free(self, coming: Mapping[str | None, int]) -> dict[str, int]:
        """Node id -> workers that there is room for.

        Args:
            coming: id -> workers that were asked for there, and may not be in Ray's books yet.
        """
        now = time.monotonic()
        self._resting = {node: until for node, until in self._resting.items() if until > now}
        return {
            node: max(0, room - coming.get(node, 0))
            for node, room in self._room.items()
            if node not in self._leaving and node not in self._resting
        }

    def usable(self, here: Iterable[str | None], free: Mapping[str, int]) -> set[str]:
        """The nodes that stay and have room, or are among those where workers are `here`."""
        return {node for node in {*here, *(n for n, room in free.items() if room)} if node} - self._leaving
