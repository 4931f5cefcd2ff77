"""A file can't make Hydra run, import or write anything: in an experiment, a saved config, a best.yaml for training."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml
from commands import FREE, Ended, compose, run

from hpo_pipeline.study import write_configs

WRITES = {"_target_": "pathlib.Path.write_text", "self": "canary", "data": "x"}
UNPICKLES = {"_target_": "torch.hub.load_state_dict_from_url", "url": "file:///tmp/x.pt", "weights_only": False}
IMPORTS = {"_target_": "evil.run"}

HYDRA = {
    "the environment is changed": {"job": {"env_set": {"HPO_TRUST": "*"}}},
    "the environment is copied": {"job": {"env_copy": ["HOME"]}},
    "a callback writes": {"callbacks": {"x": {**WRITES, "self": {"_target_": "pathlib.Path", "_args_": ["canary"]}}}},
    "a callback unpickles": {"callbacks": {"x": UNPICKLES}},
    "a callback imports a module beside the config": {"callbacks": {"x": IMPORTS}},
    "a callback saves an array": {"callbacks": {"x": {"_target_": "numpy.save", "file": "canary", "arr": [1]}}},
    "callbacks by interpolation": {"callbacks": "${model}"},
    "callbacks of hydra's own": {"callbacks": {"x": {"_target_": "hydra.experimental.callbacks.LogJobReturnCallback"}}},
    "the whole node by interpolation": "${model}",
    "no mapping": 5,
    "nothing": None,
    "a log handler opens a file": {
        "job_logging": {"handlers": {"f": {"class": "logging.FileHandler", "filename": "canary"}}, "root": ["f"]}
    },
    "a log factory is called": {"job_logging": {"handlers": {"f": {"()": "evil.run"}}, "root": {"handlers": ["f"]}}},
    "a formatter class is imported": {"job_logging": {"formatters": {"f": {"class": "evil.run"}}}},
    "a filter is made": {"job_logging": {"filters": {"f": {"()": "os.system", "command": "touch canary"}}}},
    "ext:// imports": {"job_logging": {"root": {"level": "ext://evil.run"}}},
    "ext:// in hydra's log": {"hydra_logging": {"loggers": {"a": {"level": "ext://evil.run"}}}},
    "handlers of hydra's log": {"hydra_logging": {"handlers": {"f": {"class": "logging.FileHandler"}}}},
    "a propagating logger with handlers": {"job_logging": {"loggers": {"a": {"handlers": ["console"]}}}},
    "the whole log by interpolation": {"job_logging": "${oc.env:HOME}"},
    "no log": {"job_logging": None},
    "another launcher": {"launcher": {"_target_": "evil.run"}},
    "another sweeper": {"sweeper": {"_target_": "evil.run"}},
    "parameters of the sweeper": {"mode": "MULTIRUN", "sweeper": {"params": {"hydra.job.env_set.HPO_TRUST": "*"}}},
    "a folder elsewhere": {"run": {"dir": "/tmp/canary"}},
    "a folder above": {"run": {"dir": "../canary"}},
    "a folder above, in the middle": {"run": {"dir": "x/../../canary"}},
    "a folder at home": {"run": {"dir": "~/canary"}},
    "a folder from the environment": {"run": {"dir": "${oc.env:HOME}/canary"}},
    "a folder by another key": {"run": {"dir": "${metric}/canary"}},
    "a folder of a sweep": {"sweep": {"dir": "/tmp/canary"}},
    "a folder of a sweep's job": {"sweep": {"subdir": "../../canary"}},
    "a folder for hydra's files": {"output_subdir": "canary"},
    "the name of a job as a path": {"job": {"name": "../canary"}},
    "chdir to wherever": {"job": {"chdir": "/tmp"}},
    "a package that is imported": {"searchpath": ["pkg://evil"]},
    "a package that is imported, second": {"searchpath": ["pkg://hpo_pipeline.conf", "pkg://evil.conf"]},
    "a package of a name that begins like ours": {"searchpath": ["pkg://hpo_pipeline.config"]},
    "a package by interpolation": {"searchpath": ["${oc.env:EVIL}"]},
    "a source of another kind": {"searchpath": ["s3://evil"]},
    "no list of folders": {"searchpath": "pkg://evil"},
    "a verbose interpolation": {"verbose": "${oc.env:HOME}"},
    "aliases of what is typed": {"aliases": {"name": "hydra.callbacks.x"}},
    "help": {"help": {"template": "$CONFIG"}},
    "overrides as if typed": {"overrides": {"hydra": ["hydra.job.env_set.HPO_TRUST='*'"]}},
    "runtime": {"runtime": {"cwd": "/tmp"}},
}  # fmt: skip

PLACES = ("experiment", "saved config", "best.yaml")


def written(place: str, node: object, program: str = "tune") -> tuple[str, ...]:
    """Puts hydra: `node` into a file of that kind; returns the words that compose it."""
    content = {"hydra": node}
    if place == "saved config":
        composed = compose(*FREE, "name=first")
        Path("runs/first").mkdir(parents=True)
        write_configs(composed, Path("runs/first"))
        saved = Path("runs/first/config.yaml")
        before = yaml.safe_load(saved.read_text())
        mixed = {**before["hydra"], **node} if isinstance(node, dict) else node
        saved.write_text(yaml.safe_dump({**before, "hydra": mixed}))
        return ("--config-path", "runs/first", "--config-name", "config", "name=x")
    Path("mine/experiment").mkdir(parents=True)
    Path("mine/experiment/e.yaml").write_text("# @package _global_\n" + yaml.safe_dump(content))
    return ("--config-dir", "mine", "experiment=e")


@pytest.fixture(autouse=True)
def _evil(monkeypatch: pytest.MonkeyPatch) -> None:
    """Code that lies beside the config, as it does in a folder that was cloned from somewhere."""
    Path("evil").mkdir()
    Path("evil/__init__.py").write_text("open('canary', 'w')\ndef run(*a, **k): pass\n")
    monkeypatch.setenv("HOME", os.path.abspath("home"))


def refused(ended: Ended, reason: str) -> None:
    assert ended.code == 2, (ended.out, ended.err)
    assert reason in ended.err
    assert "Traceback" not in ended.err
    assert not Path("canary").exists()
    assert not Path("../canary").exists()
    assert not Path("/tmp/canary").exists()
    assert not Path("home").exists()


CASES = [(place, what) for i, what in enumerate(HYDRA) for place in PLACES if place == "experiment" or i % 5 == 1]
"""All of them in an experiment, some in the other places, which are composed in the same way."""


@pytest.mark.parametrize(("place", "node"), [(place, HYDRA[what]) for place, what in CASES], ids=map(str, CASES))
def test_a_file_says_nothing_of_hydra_that_runs_imports_or_writes(node, place):
    if place == "best.yaml":
        refused(run(*written(place, node), "tracker=none", program="train"), "hydra")
    else:
        free = FREE if place == "experiment" else ()
        refused(run(*written(place, node), *free, "dry_run=true"), "hydra")


@pytest.mark.parametrize("group", ["hydra/launcher", "hydra/sweeper"])
def test_a_file_chooses_neither_launcher_nor_sweeper(group):
    Path("mine/experiment").mkdir(parents=True)
    Path("mine", group).mkdir(parents=True)
    Path("mine", group, "evil.yaml").write_text("_target_: evil.run\n")
    Path("mine/experiment/e.yaml").write_text(f"# @package _global_\ndefaults: [override /{group}: evil]\n")
    refused(run("--config-dir", "mine", "experiment=e", *FREE, "dry_run=true"), group)


def test_a_log_configuration_of_a_folder_is_a_files_too():
    Path("mine/hydra/job_logging").mkdir(parents=True)
    Path("mine/experiment").mkdir(parents=True)
    Path("mine/hydra/job_logging/evil.yaml").write_text("handlers: {f: {(): evil.run}}\nroot: {handlers: [f]}\n")
    Path("mine/experiment/e.yaml").write_text("# @package _global_\ndefaults: [override /hydra/job_logging: evil]\n")
    refused(run("--config-dir", "mine", "experiment=e", *FREE, "dry_run=true"), "hydra.job_logging")


@pytest.mark.parametrize("header", ["# @package hydra.job.env_set\n", "# @package hydra\n"])
def test_a_files_package_gains_it_nothing(header):
    Path("mine/experiment").mkdir(parents=True)
    body = "HPO_TRUST: '*'\n" if "env_set" in header else "job: {env_set: {HPO_TRUST: '*'}}\n"
    Path("mine/experiment/e.yaml").write_text(header + body)
    refused(run("--config-dir", "mine", "experiment=e", *FREE, "dry_run=true"), "hydra.job.env_set")


def test_a_file_moved_into_hydras_node_gains_nothing():
    Path("mine/experiment").mkdir(parents=True)
    Path("mine/model").mkdir()
    Path("mine/model/evil.yaml").write_text("x: {_target_: evil.run}\n")
    Path("mine/experiment/e.yaml").write_text("# @package _global_\ndefaults: [/model@hydra.callbacks: evil]\n")
    refused(run("--config-dir", "mine", "experiment=e", *FREE, "dry_run=true"), "hydra.callbacks")


def test_a_primary_config_gives_no_search_path_by_interpolation():
    Path("theirs").mkdir()
    Path("theirs/study.yaml").write_text(
        "defaults: [tune, _self_]\nmodel: {searchpath: ['pkg://evil', 'pkg://hpo_pipeline.conf']}\nhydra: ${model}\n"
    )
    refused(run("--config-path", "theirs", "--config-name", "study", *FREE, "dry_run=true"), "hydra")


def test_every_job_of_a_multirun_is_looked_at():
    Path("mine/experiment").mkdir(parents=True)
    Path("mine/experiment/a.yaml").write_text("# @package _global_\nn_trials: 1\n")
    Path("mine/experiment/b.yaml").write_text("# @package _global_\nhydra: {job: {env_set: {HPO_TRUST: '*'}}}\n")
    ended = run("-m", "--config-dir", "mine", "experiment=a,b", *FREE, "dry_run=true")
    refused(ended, "hydra.job.env_set")


@pytest.mark.parametrize(
    "node",
    [
        {"run": {"dir": "outputs/${now:%Y}/${name}"}},
        {"sweep": {"dir": "multi", "subdir": "${hydra:job.num}"}},
        {"verbose": True},
        {"job": {"chdir": False, "name": "mine"}},
        {"job_logging": {"root": {"level": "WARNING"}, "loggers": {"my.lab": {"level": "DEBUG"}}}},
        {"output_subdir": None},
    ],
)
def test_what_sharing_needs_is_accepted(node):
    ended = run(*written("experiment", node), *FREE, "dry_run=true", "name=x")
    assert ended.code == 0, ended.err


def test_what_is_typed_is_the_persons_own(monkeypatch):
    monkeypatch.delenv("TYPED", raising=False)
    assert run(*FREE, "dry_run=true", "+hydra.job.env_set.TYPED=1", "hydra.job.name=../x").code == 0


def test_the_flag_that_unpickles_is_refused():
    ended = run("--experimental-rerun", "x.pickle")
    assert ended.code != 0
    assert not Path("runs").exists()
