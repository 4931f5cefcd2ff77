"""Workers that come to their tuner over connections, on this machine: what a cluster's do, without the cluster."""

from __future__ import annotations

import io
import os
import signal
import tarfile
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from multiprocessing import AuthenticationError, connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
from pools import curve_of, job, outcomes, results, setup, until_results

from hpo_pipeline.errors import StudyError
from hpo_pipeline.executor.archive import read_archive
from hpo_pipeline.executor.checkpoints import Checkpoints
from hpo_pipeline.executor.pool import Pool
from hpo_pipeline.executor.process import start_method
from hpo_pipeline.executor.remote import Farewell, Hello, Invitation
from hpo_pipeline.executor.remote.joining import join
from hpo_pipeline.executor.remote.links import Links
from hpo_pipeline.executor.runner import PackSettings
from hpo_pipeline.executor.transport import Answer, Lost, Message, Transport
from hpo_pipeline.trial import Notice, Outcome, Report

START = start_method({"_target_": "hpo_pipeline.objective.function.Function"})


def _why(said: Farewell | str) -> str:
    return said.why if isinstance(said, Farewell) else said


class Sockets(Transport):
    """Processes of this machine that come over a connection; each says that it is on a node of its own."""

    works_in_wait = False
    capacity = 1

    def __init__(self, capacity: int = 1, token: str | None = None, heartbeat: float = 60.0) -> None:
        self.capacity = capacity
        self.heartbeat = heartbeat
        self.links = Links("127.0.0.1", Path("trials").absolute(), heartbeat, self.why, token=token)
        self.processes: dict[str, BaseProcess] = {}

    def why(self, hello: Hello, said: Farewell | str) -> Lost:
        return Lost(_why(said) or f"the process on {hello.node} ended")

    def invitation(self) -> Invitation:
        links = self.links
        return Invitation(
            links.address, links.key, self.heartbeat, Path("trials").absolute(), links.token, working_folder=os.getcwd()
        )

    def start(self, pack: PackSettings, avoided: Collection[str] = ()) -> str:
        name = str(len(self.processes))
        self.processes[name] = START.Process(target=join, args=(self.invitation(), name, f"node {name}"))
        self.processes[name].start()
        while name not in self.links.ready():
            assert self.processes[name].is_alive()
            time.sleep(0.01)
        self.links.send(name, ("pack", pack))
        return name

    def send(self, worker: str, message: Message) -> bool:
        return self.links.send(worker, message)

    def wait(self, timeout: float | None) -> Sequence[str]:
        return self.links.wait(timeout)

    def receive(self, worker: str) -> Answer | Lost | None:
        return self.links.receive(worker)

    def node(self, worker: str) -> str:
        return f"node {worker}"

    def nodes(self) -> Mapping[str, int]:
        return {f"node {name}": 1 for name in self.links.ready()}

    def kill(self, worker: str, *, show_where: bool = False) -> None:
        self.links.drop(worker)

    def wake(self) -> None:
        self.links.wake()

    def close(self) -> None:
        self.links.close()
        for process in self.processes.values():
            process.join(10)
            assert process.exitcode is not None, "it goes on without its tuner"


def opened(place: Sockets, function: str = "curve", max_retries: int = 1) -> Pool:
    made = setup(function)
    return Pool(made, made.pack(1, 30.0), place, None, max_retries)


@pytest.fixture(params=["sees the folder", "sees another folder"])
def place(request: pytest.FixtureRequest) -> Iterator[Sockets]:
    made = Sockets(token=None if request.param == "sees the folder" else "")
    yield made
    made.close()


def test_what_a_worker_writes_is_the_study_s_when_its_report_is_told(place):
    pool = opened(place)
    pool.submit(job(3, 4), 0)
    events = until_results(pool)
    assert curve_of(events) == [(1, 0.5), (2, 0.25), (3, 0.5 / 3), (4, 0.125)]
    assert {event.node for event in events} == {"node 0"}
    (kept,) = Path("trials/3").glob("*.ckpt")
    assert Checkpoints(Path("trials")).load(3, 4, Path.read_text).resource == 4
    assert kept.name.startswith("4.")
    assert Path("trials/3/log.txt").read_text().splitlines() == [f"resource {i}" for i in (1, 2, 3, 4)]


def test_a_trial_goes_on_in_another_worker_and_one_that_died_is_replaced(place):
    pool = opened(place)
    pool.submit(job(0, 2), 0)
    until_results(pool)
    os.kill(place.processes["0"].pid, signal.SIGKILL)
    place.processes["0"].join()
    pool.submit(job(0, 5), 2)
    events = until_results(pool)
    assert [at for at, _ in curve_of(events)] == [3, 4, 5]
    assert {event.node for event in events if isinstance(event, Report)} == {"node 1"}


def test_a_trial_that_kills_its_workers_fails_and_only_that_one(place):
    pool = opened(place, max_retries=1)
    pool.submit(job(0, 3, x=4), 0)
    assert outcomes(until_results(pool)) == {0: (Outcome.FAILED, "the process on node 1 ended; tried 2 times")}
    pool.submit(job(1, 1), 0)
    assert outcomes(until_results(pool))[1][0] is Outcome.DONE


def test_a_worker_that_is_silent_is_given_up():
    place = Sockets(heartbeat=0.5)
    pool = opened(place, "endless", max_retries=0)
    pool.submit(job(0, 2), 0)
    while not Path("trials/0/log.txt").exists():
        time.sleep(0.01)
    os.kill(place.processes["0"].pid, signal.SIGSTOP)
    (failed,) = results(until_results(pool))
    assert failed.error == "nothing was heard of it for 0.5 s"
    os.kill(place.processes["0"].pid, signal.SIGCONT)  # it finds out, and ends
    place.close()


def test_workers_end_with_their_tuner_whatever_they_are_at(place):
    pool = opened(place, "endless")
    pool.submit(job(0, 2), 0)
    while not pool.wait(60):  # the first unit; the second one has no end
        pass
    pool.close()  # asserts that the process ends


def test_who_does_not_know_the_key_is_sent_away_and_others_are_heard():
    place = Sockets()
    with pytest.raises(AuthenticationError):
        connection.Client(place.links.address, authkey=b"guessed")
    with connection.Client(place.links.address) as stranger:
        stranger.send_bytes(b"\x80\x04 no pickle of this is read")
    assert place.links.ready() == {}
    pool = opened(place)
    pool.submit(job(0, 1), 0)
    assert curve_of(until_results(pool)) == [(1, 0.5)]
    place.close()


@pytest.fixture
def guest() -> Iterator[tuple[Links, connection.Connection]]:
    """A worker that a test plays, whose clock is 100 seconds ahead."""
    links = Links("127.0.0.1", Path("trials").absolute(), 60.0, lambda hello, said: Lost(f"{hello.name}: {_why(said)}"))
    pipe = connection.Client(links.address, authkey=links.key)
    pipe.send(Hello("0", "there", 1, time.time() + 100.0, False))
    while not links.ready():
        time.sleep(0.001)
    yield links, pipe
    links.close()


def test_times_are_told_by_the_tuner_s_clock(guest):
    links, pipe = guest
    happened = time.time()
    pipe.send(Answer([Notice("x"), Report(0, 1, {"loss": 1.0}, happened + 100.0)], False, None))
    assert links.wait(10) == ["0"]
    notice, report = links.receive("0").events
    assert notice == Notice("x")
    assert report.time == pytest.approx(happened, abs=1.0)


def test_a_farewell_says_why_and_what_can_not_be_read_ends_that_worker_alone(guest):
    links, pipe = guest
    pipe.send(Farewell("its time is over"))
    assert links.wait(10) == ["0"]
    assert links.receive("0") == Lost("0: its time is over")
    assert links.send("0", ("go", 0)) is False
    other = connection.Client(links.address, authkey=links.key)
    other.send(Hello("1", "there", 2, time.time(), False))
    other.send_bytes(b"nothing that pickle knows")
    assert links.wait(10) == ["1"]
    assert "can't be read" in links.receive("1").how
    other.close()


@pytest.mark.parametrize("name", ["../outside", "/tmp/outside", "it/../../outside"])
def test_what_arrives_is_written_nowhere_else(name, tmp_path):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        info = tarfile.TarInfo(name)
        info.size = 3
        archive.addfile(info, io.BytesIO(b"abc"))
    stream.seek(0)
    folder = tmp_path / "trial"
    folder.mkdir()
    with pytest.raises((StudyError, OSError)):
        read_archive(stream, folder / ".1.ckpt.tmp")
    assert list(folder.iterdir()) == []
    assert not (tmp_path / "outside").exists()
