"""What is found of a model before any trial: one pass of two examples."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("torch")

import torch
from torch import nn

from hpo_pipeline import trust
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
    return Training(device="cpu").model_problems(
        {
            "model": {"_target_": f"{__name__}.Reads64", **arguments},
            "dataset": {"_target_": "hpo_pipeline.dataset.digits.Digits", "batch_size": 8},
        }
    )


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
