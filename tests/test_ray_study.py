"""Studies on a Ray cluster of three nodes of this machine, which come and go: to the same table as in one process."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import RungTable, journal, run, rung_table, start
from test_end_to_end import HALVING, read_until, rung_records, runs_of

pytest.importorskip("ray", reason="Ray isn't installed")

pytestmark = [pytest.mark.slow, pytest.mark.ray]

STUDY = (*HALVING[:4], "scheduler.max_resource=8", *HALVING[5:], "dataset.batch_size=64", "~search_space.dataset")
PLAIN = ("tracker.saved_view=false", "tracker.log_model=false")
GATED = "objective._target_=gated.GatedTraining"


class Machines:
    """A cluster whose head takes no jobs, and three nodes, `a`, `b` and `c`, with room for one worker each."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        self.cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "node_name": "head"})
        self.nodes = {name: self.cluster.add_node(num_cpus=1, node_name=name) for name in "abc"}

    @property
    def words(self) -> tuple[str, ...]:
        """What a study on it is started with."""
        return "executor=ray", f"executor.address={self.cluster.address}"

    def add(self, name: str) -> None:
        self.nodes[name] = self.cluster.add_node(num_cpus=1, node_name=name)

    def workers(self) -> list[int]:
        """The processes of the workers there are."""
        parents = [node.all_processes["raylet"][0].process.pid for node in self.nodes.values()]
        command = ["pgrep", "-P", ",".join(map(str, parents)), "-f", "^ray::RayWorker"]
        return [
            int(pid) for pid in subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False).stdout.split()
        ]

    def remove(self, name: str) -> None:
        self.cluster.remove_node(self.nodes.pop(name), allow_graceful=False)


@pytest.fixture(scope="module")
def machines() -> Iterator[Machines]:
    made = Machines()
    yield made
    made.cluster.shutdown()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> RungTable:
    """The rung table of an uninterrupted study in one process."""
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert run(*STUDY, "tracker=none", "executor=serial", "name=whole").code == 0
        return rung_table(journal("whole"))


def nodes_of(study: str) -> set[str]:
    return {record["node"] for record in journal(study) if "node" in record}


def test_nodes_workers_and_the_tuner_are_lost_and_no_rung_is(machines, whole, tmp_path, monkeypatch):
    """A worker is killed, a node is removed, one is added; then the tuner is killed, and the study resumed.

    Checkpoints travel, and so does the objective's module: the nodes were started without it.
    """
    monkeypatch.chdir(tmp_path)
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    # Node processes have been started before: what trials are to find in the environment is given to Ray.
    monkeypatch.setenv("HPO_TRUST", "gated")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    variables = f"executor.runtime_env={{env_vars: {{GATE: {gate}, GATED_FROM: '4'}}}}"
    words = (*STUDY, GATED, *machines.words, variables, "executor.checkpoints=tuner", "name=s", *PLAIN)
    process = start(*words)
    read_until(process, 14)  # the first bracket's but its last one, which stands at the gate
    os.kill(machines.workers()[0], signal.SIGKILL)
    machines.remove("b")
    machines.add("d")
    process.kill()
    process.wait()
    opened = os.open(gate, os.O_RDWR)  # for whoever comes to it
    try:
        ended = run(*words, "resume=true")
    finally:
        os.close(opened)
        machines.add("b")
    assert ended.code == 0, ended.err
    records = journal("s")
    assert rung_table(records) == whole
    rungs = [(r["trial"], r["rung"], r["bracket"]) for r in records if r["event"] == "rung"]
    assert len(rungs) == len(set(rungs))
    client, _, children = runs_of("s")
    assert len(rung_records(client, children)) == len(rungs)
    assert nodes_of("s") >= {"a", "c"}
    assert list(Path("runs/s/best").iterdir())


def test_a_trial_that_kills_its_workers_fails_after_it_has_been_on_two_nodes(machines, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HPO_TRUST", "trouble")
    monkeypatch.syspath_prepend(Path(__file__).parent / "executor")
    function = ("objective=function", "objective.function=trouble.one_ends", "metric=loss", "scheduler=fifo")
    space = ("+search_space.params.x={type: float, low: 0, high: 1}", "searcher=random", "max_resource=2", "n_trials=4")
    ended = run(*function, *space, "tracker=none", *machines.words, "executor.max_retries=1", "name=s", "finalists.n=0")
    assert ended.code == 0, ended.err
    states = {record["trial"]: record["state"] for record in journal("s") if record["event"] == "decision"}
    assert ended.code == 0, ended.out
    assert states == {0: "COMPLETED", 1: "FAILED", 2: "COMPLETED", 3: "COMPLETED"}
    (failed,) = [record for record in journal("s") if record.get("outcome") == "failed"]
    assert "tried 2 times" in failed["error"]
    log = Path("runs/s/trials/1/log.txt").read_text()
    assert len({name for name in "abcd" if f"on node {name} ended" in log}) == 2
