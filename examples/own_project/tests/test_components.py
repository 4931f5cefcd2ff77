"""Each component keeps to its interface: hpo_pipeline.testing asks, the rest by hand."""

from __future__ import annotations

import pytest
import torch
from my_lab.dataset import Windows
from my_lab.loss import Pinball
from my_lab.metric import Within
from my_lab.model import ResidualMLP
from my_lab.objective import Factorization
from my_lab.scheduler import Bandit
from my_lab.searcher import HillClimb

from hpo_pipeline.space import SearchSpace
from hpo_pipeline.testing import check_objective, check_scheduler, check_searcher

SPACE = SearchSpace.parse(
    {
        "params": {
            "rank": {"type": "int", "low": 1, "high": 16},
            "regularization": {"type": "float", "low": 0.01, "high": 100.0, "log": True},
        }
    }
)
FEW = SearchSpace.parse({"n": {"type": "int", "low": 1, "high": 3}, "kind": {"type": "choice", "choices": ["a", "b"]}})


@pytest.mark.parametrize("space", [SPACE, FEW])
def test_searcher(space):
    check_searcher(lambda space: HillClimb(space, seed=0, n_startup=2), space)


@pytest.mark.parametrize("n_workers", [1, 4])
def test_scheduler(n_workers):
    check_scheduler(lambda trials: Bandit(trials, max_resource=6, slack=2.0), n_workers=n_workers, seed=0)


def test_objective():
    check_objective(lambda: Factorization(20, 10, 200), {"params": {"rank": 2, "regularization": 1.0}})


def test_the_objective_says_what_is_wrong_with_a_config():
    found = Factorization(20, 10, 200).problems({"params": {"rank": 0, "regularization": 1.0, "ranks": 2}})
    assert [problem.path for problem in found] == ["params.rank", "params.ranks"]


def test_the_dataset_and_the_model_fit():
    data = Windows(length=12, horizon=3, n=200).load()
    assert data.x_train.shape == (120 - 12 - 3 + 1, 12)
    assert torch.equal(data.x_train[3 + 11, 0], data.x_train[3, 11])  # one series, seen through moving windows
    assert torch.equal(data.y_train[0, 0], data.x_train[3, 11])  # the target: three steps after the last value
    assert ResidualMLP(data.input_shape, data.task.n_outputs)(data.x_validation).shape == data.y_validation.shape


def test_the_pinball_loss_of_two_errors():
    outputs, targets = torch.tensor([[0.0], [0.0]]), torch.tensor([[1.0], [-1.0]])
    assert Pinball(0.9)(outputs, targets).item() == pytest.approx((0.9 + 0.1) / 2)


def test_the_metric_adds_up_over_batches():
    metric = Within(tolerance=0.5)
    metric.update(torch.tensor([0.0, 0.0]), torch.tensor([0.4, 0.6]))
    metric.update(torch.tensor([0.0]), torch.tensor([-0.5]))
    assert metric.compute().item() == pytest.approx(2 / 3)
