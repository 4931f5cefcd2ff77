"""Optimizers that are made without torch's compiler."""

from __future__ import annotations

import sys

import pytest
import torch
from specs import trial_of

from hpo_pipeline.objective.lazy_compiler import postpone_compiler
from hpo_pipeline.objective.training import Training

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


def test_who_begins_to_train_imports_the_compiler_before_the_first_epoch_is_timed(without_marks):
    postpone_compiler()
    config = {
        "model": {"_target_": "hpo_pipeline.model.softmax.Softmax"},
        "dataset": {"_target_": "hpo_pipeline.dataset.digits.Digits", "batch_size": 500},
        "optimizer": {"_target_": "torch.optim.SGD", "lr": 0.1},
        "seed": 0,
    }
    with pytest.raises(ImportError):
        Training(device="cpu").start(trial_of(config, 0))
    assert without_marks == ["torch._dynamo"]
