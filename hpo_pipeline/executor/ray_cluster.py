"""What this project asks of Ray: to find or start a cluster, to say what room its nodes have, to start processes there.

Nothing here is imported before a study with `executor=ray` begins.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import logging
import math
import os
import signal
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpo_pipeline import trust
from hpo_pipeline.errors import StudyError
from hpo_pipeline.executor.remote import Invitation

_REACH_SECONDS = 5.0
_END_SECONDS = 2.0


class RayWorker:
    """The actor: one worker. Its one method ends with the process."""

    def run(self, invitation: Invitation, name: str) -> None:
        invitation.settle()
        from hpo_pipeline.executor.remote.joining import join

        join(invitation, name, str(_ray().get_runtime_context().get_node_id()))


@dataclass(frozen=True, slots=True)
class Node:
    """A machine of the cluster.

    Attributes:
        id: Ray's, in hexadecimal.
        name: for people; no other one of this session has it, gone ones included.
        is_leaving: whether it is being drained.
    """

    id: str
    name: str
    address: str
    port: int
    is_leaving: bool


class RayCluster:
    """A connection to a cluster, or to one that it has started on this machine.

    Args:
        address: None to start one; else as `ray.init` takes it.
        runtime_env: Ray's, for all workers.
        least_cpus: what the machine is to have at least, if a cluster is started there.
    """

    def __init__(self, address: str | None, runtime_env: Mapping[str, Any], least_cpus: float = 0) -> None:
        self._address = address
        self._runtime_env = dict(runtime_env)
        self._least_cpus = least_cpus
        self._is_guest = False
        self._known: dict[str, Node] = {}
        self._lock = threading.Lock()

    def open(self) -> None:
        """Connects, or starts one.

        Raises:
            StudyError: it can't be reached.
        """
        if self._address is None:
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        ray = _ray()
        if ray.is_initialized():  # by the program that this study is run in
            self._is_guest = True
            return
        options: dict[str, Any] = {"address": self._address or "local"}
        if self._address is None:
            options |= {"include_dashboard": False, "num_cpus": max(_cores(), math.ceil(self._least_cpus))}
        else:
            self._runtime_env["py_modules"] = [*self._runtime_env.get("py_modules", []), *_code()]
        if self._runtime_env:
            options["runtime_env"] = self._runtime_env
        with _signals_kept(), _quiet():
            try:
                self._reach()
                ray.init(**options, log_to_driver=False, logging_level=logging.ERROR)
            except Exception as error:  # of many kinds, for one reason
                reason = " ".join(str(error).split())[:300]
                if self._address is None:
                    raise StudyError(f"executor=ray: Ray can't be started here: {reason}") from None
                raise StudyError(
                    f"executor.address: the Ray cluster can't be reached ({self._address}): {reason}; start one with "
                    "`ray start --head`, or leave the address at null; if it is there and asks for a token, set the "
                    "environment variable RAY_AUTH_MODE=token"
                ) from None

    def _reach(self) -> None:
        """An OSError where there is nothing at the address: Ray itself goes on trying for minutes."""
        host, _, port = (self._address or "").rpartition(":")
        if host and port.isdecimal():
            socket.create_connection((host.strip("[]"), int(port)), _REACH_SECONDS).close()

    @property
    def is_own(self) -> bool:
        """Whether it was started for this study, on this machine."""
        return self._address is None and not self._is_guest

    def host(self) -> str:
        """The address under which nodes reach this process."""
        return "127.0.0.1" if self.is_own else str(_ray().util.get_node_ip_address())

    def nodes(self) -> dict[str, Node]:
        """Those that are up, by id."""
        rows = [row for row in _ray().nodes() if row["Alive"]]
        leaving = _state().state.get_draining_nodes()
        found = {}
        with self._lock:
            for row in rows:
                node, name = row["NodeID"], _name(row)
                if node in self._known:
                    name = self._known[node].name
                elif any(known.name == name for known in self._known.values()):
                    name = f"{name} ({node[:6]})"
                where = str(row["NodeManagerAddress"]), int(row["NodeManagerPort"])
                found[node] = self._known[node] = Node(node, name, *where, node in leaving)
        return found

    def known(self, node: str) -> Node | None:
        """The node as it was last seen, also when it is gone."""
        with self._lock:
            return self._known.get(node)

    def room(self, need: Mapping[str, float]) -> dict[str, int]:
        """Node id -> how many processes that need so much of each resource could be started there now."""
        return {
            node: int(min((free.get(what, 0.0) + 1e-6) // amount for what, amount in need.items() if amount))
            for node, free in _state().available_resources_per_node().items()
        }

    def is_up(self, node: str) -> bool:
        """Whether the node's own process answers; Ray itself takes seconds to notice that it doesn't."""
        known = self.known(node)
        if known is None:
            return False
        with contextlib.suppress(OSError), socket.create_connection((known.address, known.port), _REACH_SECONDS):
            return True
        return False

    def start(self, invitation: Invitation, name: str, need: Mapping[str, float], node: str | None) -> Actor:
        """A new worker on the node, or wherever Ray finds room, now or later."""
        ray = _ray()
        affinity = importlib.import_module("ray.util.scheduling_strategies").NodeAffinitySchedulingStrategy
        amounts = {key: amount for key, amount in need.items() if amount}
        options: dict[str, Any] = {"num_cpus": amounts.pop("CPU", 0), "num_gpus": amounts.pop("GPU", 0)}
        strategy = affinity(node, soft=False) if node else "SPREAD"
        options |= {"resources": amounts, "scheduling_strategy": strategy, "max_restarts": 0}
        handle = ray.remote(RayWorker).options(**options).remote()
        return Actor(handle, handle.run.remote(invitation, name), bool(self._runtime_env))

    def end(self, actors: Sequence[Actor]) -> None:
        """Waits for workers that have been left alone, which end by themselves; kills those that don't."""
        if actors:
            with contextlib.suppress(Exception):
                _ray().wait([actor.running for actor in actors], num_returns=len(actors), timeout=_END_SECONDS)
        for actor in actors:
            actor.kill()

    def close(self) -> None:
        ray = _ray()
        if not self._is_guest and ray.is_initialized():
            with _signals_kept():
                ray.shutdown()


@dataclass(frozen=True, slots=True)
class Actor:
    """A worker's process as Ray knows it."""

    handle: Any
    running: Any
    installs: bool

    def has_place(self, patient: bool) -> bool:
        """Whether its node has begun to start it, or is installing what it needs.

        Args:
            patient: whether there is time left for that.
        """
        state = _state().actors(self.handle._actor_id.hex())["State"]
        return patient and (self.installs or state != "PENDING_CREATION")

    def has_ended(self) -> bool:
        return bool(_ray().wait([self.running], timeout=0)[0])

    def error(self, timeout: float) -> str:
        """What Ray says of its end, in one line; empty if that isn't known in so many seconds."""
        ray = _ray()
        try:
            ray.get(self.running, timeout=timeout)
        except ray.exceptions.GetTimeoutError:
            pass
        except Exception as error:
            return _in_short(str(error))
        return ""

    def kill(self) -> None:
        with contextlib.suppress(Exception):  # it is dead
            _ray().kill(self.handle, no_restart=True)


def _ray() -> Any:
    return importlib.import_module("ray")


def _state() -> Any:
    """What nodes have free, and which are being drained: Ray says that nowhere else."""
    return importlib.import_module("ray._private.state")


def is_installed() -> bool:
    return importlib.util.find_spec("ray") is not None


def _cores() -> int:
    import joblib

    return int(joblib.cpu_count())


def _name(row: Mapping[str, Any]) -> str:
    named = str(row.get("NodeName") or "")
    return named if named and named != row["NodeManagerAddress"] else str(row["NodeManagerHostname"])


def _in_short(message: str) -> str:
    """The line of Ray's message that says what happened; empty if none does."""
    if "low on memory" in message or "OutOfMemory" in message:
        return "the node is out of memory"
    if "worker process has died" in message:
        return ""  # which is what everybody knows by now
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    errors = [line for line in lines if ("Error" in line or "Exception" in line) and not line.startswith("ray::")]
    return (errors[-1] if errors else lines[0] if lines else "")[:200]


def _code() -> list[str]:
    """Folders and files of this program and of the modules that may be named in configs, to be sent to the nodes.

    What has compiled parts is left out: it must be installed there.
    """
    names = dict.fromkeys(["hpo_pipeline", *(entry.split(".")[0] for entry in trust.modules())])
    return [place for name in names for place in _places(name)]


def _places(module: str) -> Iterator[str]:
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return
    folders: Sequence[str] = list(spec.submodule_search_locations or []) if spec else []
    if spec is not None and not folders and spec.origin and spec.origin.endswith(".py"):
        yield spec.origin
    if len(folders) == 1 and not any(Path(folders[0]).rglob("*.so")):
        yield folders[0]


@contextlib.contextmanager
def _signals_kept() -> Iterator[None]:
    """Ray takes the handler of SIGTERM for itself."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """What Ray would print between this program's own lines: a worker's death is told by the pool."""
    inner: Any = importlib.import_module("ray._private.worker")
    if hasattr(inner, "print_to_stdstream"):
        inner.print_to_stdstream = lambda *_, **__: None
    logging.getLogger("ray").setLevel(logging.ERROR)
    yield
