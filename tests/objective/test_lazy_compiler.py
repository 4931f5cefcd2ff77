"""Optimizers that are made, and take steps, without torch's compiler."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch.optim.optimizer import _use_grad_for_differentiable

from hpo_pipeline.objective.lazy_compiler import postpone_compiler

METHODS = ("add_param_group", "load_state_dict", "state_dict", "zero_grad")


@pytest.fixture
def without_marks(monkeypatch):
    """As in a fresh process: the compiler isn't there, and no method is marked."""
    monkeypatch.setitem(sys.modules, "torch._dynamo", None)  # whoever imports it gets an ImportError
    monkeypatch.delitem(sys.modules, "torch._dynamo")
    for name in METHODS:
        monkeypatch.delattr(getattr(torch.optim.Optimizer, name).__wrapped__, "__dynamo_disable", raising=False)
    imported = []

    class Finder:
        @staticmethod
        def find_spec(name, *_):
            if name == "torch._dynamo":
                imported.append(name)
                raise ImportError(name)

    monkeypatch.setattr(sys, "meta_path", [Finder, *sys.meta_path])
    return imported


def make_and_use() -> None:
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))])
    optimizer.zero_grad()
    optimizer.load_state_dict(optimizer.state_dict())


def test_an_optimizer_is_made_saved_and_loaded_without_the_compiler(without_marks):
    postpone_compiler()
    make_and_use()
    assert without_marks == []


def test_once_the_compiler_is_there_torch_marks_the_methods_itself(without_marks, monkeypatch):
    class Compiler:
        marked: list[str] = []  # noqa: RUF012

        @classmethod
        def disable(cls, function, *_, **__):
            cls.marked.append(function.__name__)
            return function

    postpone_compiler()
    monkeypatch.setitem(sys.modules, "torch._dynamo", Compiler)
    monkeypatch.setattr(torch, "_dynamo", Compiler, raising=False)
    make_and_use()
    make_and_use()
    assert sorted(Compiler.marked) == sorted(METHODS)


@pytest.fixture
def fresh(without_marks, monkeypatch) -> type[torch.optim.Optimizer]:
    """A class of optimizers that torch has dressed, and nobody has used."""

    class Fresh(torch.optim.SGD):
        @_use_grad_for_differentiable
        def step(self, closure=None):
            for group in self.param_groups:
                for weight in group["params"]:
                    weight -= group["lr"] * weight.grad  # in place: refused where gradients are tracked

    monkeypatch.setattr(torch.optim, "Fresh", Fresh, raising=False)
    postpone_compiler()
    return Fresh


def stepped(made: type[torch.optim.Optimizer]) -> torch.nn.Parameter:
    weight = torch.nn.Parameter(torch.ones(1))
    optimizer = made([weight], lr=0.5)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1)
    (3 * weight).sum().backward()
    optimizer.step()
    schedule.step()
    return weight


@pytest.mark.filterwarnings("error")
def test_a_step_is_taken_without_the_compiler(fresh, without_marks):
    weight = stepped(fresh)
    assert weight.item() == 1 - 0.5 * 3
    assert weight.requires_grad
    assert torch.is_grad_enabled()
    assert without_marks == []


def test_a_step_is_torchs_own_once_the_compiler_is_there(fresh, monkeypatch):
    breaks = []

    class Compiler:
        disable = staticmethod(lambda function, *_, **__: function)
        graph_break = staticmethod(lambda: breaks.append(1))

    monkeypatch.setitem(sys.modules, "torch._dynamo", Compiler)
    monkeypatch.setattr(torch, "_dynamo", Compiler, raising=False)
    assert stepped(fresh).item() == -0.5
    assert breaks == [1, 1]


def test_training_imports_no_compiler():
    """A real process: here the compiler may have been imported long ago."""
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from hpo_pipeline.objective import TrialSpec\n"
        "from hpo_pipeline.objective.training import Training\n"
        "config = {'model': {'_target_': 'hpo_pipeline.model.softmax.Softmax'}, 'seed': 0,\n"
        "          'dataset': {'_target_': 'hpo_pipeline.dataset.digits.Digits', 'batch_size': 500},\n"
        "          'optimizer': {'_target_': 'torch.optim.Adam', 'lr': 0.1}}\n"
        "objective = Training(device='cpu')\n"
        "state = objective.start(TrialSpec(config, 0, Path()))\n"
        "objective.advance(state)\n"
        "print('torch._dynamo' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
