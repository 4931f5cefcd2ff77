"""Nodes that a stranger might write: none runs anything, each is refused with its reason."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import os
import pickle
import pkgutil
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from specs import trial_of

pytest.importorskip("torchvision.transforms.v2")

import torch
from commands import FUNCTION, run
from hostile_nodes import IDENTITY, LINEAR, NODES, NOWHERE, RESNET, SERIAL

from hpo_pipeline.build import build, check, locate
from hpo_pipeline.errors import ConfigError
from hpo_pipeline.executor.pack import Pack
from hpo_pipeline.executor.runner import StudySetup
from hpo_pipeline.kinds import KINDS
from hpo_pipeline.objective.training import Training
from hpo_pipeline.ranking import ByScore
from hpo_pipeline.simulation import SPACE
from hpo_pipeline.trial import Job, Outcome, Result, Trial


def test_what_happens_would_be_seen(seen: list[str]):
    Path("x").write_bytes(pickle.dumps(Path("x")))
    pickle.loads(Path("x").read_bytes())
    os.remove("x")
    os.system("true")
    assert [event.partition(" ")[0] for event in seen] == ["open", "pickle.find_class", "os.remove", "os.system"]


@pytest.mark.usefixtures("nothing_happens")
@pytest.mark.parametrize(("target", "reason"), NOWHERE, ids=[target[:60] for target, _ in NOWHERE])
def test_what_is_of_no_kind_is_refused_everywhere(target: str, reason: str):
    inner = {"_target_": target, "command": "touch canary", "path": "canary", "self": {"url": "file:///evil.pkl"}}
    lines = list(map(str, check({**IDENTITY, "x": inner}, "model")))
    assert len(lines) == 1 or all("_target_" not in line for line in lines[1:])
    assert lines[0].startswith("x._target_: ")
    assert reason in lines[0]
    assert len(lines[0]) < 500
    assert lines[0].isascii()
    assert lines[0].isprintable()
    for kind in KINDS:
        assert any("_target_" in problem.path for problem in check(inner, kind)), kind
        with pytest.raises(ConfigError):
            build(inner, kind)
    with pytest.raises(ConfigError):
        build({**IDENTITY, "x": [{"y": inner}]}, "model")


@pytest.mark.usefixtures("nothing_happens")
@pytest.mark.parametrize(("kind", "node", "reason"), NODES, ids=range(len(NODES)))
def test_a_node_that_could_do_harm_is_refused(kind: str, node: Any, reason: str):
    lines = [str(problem.under(kind)) for problem in check(node, kind)]
    assert any(reason in line for line in lines), lines
    assert all(line.isprintable() and line.isascii() and len(line) < 500 for line in lines), lines
    with pytest.raises(ConfigError):
        build(node, kind)


@pytest.mark.parametrize(
    ("kind", "node"),
    [
        ("model", LINEAR),
        ("model", IDENTITY),
        ("optimizer", {"_target_": "torch.optim.SGD"}),
        ("lr_schedule", {"_target_": "torch.optim.lr_scheduler.StepLR", "step_size": 1}),
        ("loss", {"_target_": "torch.nn.CrossEntropyLoss"}),
        ("metrics", {"_target_": "torchmetrics.classification.F1Score"}),
        ("scheduler", {"_target_": "hpo_pipeline.scheduler.fifo.FIFO", "max_resource": 1}),
        ("executor", SERIAL),
        ("model", {**RESNET, "weights": None}),
    ],
)
def test_the_harmless_nodes_that_the_others_are_made_from_are_no_problem(kind: str, node: dict[str, Any]):
    assert check(node, kind) == []


CONFIG = {
    "model": {"_target_": "hpo_pipeline.model.softmax.Softmax"},
    "dataset": {"_target_": "hpo_pipeline.dataset.digits.Digits", "batch_size": 500},
    "optimizer": {"_target_": "torch.optim.SGD", "lr": 0.1},
    "lr_schedule": {"_target_": "torch.optim.lr_scheduler.StepLR", "step_size": 1},
    "loss": {"_target_": "torch.nn.CrossEntropyLoss"},
    "seed": 0,
}


@pytest.mark.parametrize("group", ["model", "dataset", "optimizer", "lr_schedule", "loss"])
def test_a_trial_builds_nothing_that_its_sample_has_smuggled_in(group: str):
    config = {**CONFIG, group: {**CONFIG[group], "_target_": "os.system"}}  # type: ignore[dict-item]
    setup = StudySetup(
        {"_target_": "hpo_pipeline.objective.training.Training"}, ("x",), Path("t"), lambda *_: config, lambda _: 0
    )
    pack = Pack(setup.pack(threads=1, checkpoint_seconds=30))
    pack.submit(setup.task(Job(Trial(0, {}), 1), 0))
    (result,) = pack.advance()
    assert isinstance(result, Result)
    assert result.outcome is Outcome.FAILED
    assert "'os.system' is not on the trust list" in str(result.error)
    with pytest.raises(ConfigError):
        Training(device="cpu").start(trial_of(config, 0))


def test_a_choice_of_targets_is_held_to_the_kind_of_its_place():
    choices = "[hpo_pipeline.model.softmax.Softmax, os.system, torch.hub.load]"
    ended = run(
        *("dataset=digits", "model=softmax", "executor=serial", "tracker=none", "n_trials=4", "dry_run=true"),
        f"+search_space.model._target_={{type: choice, choices: {choices}}}",
    )
    assert ended.code == 2
    assert "search_space.model._target_: os.system: 'os.system' is not on the trust list" in ended.err
    assert "search_space.model._target_: torch.hub.load: 'torch.hub.load' is no model" in ended.err
    assert list(Path().iterdir()) == []


def everything_that(kind: str) -> Iterator[str]:
    """All targets that a node of the kind may name without anybody's trust."""
    for home in KINDS[kind].homes:
        holder = importlib.import_module(home.modules.removesuffix(".*"))
        inner = [info.name for info in pkgutil.iter_modules(holder.__path__)] if home.modules.endswith(".*") else []
        for module in [f"{holder.__name__}.{name}" for name in inner] or [holder.__name__]:
            for name in sorted(dir(importlib.import_module(module))):
                with contextlib.suppress(ConfigError):
                    locate(f"{module}.{name}", kind)
                    yield f"{module}.{name}"


HOSTILE = ("evil.pkl", "file:///etc/passwd", "os.system", "__import__('os').system('touch canary')", {"a": "evil.pkl"})
SETUP = StudySetup(
    {"_target_": "hpo_pipeline.objective.function.Function"}, ("x",), Path("t"), lambda *_: {}, lambda _: 0
)


def offered() -> dict[str, Any]:
    """What studies give to components."""
    weights = [torch.nn.Parameter(torch.zeros(1))]
    shape = {"input_shape": (1, 8, 8), "n_classes": 3, "n_outputs": 3}
    study = {"space": SPACE, "seed": 0, "trials": None, "ranking": ByScore, "setup": SETUP, "devices": []}
    return {**shape, **study, "params": weights, "optimizer": torch.optim.SGD(weights, lr=0.1), "final": False}


@pytest.mark.parametrize("kind", [kind for kind in KINDS if KINDS[kind].homes and kind != "function"])
def test_no_constructor_does_anything_with_a_text_but_keep_or_refuse_it(kind: str, request: pytest.FixtureRequest):
    targets = list(everything_that(kind))
    builders = [target for target in targets if target.startswith("torchvision.models.")]
    targets = [target for target in targets if target not in builders[1:]]  # they take the same arguments
    given = {offer.name for offer in KINDS[kind].offers}
    request.getfixturevalue("nothing_happens")
    made = set()
    for target in targets:
        parameters = [p for p in inspect.signature(locate(target, kind)).parameters.values() if p.name not in given]
        named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
        needed = {p.name: 2 for p in named if p.default is p.empty}
        for change in [{}, *({p.name: value} for p in named for value in HOSTILE)]:
            with contextlib.suppress(Exception), torch.device("meta"), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                build({"_target_": target, **needed, **change}, kind, **offered())
                made.add(target)
    assert len(made) > len(targets) / 3  # the others need more than a number


def test_modules_beside_the_config_are_found_only_where_somebody_trusts_some(monkeypatch: pytest.MonkeyPatch):
    free = (*FUNCTION, "executor=serial", "tracker=none", "n_trials=1", "dry_run=true")
    assert run(*free).code == 0
    assert str(Path.cwd()) not in sys.path
    monkeypatch.setenv("HPO_TRUST", "my_lab")
    assert run(*free).code == 0
    assert sys.path[-1] == str(Path.cwd())
