"""`hpo sync` and `hpo ui`, with a tracker in memory."""

from __future__ import annotations

import socket
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from commands import FREE, hpo, run
from studies import MemoryStore

from hpo_pipeline.commands import ui
from hpo_pipeline.tracker.mlflow import MLflowTracker


@pytest.fixture
def stored(memory: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> MemoryStore:
    monkeypatch.setattr(MLflowTracker, "open", lambda _: memory)
    return memory


class Server:
    """What `mlflow ui` is started as."""

    def __init__(self, arguments: list[str], env: dict[str, str]) -> None:
        self.arguments, self.environment = arguments, env
        self.terminated = False

    def wait(self, timeout: float | None = None) -> int:
        return 0

    def poll(self) -> None:
        """It runs."""

    def terminate(self) -> None:
        self.terminated = True


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> list[Server]:
    started: list[Server] = []

    def popen(arguments: list[str], env: dict[str, str]) -> Server:
        started.append(Server(arguments, env))
        return started[-1]

    monkeypatch.setattr(ui, "subprocess", SimpleNamespace(Popen=popen))
    monkeypatch.setattr(ui, "_answers", lambda _port: True)
    return started


def test_a_study_without_a_tracker_is_written_to_one_later_and_only_what_is_missing(stored: MemoryStore):
    assert run(*FREE, "name=a", "n_trials=3").code == 0
    refused = hpo("sync", "a")
    assert (refused.code, refused.err) == (
        2,
        "hpo: runs/a: its config names no tracker to write to; name one: tracker=mlflow\n",
    )
    assert hpo("sync", "a", "tracker=mlflow").code == 0
    assert len(stored.runs) == 1 + 3
    before = {name: dict(run) for name, run in stored.runs.items()}
    assert run("name=a", "resume=true", "n_trials=4").code == 0
    assert hpo("sync", "runs/a", "tracker=mlflow").code == 0
    assert len(stored.runs) == 1 + 4
    assert stored.runs.keys() > before.keys()


def test_a_training_is_written_as_its_one_run(stored: MemoryStore):
    assert run(*FREE[:4], "tracker=none", "name=t", "max_resource=2", program="train").code == 0
    assert hpo("sync", "t", "tracker=mlflow").code == 0
    assert len(stored.runs) == 1


def test_the_ui_is_started_the_fast_way_on_this_machine_alone(servers: list[Server], monkeypatch):
    run(*FREE, "name=a", "n_trials=1")
    Path("mlflow.db").touch()
    monkeypatch.setattr(MLflowTracker, "routes", lambda *_: {"study": "#/experiments/1/runs/x"})
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
        free.listen()
        taken = hpo("ui", "a", "--port", port)
    assert (taken.code, servers) == (2, [])
    assert taken.err == f"hpo: port {port}: can't be used (Address already in use); choose another: --port …\n"
    ended = hpo("ui", "a", "--port", port)
    assert (ended.code, ended.out.splitlines()[-1]) == (0, f"study    http://127.0.0.1:{port}/#/experiments/1/runs/x")
    (server,) = servers
    assert server.arguments[1:] == [
        *("-m", "mlflow", "ui", "--workers", "1"),
        *("--host", "127.0.0.1", "--port", port),
        *("--uvicorn-opts", "--log-level warning"),
    ]
    assert server.environment["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "false"
    assert server.environment["MLFLOW_BACKEND_STORE_URI"] == f"sqlite:///{Path('mlflow.db').absolute()}"
    assert server.terminated


def test_a_store_that_a_strangers_config_names_is_opened_only_if_one_says_so(servers: list[Server]):
    run(*FREE, "name=a", "n_trials=1")
    config = Path("runs/a/config.yaml")
    tracker = "tracker:\n  _target_: hpo_pipeline.tracker.mlflow.MLflowTracker\n  uri: "
    for uri in ("sqlite:////etc/mlflow.db", "http://far.example:5000"):
        config.write_text(f"{tracker}{uri}\n")
        ended = hpo("ui", "a")
        said = f"hpo: runs/a: tracker.uri={uri} leads out of this folder; if that is what you want: --uri {uri}\n"
        assert (ended.code, ended.err) == (2, said)
    assert servers == []


def test_without_a_database_there_is_nothing_to_show(servers: list[Server]):
    ended = hpo("ui")
    assert ended.code == 2
    assert f"{Path('mlflow.db').absolute()}: there is no such database" in ended.err
    assert servers == []


def test_a_strangers_config_sends_a_study_nowhere(stored: MemoryStore):
    run(*FREE, "name=a", "n_trials=1")
    config = Path("runs/a/config.yaml")
    tracker = yaml.safe_load(config.read_text()) | {
        "tracker": {"_target_": "hpo_pipeline.tracker.mlflow.MLflowTracker", "uri": "http://far.example:5000"}
    }
    config.write_text(yaml.safe_dump(tracker))
    ended = hpo("sync", "a")
    assert ended.code == 2
    assert "tracker.uri: 'http://far.example:5000' comes from a file and leads out of this folder" in ended.err
    assert stored.runs == {}
