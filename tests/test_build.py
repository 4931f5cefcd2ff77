"""Config nodes become objects, of trusted code only."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest

from hpo_pipeline.build import build, check, locate
from hpo_pipeline.errors import ConfigError

RUNGS = "hpo_pipeline.scheduler.rungs"


def test_a_node_is_called_with_its_keys():
    assert build({"_target_": f"{RUNGS}.levels", "min_resource": 1, "max_resource": 9, "eta": 3}) == (1, 3, 9)


def test_supplied_arguments_are_passed_where_they_fit_and_the_node_does_not_set_them():
    node = {"_target_": f"{RUNGS}.levels", "min_resource": 1, "max_resource": 9}
    assert build(node, eta=3, max_resource=27, unknown=1) == (1, 3, 9)


def test_a_partial_is_called_later():
    made = build({"_target_": f"{RUNGS}.levels", "_partial_": True, "min_resource": 1, "eta": 3})
    assert isinstance(made, functools.partial)
    assert made(max_resource=3) == (1, 3)


def test_nested_nodes_are_built_first():
    inner = {"_target_": "torch.nn.Linear", "in_features": 2, "out_features": 3}
    model = build({"_target_": "torch.nn.TransformerEncoderLayer", "d_model": 4, "nhead": 2, "activation": {**inner}})
    assert model.activation.out_features == 3


@pytest.mark.parametrize(
    "target",
    [
        "os.system",
        "builtins.eval",
        "subprocess.run",
        "torch.load",
        "torch.hub.load",
        "hpo_pipeline.build.importlib.import_module",
        "hpo_pipeline.journal.Journal",
        "torch",
        "",
        "torch.nn",
        "..os.system",
    ],
)
def test_what_is_not_on_the_trust_list_is_refused(target):
    with pytest.raises(ConfigError, match=r"^_target_: "):
        locate(target)


@pytest.mark.parametrize(
    "target",
    [
        "hpo_pipeline.model.mlp.os.system",
        "hpo_pipeline.objective.function.os.system",
        "hpo_pipeline.objective.function.os.remove",
        "hpo_pipeline.objective.training.checkpoint.torch.load",
        "hpo_pipeline.objective.training.json.loads",
        "torch.nn.functional.importlib.import_module",
        "torch.nn.modules.module.torch.load",
        "hpo_pipeline.objective.checkpoint.os.system",
    ],
)
def test_an_alias_of_something_else_within_a_trusted_module_gains_nothing(target):
    with pytest.raises(ConfigError):
        locate(target)


def test_the_environment_adds_to_the_trust_list(monkeypatch):
    Path("my_lab.py").write_text("from os import system\ndef f(x): return x + 1\n")
    monkeypatch.syspath_prepend(Path.cwd())
    with pytest.raises(ConfigError, match=r"set the environment variable HPO_TRUST='my_lab\.\*'"):
        locate("my_lab.f")
    monkeypatch.setenv("HPO_TRUST", " other.thing , my_lab.*")
    assert build({"_target_": "my_lab.f", "x": 1}) == 2
    with pytest.raises(ConfigError, match="not on the trust list"):
        locate("my_lab.system")
    monkeypatch.setenv("HPO_TRUST", "my_lab")
    assert locate("my_lab.f")(1) == 2
    monkeypatch.setenv("HPO_TRUST", "my_la")
    with pytest.raises(ConfigError):
        locate("my_lab.f")


def test_what_is_not_trusted_is_not_even_imported(monkeypatch):
    Path("spy.py").write_text("import pathlib; pathlib.Path('imported').touch()\ndef f(): pass\n")
    monkeypatch.syspath_prepend(Path.cwd())
    with pytest.raises(ConfigError):
        locate("spy.f")
    assert not Path("imported").exists()


def test_a_name_that_is_nearly_right_is_told():
    with pytest.raises(ConfigError, match="did you mean 'MLP'"):
        locate("hpo_pipeline.model.mlp.MPL")


def test_a_module_that_can_not_be_imported_tells_why(monkeypatch):
    Path("broken_lab.py").write_text("import not_there_at_all\ndef f(): pass\n")
    monkeypatch.syspath_prepend(Path.cwd())
    monkeypatch.setenv("HPO_TRUST", "broken_lab.*")
    with pytest.raises(ConfigError, match="No module named 'not_there_at_all'"):
        locate("broken_lab.f")


def test_an_object_that_can_not_be_called_is_refused():
    with pytest.raises(ConfigError):
        locate("hpo_pipeline.model.mlp.ACTIVATIONS")


@pytest.mark.parametrize("node", [None, 3, "torch.nn.Linear", {}, {"in_features": 1}, [1]])
def test_what_has_no_target_is_a_problem(node):
    assert check(node, "model") == [f"model: must be a mapping with a _target_, got {node!r}"]


def test_all_problems_of_a_call_are_found_without_making_it():
    node = {"_target_": "torch.nn.Linear", "in_feature": 1, "out_features": 2}
    assert check(node, "model") == [
        "model.in_feature: torch.nn.Linear takes no 'in_feature'; did you mean 'in_features'?",
        "model.in_features: missing; torch.nn.Linear needs it",
    ]


def test_supplied_arguments_are_not_missing_and_not_suggested():
    assert check({"_target_": "torch.nn.Linear"}, "m", ("in_features", "out_features")) == []


@pytest.mark.parametrize(
    ("place", "hide"),
    [
        ("device", lambda node: node),
        ("device[1]", lambda node: [0, node]),
        ("device.a[0].b", lambda node: {"a": [{"b": node}]}),
        ("device[0][0]", lambda node: [[node]]),
    ],
)
def test_a_target_within_lists_and_plain_mappings_is_checked_with_its_place(place, hide):
    node = {
        "_target_": "torch.nn.Linear",
        "in_features": 1,
        "out_features": 1,
        "device": hide({"_target_": "os.system"}),
    }
    (problem,) = check(node, "model")
    assert problem.startswith(f"model.{place}._target_: 'os.system' is not on the trust list")


@pytest.mark.parametrize("hide", [lambda n: n, lambda n: [n], lambda n: {"a": n}, lambda n: [{"a": [n]}]])
def test_nothing_untrusted_runs_wherever_it_stands(hide):
    bad = {"_target_": "pathlib.Path.touch", "self": "touched"}
    with pytest.raises(ConfigError):
        build({"_target_": "torch.nn.Identity", "x": hide(bad)})
    assert list(Path().iterdir()) == []
