"""Config nodes become objects: of the kind that belongs in the place, and of trusted code only."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")

from commands import ROOT
from torch import nn

from hpo_pipeline import trust
from hpo_pipeline.build import build, check, locate, takes
from hpo_pipeline.errors import ConfigError, Problem
from hpo_pipeline.kinds import KINDS

LINEAR = {"_target_": "torch.nn.Linear", "in_features": 2, "out_features": 3}


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module of somebody's own that can be imported, and isn't trusted yet."""
    monkeypatch.syspath_prepend(Path.cwd())
    path = Path("my_lab.py")
    path.write_text(
        "from os import system\n"
        "from torch import nn\n"
        "from torch.optim import SGD\n"
        "class Net(nn.Linear):\n"
        "    @classmethod\n"
        "    def small(cls): return cls(1, 1)\n"
        "class Open(nn.Module):\n"
        "    def __init__(self, *args, **kwargs):\n"
        "        super().__init__()\n"
        "        self.got = kwargs\n"
        "class MySGD(SGD):\n"
        "    def __init__(self, params, **rest):\n"
        "        super().__init__(params)\n"
        "        self.rest = rest\n"
        "def make(n): return nn.Linear(n, n)\n"
        "def count(n): return n\n"
        "def by_position(n, /): return nn.Linear(n, n)\n"
        "def _private(): return nn.Identity()\n"
        "class Half:\n"
        "    def next_job(self): pass\n"
        "bound = Net.small\n"
    )
    return path


def test_a_node_is_called_with_its_keys():
    made = build(LINEAR, "model")
    assert (made.in_features, made.out_features) == (2, 3)


def test_what_is_offered_is_passed_where_the_target_takes_it_and_the_node_does_not_set_it():
    node = {"_target_": "hpo_pipeline.model.softmax.Softmax", "n_outputs": 7}
    assert build(node, "model", input_shape=(2, 3), n_outputs=9)[1].weight.shape == (7, 6)


def test_a_model_that_takes_nothing_of_what_is_offered_is_built_without():
    assert build(LINEAR, "model", input_shape=(2, 3), n_classes=9).out_features == 3


def test_who_takes_arguments_of_any_name_gets_all_that_is_offered(lab):
    trust.trust(("my_lab",))
    offered = {"input_shape": (1,), "n_classes": 3, "n_outputs": 3}  # the last by its own name alone
    made = build({"_target_": "my_lab.Open", "width": 2}, "model", **offered)
    assert made.got == {"width": 2, "input_shape": (1,), "n_classes": 3}
    assert takes({"_target_": "my_lab.Open"}, "model", "n_classes")


def test_a_librarys_arguments_of_any_name_are_not_meant_for_ours():
    build({"_target_": "torch.nn.Tanh"}, "model", input_shape=(1,), n_classes=3)  # takes *args, **kwargs


def test_torchs_fused_form_is_asked_for_by_name_alone(lab):
    trust.trust(("my_lab",))
    made = build({"_target_": "my_lab.MySGD"}, "optimizer", params=[nn.Parameter(nn.Linear(1, 1).weight)], fused=True)
    assert made.rest == {}


def test_nested_nodes_are_built_first():
    node = {"_target_": "torch.nn.TransformerEncoderLayer", "d_model": 4, "nhead": 2, "activation": LINEAR}
    assert build(node, "model").activation.out_features == 3
    node = {"_target_": "torch.nn.ModuleDict", "modules": {"a": LINEAR}}
    assert build(node, "model")["a"].in_features == 2
    node = {"_target_": "torch.nn.ModuleList", "modules": [LINEAR, LINEAR]}
    assert len(build(node, "model")) == 2


def test_torchvisions_models_are_built_by_their_registered_builders_with_fresh_weights():
    pytest.importorskip("torchvision")
    node = {"_target_": "torchvision.models.squeezenet1_1", "num_classes": 4, "weights": None}
    assert build(node, "model", input_shape=(3, 8, 8), n_classes=4).num_classes == 4


def test_the_environment_adds_to_what_is_trusted_when_it_is_read(lab, monkeypatch):
    with pytest.raises(ConfigError, match=r"set the environment variable HPO_TRUST='my_lab\.\*'"):
        locate("my_lab.make", "model")
    monkeypatch.setenv("HPO_TRUST", " other.thing , my_lab.*")
    with pytest.raises(ConfigError, match="not on the trust list"):
        locate("my_lab.make", "model")
    trust.read_environment()
    assert build({"_target_": "my_lab.make", "n": 5}, "model").in_features == 5
    with pytest.raises(ConfigError, match=r"is really .(posix|nt)\.system., which is not on the trust list"):
        locate("my_lab.system", "model")


@pytest.mark.parametrize("entry", ["my_lab", "my_lab.*", "my_lab.make", "my_lab.make,other"])
def test_a_module_or_a_name_in_it_is_trusted(lab, monkeypatch, entry):
    monkeypatch.setenv("HPO_TRUST", entry)
    trust.read_environment()
    assert locate("my_lab.make", "model")(1).in_features == 1


@pytest.mark.parametrize("entry", ["my_la", "my_lab.mak", "other", ""])
def test_the_beginning_of_a_name_is_not_the_name(lab, monkeypatch, entry):
    monkeypatch.setenv("HPO_TRUST", entry)
    trust.read_environment()
    with pytest.raises(ConfigError):
        locate("my_lab.make", "model")


@pytest.mark.parametrize("entry", ["*", "my_la*", "*.make", "my_lab.*.make", "my lab", "my_lab."])
def test_an_entry_that_could_mean_anything_is_refused(monkeypatch, entry):
    monkeypatch.setenv("HPO_TRUST", f"fine.one,{entry}")
    with pytest.raises(ConfigError, match="HPO_TRUST: must be modules or names in them"):
        trust.read_environment()


def test_the_path_of_a_program_trusts_no_module(lab, monkeypatch):
    monkeypatch.setenv("HPO_TRUST", "../my_lab,/bin/my_lab.make")
    trust.read_environment()
    with pytest.raises(ConfigError):
        locate("my_lab.make", "model")


def test_a_private_name_is_trusted_only_where_it_is_written_out(lab):
    trust.trust(("my_lab",))
    with pytest.raises(ConfigError, match="is private; to trust it, name it whole in HPO_TRUST"):
        locate("my_lab._private", "model")
    trust.trust(("my_lab._private",))
    assert isinstance(build({"_target_": "my_lab._private"}, "model"), nn.Identity)


def test_trusted_code_is_held_to_the_kind_of_its_place(lab):
    trust.trust(("my_lab",))
    with pytest.raises(ConfigError, match=r"'my_lab\.Net' is no scheduler: it has no next_job, on_report"):
        locate("my_lab.Net", "scheduler")
    with pytest.raises(ConfigError, match=r"'my_lab\.Half' is no scheduler: it has no on_report, on_result, describe"):
        locate("my_lab.Half", "scheduler")
    with pytest.raises(ConfigError, match=r"my_lab\.count makes no model: it is no torch\.nn\.Module"):
        build({"_target_": "my_lab.count", "n": 1}, "model")


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("my_lab.Net.small", "'my_lab' is not a package"),
        ("my_lab.bound", "is not a class or a function"),
        ("my_lab.by_position", "takes arguments by position"),
        ("my_lab.nn", "is not a class or a function"),
    ],
)
def test_trusted_code_is_named_by_module_and_name_and_called_by_keyword(lab, target, why):
    trust.trust(("my_lab",))
    with pytest.raises(ConfigError, match=why):
        locate(target, "model")


def test_what_does_not_tell_its_arguments_is_refused_in_one_line():
    trust.trust(("builtins",))
    with pytest.raises(ConfigError, match="doesn't tell which arguments it takes"):
        locate("builtins.dict", "part")


def test_an_objectives_function_is_a_function(lab):
    trust.trust(("my_lab",))
    assert locate("my_lab.count", "function")(3) == 3
    with pytest.raises(ConfigError, match=r"'my_lab\.Net' is no function"):
        locate("my_lab.Net", "function")


def test_what_is_not_trusted_is_not_even_imported(monkeypatch):
    Path("spy.py").write_text("import pathlib; pathlib.Path('imported').touch()\ndef f(): pass\n")
    monkeypatch.syspath_prepend(Path.cwd())
    with pytest.raises(ConfigError):
        locate("spy.f", "model")
    assert not Path("imported").exists()


def test_a_name_that_is_nearly_right_is_told():
    with pytest.raises(ConfigError, match="did you mean 'MLP'"):
        locate("hpo_pipeline.model.mlp.MPL", "model")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("import not_there_at_all", "No module named 'not_there_at_all'"),
        ("def", "invalid syntax"),
        ("1 / 0", "by zero"),
    ],
)
def test_a_module_that_can_not_be_imported_tells_why(monkeypatch, text, why):
    Path("broken_lab.py").write_text(f"{text}\n")
    monkeypatch.syspath_prepend(Path.cwd())
    trust.trust(("broken_lab",))
    with pytest.raises(ConfigError, match=why):
        locate("broken_lab.f", "model")


@pytest.mark.parametrize("node", [None, 3, "torch.nn.Linear", {}, {"in_features": 1}, [1]])
def test_what_has_no_target_is_a_problem(node):
    assert check(node, "model") == [Problem("", f"must be a mapping with a _target_, got {node!r}")]
    with pytest.raises(ConfigError):
        build(node, "model")


def test_all_problems_of_a_call_are_found_without_making_it():
    node = {"_target_": "torch.nn.Linear", "in_feature": 1, "out_features": 2, 3: 4, "_partial_": 0.5}
    assert list(map(str, check(node, "model"))) == [
        "3: the keys of a component are names of its arguments, got a key of int",
        "_partial_: is no argument; a component takes arguments by name, and _target_",
        "in_feature: torch.nn.Linear takes no 'in_feature'; did you mean 'in_features'?",
        "in_features: missing; torch.nn.Linear needs it",
    ]
    with pytest.raises(ConfigError, match=r"^3: the keys .*\n_partial_: .*\nin_feature: .*\nin_features: "):
        build(node, "model")


def test_what_is_offered_is_not_missing():
    assert check({"_target_": "torch.optim.SGD"}, "optimizer") == []


@pytest.mark.parametrize(
    ("kind", "target", "key"),
    [
        ("optimizer", "torch.optim.SGD", "params"),
        ("lr_schedule", "torch.optim.lr_scheduler.ConstantLR", "optimizer"),
        ("executor", "hpo_pipeline.executor.serial.SerialExecutor", "setup"),
        ("objective", "hpo_pipeline.objective.training.Training", "final"),
    ],
)
def test_what_only_a_study_can_give_is_not_for_a_config_to_set(kind, target, key):
    assert check({"_target_": target, key: [1]}, kind) == [
        Problem(key, f"is not for a config to set; {target} is given it")
    ]


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
    (problem,) = check({**LINEAR, "device": hide({"_target_": "os.system"})}, "model")
    assert problem.path == f"{place}._target_"
    assert problem.message.startswith("'os.system' is not on the trust list")


def test_every_component_that_the_project_ships_is_of_the_kind_of_its_group():
    import yaml

    from hpo_pipeline import conf

    (root,) = map(Path, conf.__path__)
    found = set()
    for path in (path for group in KINDS for path in (root / group).glob("*.yaml")):
        group, node = path.parent.name, yaml.safe_load(path.read_text()) or {}
        node = node.get(group, node) or {}  # a model that chooses its optimizer is written from the root
        if "_target_" in node:
            found.add(locate(node["_target_"], group).__name__)
    assert found >= {
        "MLP",
        "Digits",
        "Adam",
        "StepLR",
        "Training",
        "ASHA",
        "RandomSearch",
        "SerialExecutor",
        "NoTracker",
    }


PLACES = {
    "function": "objective.function",
    "train_function": "objective.function of train_function",
    "lightning_module": "model of lightning",
    "lightning_data": "dataset of lightning",
    "metrics": "metrics.<name>",
    "part": "an argument of a node",
    "transform": "an item of dataset.transform",
}
"""Kinds that are no groups -> where they stand."""


def test_what_is_offered_is_told_to_people():
    text = (ROOT / "docs/components.md").read_text()
    rows = {row[1].strip(" `"): row[3] for line in text.splitlines() if len(row := line.split("|")) == 5}
    for kind in KINDS.values():
        place = PLACES.get(kind.name, kind.name)
        assert rows[place].strip() == ", ".join(f"`{offer.name}`" for offer in kind.offers), place
    settable = {offer.name for kind in KINDS.values() for offer in kind.offers if offer.settable}
    (line,) = (line for line in text.splitlines() if line.startswith("- A config may set"))
    assert set(line.split("`")[1::2]) == settable
