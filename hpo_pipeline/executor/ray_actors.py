"""Workers on the nodes of a Ray cluster, which may come and go while a study runs.

Ray finds the room and starts the processes; what is said between tuner and workers goes over connections of their own
(`remote/`), so that the tuner hears at once of a report, and of a worker that is gone. That a node is lost costs no
trial: its jobs go on elsewhere, from the checkpoints that the tuner has or that every node sees.
"""

from __future__ import annotations

import itertools
import math
import os
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from hpo_pipeline.errors import StudyError
from hpo_pipeline.executor.ray_cluster import Actor, RayCluster
from hpo_pipeline.executor.ray_nodes import Nodes
from hpo_pipeline.executor.remote import SHOW_WHERE, Farewell, Hello, Invitation
from hpo_pipeline.executor.remote.links import Links
from hpo_pipeline.executor.runner import PackSettings, StudySetup
from hpo_pipeline.executor.transport import Answer, Lost, Message, Transport
from hpo_pipeline.trial import Notice

_LOOK_SECONDS = 1.0
"""Between two looks at what the cluster has."""
_ROOM_SECONDS = 30.0
"""For Ray to start a worker where there was room: somebody else may have taken it."""
_COMING_SECONDS = 600.0
"""For a worker to come after it was asked for: Ray may have to install what it needs."""
_MOST_FAILURES = 3
"""Workers in a row that can't start, after which none will."""
_WHY_SECONDS = 1.0
_ENVIRONMENT = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "CUBLAS_WORKSPACE_CONFIG")
"""What the numbers of a training may depend on."""


@dataclass(slots=True)
class _Worker:
    """One that was asked for.

    Attributes:
        node: the id of where it is to be, or is; None where Ray chooses.
        asked: when that was (monotonic).
        outbox: what it is to get when it comes; None once it has come.
        is_given: whether the pool has it.
    """

    actor: Actor
    node: str | None
    asked: float
    outbox: list[Message] | None = field(default_factory=list)
    is_given: bool = False


class Actors(Transport):
    """Worker processes as actors of a Ray cluster.

    Args:
        cluster: not opened yet.
        setup: the study's.
        n_workers: at most; None for as many as there is room for.
        need: what one takes: resource -> amount.
        heartbeat: seconds of silence after which a worker is given up.
        checkpoints: `tuner`, to have files travel to the study's folder in any case.
    """

    works_in_wait = False
    grows = True
    capacity = 0

    def __init__(
        self,
        cluster: RayCluster,
        setup: StudySetup,
        n_workers: int | None,
        need: Mapping[str, float],
        heartbeat: float,
        checkpoints: str = "auto",
    ) -> None:
        self._cluster = cluster
        self._setup = setup
        self._most = n_workers or math.inf
        self.capacity = n_workers or 0  # until the cluster says what it has
        self._need = need
        self._nodes = Nodes(cluster, need, self._say)
        self._heartbeat = heartbeat
        self._checkpoints = checkpoints
        self._workers: dict[str, _Worker] = {}
        self._failed: dict[str, Lost] = {}
        self._notices: deque[Notice] = deque()
        self._failures = 0
        self._fatal = ""
        self._without_room: float | None = None
        self._numbers = itertools.count()
        self._lock = threading.RLock()
        self._look = threading.Event()
        self._links: Links | None = None
        self._is_closed = False

    def open(self) -> None:
        self._cluster.open()
        host, token = self._cluster.host(), "" if self._checkpoints == "tuner" else None
        self._links = Links(host, self._setup.folder, self._heartbeat, self._why_lost, self._look_now, token)
        self._tend()
        self._manager = threading.Thread(target=self._manage, name="hpo cluster", daemon=True)
        self._manager.start()

    @property
    def _to(self) -> Links:
        assert self._links is not None  # it was opened
        return self._links

    # -- what the pool asks for ------------------------------------------------------------------------------------

    def start(self, pack: PackSettings, avoided: Collection[str] = ()) -> str | None:
        with self._lock:
            spare = [
                name
                for name, worker in self._workers.items()
                if not worker.is_given and worker.outbox is None and self.node(name) not in avoided
            ]
            name = spare[0] if spare else self._ask_for_one(avoided)
            if name is None:
                return None
            worker = self._workers[name]
            worker.is_given = True
            self._count()
        self.send(name, ("pack", pack))
        return name

    def _ask_for_one(self, avoided: Collection[str]) -> str | None:
        """On the node that has the fewest, of those with room."""
        if len(self._staying()) >= self._most:
            return None
        here = Counter(worker.node for worker in self._workers.values())
        free = self._free()
        nodes = [node for node, room in free.items() if room > 0 and self._nodes.name(node) not in avoided]
        if not nodes:
            return None
        return self._ask(min(nodes, key=lambda node: (here[node], node)))

    def _ask(self, node: str | None) -> str:
        name = str(next(self._numbers))
        actor = self._cluster.start(self._invitation(), name, self._need, node)
        self._workers[name] = _Worker(actor, node, time.monotonic())
        return name

    def _invitation(self) -> Invitation:
        module = str(self._setup.objective.get("_target_")).rpartition(".")[0]
        return Invitation(
            address=self._to.address,
            key=self._to.key,
            heartbeat=self._heartbeat,
            folder=self._setup.folder,
            token=self._to.token,
            working_folder=os.getcwd(),
            path=tuple(map(os.path.abspath, sys.path)) if self._cluster.is_own else (),
            environment={name: os.environ.get(name) for name in _ENVIRONMENT},
            modules=tuple(filter(None, [module])),
        )

    def send(self, worker: str, message: Message) -> bool:
        with self._lock:
            found = self._workers.get(worker)
            if found is not None and found.outbox is not None:
                found.outbox.append(message)
                return True
        return found is not None and self._to.send(worker, message)

    def wait(self, timeout: float | None) -> Sequence[str]:
        if not self._failed and not self._fatal:
            self._to.wait(0.0 if self._notices else timeout)
        if self._fatal:
            raise StudyError(self._fatal)
        with self._lock:
            given = {name for name, worker in self._workers.items() if worker.is_given}
        return [name for name in (*self._failed, *self._to.wait(0.0)) if name in given]

    def receive(self, worker: str) -> Answer | Lost | None:
        with self._lock:
            return self._failed.pop(worker, None) or self._to.receive(worker)

    def notices(self) -> list[Notice]:
        return [self._notices.popleft() for _ in range(len(self._notices))]

    def node(self, worker: str) -> str:
        found = self._workers.get(worker)
        return self._nodes.name(found.node) if found is not None else ""

    def nodes(self) -> Mapping[str, int]:
        with self._lock:
            came = Counter(worker.node for worker in self._workers.values() if worker.outbox is None)
            here = {worker.node for worker in self._workers.values()}  # those that are still to come as well
            return {self._nodes.name(node): came[node] for node in self._nodes.usable(here, self._free())}

    def is_leaving(self, worker: str) -> bool:
        found = self._workers.get(worker)
        return found is not None and self._nodes.is_leaving(found.node)

    def kill(self, worker: str, *, show_where: bool = False) -> None:
        if show_where and self._to.send(worker, SHOW_WHERE):
            time.sleep(_WHY_SECONDS)
        with self._lock:
            ended = self._workers.pop(worker, None)
            self._failed.pop(worker, None)
            self._count()
        self._to.drop(worker)
        if ended is not None:
            ended.actor.kill()
        self._look.set()

    def wake(self) -> None:
        if self._links is not None:
            self._links.wake()

    def close(self) -> None:
        if self._links is not None and not self._is_closed:
            self._is_closed = True
            self._look.set()
            self._manager.join()
            self._to.close()
            self._cluster.end([worker.actor for worker in self._workers.values()])
            self._workers.clear()
        self._cluster.close()

    # -- what the cluster has --------------------------------------------------------------------------------------

    def _staying(self) -> list[_Worker]:
        return [worker for worker in self._workers.values() if not self._nodes.is_leaving(worker.node)]

    def _free(self) -> dict[str, int]:
        """Node id -> workers that there is room for."""
        return self._nodes.free(Counter(w.node for w in self._workers.values() if w.outbox is not None))

    def _count(self) -> None:
        """What there is and could be, in workers."""
        staying = self._staying()
        without_node = sum(not worker.is_given and worker.outbox is not None for worker in staying)
        self.capacity = int(min(self._most, len(staying) - without_node + sum(self._free().values())))

    def _look_now(self) -> None:
        self._look.set()
        self._to.wake()

    def _manage(self) -> None:
        said = False
        while not self._is_closed:
            self._look.wait(_LOOK_SECONDS)
            self._look.clear()
            try:
                self._tend()
                said = False
            except Exception as error:  # the cluster's head doesn't answer; what is at work goes on
                if not said:
                    self._say(
                        f"Ray doesn't answer ({' '.join(str(error).split())[:200]}); workers that are there go on"
                    )
                said = True

    def _tend(self) -> None:
        self._nodes.look()
        with self._lock:
            before = self.capacity
            self._welcome()
            self._give_up_those_that_do_not_come()
            self._count()
            self._call_for_nodes()
            if self.capacity != before or self._failed or self._fatal:
                self._to.wake()

    def _welcome(self) -> None:
        """Gives those that have come what waits for them."""
        for name, hello in self._to.ready().items():
            worker = self._workers.get(name)
            if worker is None:  # it was given up
                self._to.drop(name)
            elif worker.outbox is not None:
                worker.node = hello.node
                self._failures = 0
                for message in worker.outbox:
                    self._to.send(name, message)
                worker.outbox = None
        for name, worker in list(self._workers.items()):
            is_spare = not worker.is_given and worker.outbox is None
            if is_spare and (self.is_leaving(name) or name not in self._to.ready()):
                self.kill(name)

    def _give_up_those_that_do_not_come(self) -> None:
        for name, worker in list(self._workers.items()):
            if worker.outbox is None or name in self._failed:
                continue
            waited = time.monotonic() - worker.asked
            if worker.actor.has_ended():
                lost = self._could_not_start(worker)
            elif worker.node and waited > _ROOM_SECONDS and not worker.actor.has_place(waited < _COMING_SECONDS):
                lost = Lost(f"no worker has come of node {self._nodes.name(worker.node)}", blameless=True)
                self._nodes.rest(worker.node)
            else:
                continue
            if worker.is_given:
                self._failed[name] = lost
            else:
                self.kill(name)

    def _could_not_start(self, worker: _Worker) -> Lost:
        where = f" on node {self._nodes.name(worker.node)}" if worker.node else ""
        why = worker.actor.error(0.0) or "its process has ended"
        lost = Lost(f"a worker can't start{where}: {why}", blameless=True)
        if worker.node is None or self._nodes.is_up(worker.node):
            self._failures += 1
            self._nodes.rest(worker.node)
        if self._failures >= _MOST_FAILURES and all(w.outbox is not None for w in self._workers.values()):
            self._fatal = f"executor=ray: {lost.how}"
        return lost

    def _call_for_nodes(self) -> None:
        """Where there is less room than asked for, Ray hears of it: its autoscaler may start nodes."""
        coming = sum(worker.node is None and worker.outbox is not None for worker in self._workers.values())
        if self._most < math.inf and not self._cluster.is_own:
            for _ in range(int(self._most) - self.capacity - coming):
                self._ask(None)
        if self.capacity:
            self._without_room = None
        elif self._without_room is None:
            self._without_room = time.monotonic()
        elif time.monotonic() - self._without_room > 10 * _LOOK_SECONDS:
            need = ", ".join(f"{amount:g} {what}" for what, amount in self._need.items() if amount)
            self._say(f"no node of the cluster has room for a worker ({need}): waiting for one", once=True)

    def _say(self, text: str, *, once: bool = False) -> None:
        self._notices.append(Notice(text, once=once))
        self.wake()

    def _why_lost(self, hello: Hello, said: Farewell | str) -> Lost:
        """What has become of a worker that is gone."""
        worker = self._workers.get(hello.name)
        node = self._nodes.name(hello.node)
        if not self._nodes.is_up(hello.node):
            return Lost(f"node {node} is gone", blameless=True)
        if self._nodes.is_leaving(hello.node):
            return Lost(f"node {node} was drained", blameless=True)
        if isinstance(said, Farewell):
            return Lost(f"a worker on node {node} has ended: {said.why}", blameless=True)
        why = said or (worker.actor.error(_WHY_SECONDS) if worker is not None else "")
        return Lost(f"the worker process on node {node} ended" + (f" ({why})" if why else ""))
