"""What is found of a model before any trial: one pass of two examples."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from torch import nn

from hpo_pipeline import trust
from hpo_pipeline.errors import Problem
from hpo_pipeline.objective import checks
from hpo_pipeline.objective.training import Training


class Reads64(nn.Linear):
    """Gives scores of `n_scores` classes for flat images of 64 points, and forgets to flatten unless told."""

    def __init__(self, n_scores: int, flatten: bool = True, pair: bool = False) -> None:
        super().__init__(64, n_scores)
        self.flatten, self.pair = flatten, pair

    def forward(self, x: torch.Tensor) -> Any:
        scores = super().forward(x.flatten(1) if self.flatten else x)
        return (scores, x) if self.pair else scores


@pytest.fixture(autouse=True)
def _trusted() -> None:
    trust.trust((__name__,))


def problems(**arguments: Any) -> list[str]:
    """Of a model of digits: ten classes of images of shape (1, 8, 8)."""
    node = {"_target_": f"{__name__}.Reads64", **arguments}
    dataset = {"_target_": "hpo_pipeline.dataset.digits.Digits", "batch_size": 8}
    return list(map(str, Training(device="cpu").model_problems({"model": node, "dataset": dataset})))


def test_a_model_with_a_score_for_each_class_is_no_problem():
    assert problems(n_scores=10) == []


def test_a_model_with_scores_for_other_classes_is_a_problem():
    assert problems(n_scores=3) == ["model: gives scores of shape (2, 3), (2, 10) are needed"]


def test_a_model_that_gives_more_than_scores_is_a_problem():
    assert problems(n_scores=10, pair=True) == ["model: gives a tuple, scores of shape (2, 10) are needed"]


def test_a_model_that_fails_on_the_data_is_a_problem():
    (line,) = problems(n_scores=10, flatten=False)
    assert line.startswith(f"model: {__name__}.Reads64 fails on two examples of shape (1, 8, 8) (")


def test_a_model_that_cannot_be_built_is_not_run():
    assert problems(n_scores=-1) == []


def test_a_model_that_is_too_large_to_be_made_twice_is_not_run(monkeypatch):
    monkeypatch.setattr(checks, "_MOST_WEIGHTS", 64 * 3)  # the biases are more
    assert problems(n_scores=3) == []


def test_running_a_model_leaves_the_random_state_alone():
    before = torch.get_rng_state()
    problems(n_scores=10)
    assert torch.equal(torch.get_rng_state(), before)


class Head(nn.Module):
    """Has a layer that a config describes, and takes its size from numbers that a meta tensor doesn't have."""

    def __init__(self, body: nn.Module, n_classes: int) -> None:
        super().__init__()
        self.body = body
        width = int((torch.ones(3).sum() * 4).item())
        self.last = nn.LazyLinear(n_classes) if width else nn.Identity()

    def forward(self, x: torch.Tensor) -> Any:
        return self.last(self.body(x).flatten(1))


class Odd:
    """Raises whatever it is told to."""

    def __init__(self, kind: str) -> None:
        raise {"IndexError": IndexError(3), "AssertionError": AssertionError(), "KeyError": KeyError("x\ny")}[kind]


def nested(body: dict[str, Any]) -> list[str]:
    trial = {
        "model": {"_target_": f"{__name__}.Head", "body": body},
        "dataset": {"_target_": "hpo_pipeline.dataset.digits.Digits", "batch_size": 8},
        "optimizer": {"_target_": "torch.optim.SGD", "lr": 0.1},
    }
    return list(map(str, Training(device="cpu").problems(trial)))


def test_a_model_that_needs_numbers_to_be_built_is_no_problem():
    assert nested({"_target_": "torch.nn.Flatten"}) == []


@pytest.mark.parametrize("size", [-3, 2.5, "abc", 10**30, None, [1]])
@pytest.mark.parametrize("layer", ["Linear", "Conv2d"])
def test_an_invalid_size_of_a_layer_is_one_line(layer, size):
    sizes = {"in_features": 64, "out_features": size} if layer == "Linear" else {"in_channels": 1, "out_channels": size}
    body = {"_target_": f"torch.nn.{layer}", **sizes, **({"kernel_size": 3} if layer == "Conv2d" else {})}
    (line,) = nested(body)
    assert line.startswith(f"model: {__name__}.Head refuses these values (")
    assert "\n" not in line


@pytest.mark.parametrize(
    "body",
    [
        {"_target_": "torch.nn.Conv2d", "in_channels": 4, "out_channels": 4, "kernel_size": 3, "groups": 0},
        {"_target_": "torch.nn.MultiheadAttention", "embed_dim": 0, "num_heads": 0},
        {"_target_": "torch.nn.GroupNorm", "num_groups": 0, "num_channels": 4},
        *({"_target_": f"{__name__}.Odd", "kind": kind} for kind in ("IndexError", "AssertionError", "KeyError")),
    ],
)
def test_whatever_a_constructor_raises_is_one_line(body):
    (line,) = nested(body)
    assert line.startswith("model: ")
    assert "\n" not in line


def test_what_makes_no_module_is_refused():
    trial = {
        "model": {"_target_": f"{__name__}.NoModule"},
        "dataset": {"_target_": "hpo_pipeline.dataset.digits.Digits", "batch_size": 8},
        "optimizer": {"_target_": "torch.optim.SGD", "lr": 0.1},
    }
    assert Training(device="cpu").problems(trial) == [
        Problem("model._target_", f"'{__name__}.NoModule' is no model: it is no torch.nn.Module")
    ]
    assert Training(device="cpu").model_problems(trial) == []


class NoModule:
    """Nothing that could be trained."""
