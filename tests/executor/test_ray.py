"""What `executor=ray` is given, without a cluster; with one: tests/test_ray_study.py."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest
from commands import compose
from pools import setup

from hpo_pipeline import trust
from hpo_pipeline.errors import ConfigError
from hpo_pipeline.executor import ray_cluster
from hpo_pipeline.executor.ray import RayExecutor
from hpo_pipeline.executor.ray_cluster import _code, _in_short
from hpo_pipeline.executor.ray_nodes import Nodes

WORDS = ("executor=ray", "dataset=digits", "model=softmax", "tracker=none", "n_trials=1")


@pytest.fixture(autouse=True)
def _installed(monkeypatch):
    """Nothing here needs Ray itself."""
    monkeypatch.setattr("hpo_pipeline.executor.ray.is_installed", lambda: True)


def problems(**arguments: object) -> str:
    with pytest.raises(ConfigError) as raised:
        RayExecutor(setup(), **arguments)
    return str(raised.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"address": "ray://head:10001"}, "address: must be null, auto, or host:port"),
        ({"num_cpus": -1}, "num_cpus: must be a number of at least 0"),
        ({"resources": {"tpu": "two"}}, "resources.tpu: must be a number of at least 0"),
        ({"heartbeat_timeout": 0}, "heartbeat_timeout: must be a positive number of seconds"),
        ({"checkpoints": "tunner"}, "did you mean 'tuner'?"),
        ({"checkpoints": "nowhere://x"}, "nowhere://x can't be opened"),
        ({"pack_size": 0}, "pack_size"),
        ({"max_retries": -1}, "max_retries"),
    ],
)
def test_what_is_wrong_is_named_before_anything_starts(arguments, message):
    assert message in problems(**arguments)


def test_without_ray_people_are_told_what_to_install(monkeypatch):
    monkeypatch.setattr("hpo_pipeline.executor.ray.is_installed", lambda: False)
    assert 'pip install "hpo_pipeline[ray]"' in problems()


def test_nothing_of_ray_is_imported_to_check_a_study(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)  # an import of it fails
    assert RayExecutor(setup(), n_workers=3).grows


def file_with(folder: Path, executor: str) -> str:
    (folder / "experiment").mkdir()
    text = f"# @package _global_\ndefaults:\n  - override /executor: ray\nexecutor:\n  {executor}\n"
    (folder / "experiment" / "shared.yaml").write_text(text)
    return f"hydra.searchpath=[file://{folder}]"


@pytest.mark.parametrize(
    ("executor", "path"),
    [
        ("address: 10.0.0.1:6379", "executor.address"),
        ("runtime_env: {pip: [theirs]}", "executor.runtime_env.pip"),
        ("runtime_env: {env_vars: {LD_PRELOAD: x.so}}", "executor.runtime_env.env_vars.LD_PRELOAD"),
        ("checkpoints: s3://theirs/bucket", "executor.checkpoints"),
    ],
)
def test_a_file_chooses_no_cluster_and_nothing_that_it_installs(executor, path, tmp_path):
    words = (file_with(tmp_path, executor), "experiment=shared", *WORDS[1:])
    assert [problem.path for problem in compose(*words).problems] == [path]


def test_what_is_typed_is_what_people_want(monkeypatch):
    typed = ("executor.address=10.0.0.1:6379", "executor.runtime_env={pip: [mine]}", "executor.checkpoints=s3://mine/x")
    assert compose(*WORDS, *typed).problems == []
    assert compose(*WORDS, "executor.address=auto").problems == []


def test_the_resume_command_says_again_what_no_file_may_say():
    command = compose(*WORDS, "executor.address=10.0.0.1:6379", "executor.runtime_env={pip: [mine]}").resume_command()
    assert "10.0.0.1:6379" in command.split("executor.address=")[1]
    assert "executor.runtime_env.pip=" in command


def test_code_that_goes_along_is_this_program_and_what_is_trusted_but_no_compiled_parts(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text("")
    for name in ("lab", "fast"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("")
    (tmp_path / "fast" / "core.so").write_bytes(b"")
    monkeypatch.syspath_prepend(tmp_path)
    trust.trust(("mine.Net", "lab", "fast", "python train.py", "not_there"))
    program = str(Path(ray_cluster.__file__).parents[1])
    assert _code() == [program, str(tmp_path / "mine.py"), str(tmp_path / "lab")]


def test_what_ray_says_of_an_end_is_told_in_one_line():
    assert _in_short("The actor died\nThe actor is dead because its worker process has died.") == ""
    assert _in_short("its worker process has died: the node was running low on memory") == "the node is out of memory"
    text = "ray::RayWorker.run()\n  File x\nModuleNotFoundError: No module named 'lab'"
    assert _in_short(text) == "ModuleNotFoundError: No module named 'lab'"


class Cluster:
    """One of which a test says what it has."""

    def __init__(self, **room: int) -> None:
        self.nodes = lambda: {name: types.SimpleNamespace(name=name, is_leaving=name in self.leaving) for name in room}
        self.room = lambda need: room
        self.leaving: set[str] = set()
        self.is_up = lambda node: True


def test_nodes_that_come_and_are_drained_are_told_and_room_is_counted_without_what_is_coming():
    said: list[str] = []
    cluster = Cluster(a=2, b=1)
    nodes = Nodes(cluster, {"CPU": 1.0}, said.append)  # type: ignore[arg-type]
    nodes.look()
    assert said == []
    assert nodes.free({"a": 1, None: 1}) == {"a": 1, "b": 1}
    cluster.leaving = {"b"}
    nodes.look()
    assert said == ["node b is being drained: it gets no more jobs"]
    assert nodes.free({}) == {"a": 2}
    assert nodes.usable(["b", None], {"a": 0}) == set()
    nodes.rest("a")
    assert nodes.free({}) == {}
