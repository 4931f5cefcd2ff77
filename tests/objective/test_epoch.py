"""One pass over data: who is trained on, who is scored, and in which order."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from hpo_pipeline.dataset.task import Task
from hpo_pipeline.objective.epoch import EVALUATION_BATCH, data_order, evaluate, in_memory, train, whole
from hpo_pipeline.objective.loss import build_loss
from hpo_pipeline.objective.scoring import Scores
from hpo_pipeline.objective.step import Step


def one_weight(value: float = 0.0) -> nn.Linear:
    """Scores of two classes, (0, weight * x)."""
    model = nn.Linear(1, 2, bias=False)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[0.0], [value]]))
    return model


def scores(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> dict[str, float]:
    task = Task("classification", 2)
    return evaluate(model, whole(x, y), Scores(task, build_loss(None, task)))


def test_the_whole_validation_set_is_scored_the_last_batch_included():
    n = EVALUATION_BATCH + 3  # the last three are the only ones of class 1
    x, y = torch.ones(n, 1), torch.zeros(n, dtype=torch.int64)
    y[-3:] = 1
    assert scores(one_weight(value=-1.0), x, y)["error"] == 3 / n


def test_equal_scores_for_two_classes_cost_ln_2():
    loss = scores(one_weight(value=0.0), torch.ones(5, 1), torch.zeros(5, dtype=torch.int64))["loss"]
    assert abs(loss - 0.6931471805599453) < 1e-6


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_a_network_that_gives_no_finite_scores_has_no_error_to_be_ranked_by(broken):
    x, y = torch.ones(4, 1), torch.zeros(4, dtype=torch.int64)  # class 0 is what argmax makes of NaN
    x[3] = broken  # one example is enough
    found = scores(one_weight(value=1.0), x, y)
    assert math.isnan(found["error"])
    assert not math.isfinite(found["loss"])


def test_every_example_is_trained_on_once_in_the_given_order_with_a_smaller_last_batch():
    seen: list[list[float]] = []
    model = one_weight()

    def recorded(x: torch.Tensor) -> torch.Tensor:
        seen.append(x[:, 0].tolist())
        return model(x)

    x, order = torch.arange(5.0).unsqueeze(1), torch.tensor([3, 0, 4, 1, 2])
    step = Step(torch.optim.SGD(model.parameters(), lr=0.1))
    train(recorded, step, in_memory(x, torch.zeros(5, dtype=torch.int64), order, 2))
    assert seen == [[3, 0], [4, 1], [2]]


def test_train_loss_is_the_mean_over_examples_not_over_batches():
    # A learning rate of 0 leaves the scores (0, 1000 x) as they are: three examples with x = 0 cost ln 2 each,
    # the last one, of class 0 with x = 1 and alone in its batch, costs 1000.
    model, x = one_weight(value=1000.0), torch.tensor([[0.0], [0.0], [0.0], [1.0]])
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    loss = train(model, Step(optimizer), in_memory(x, torch.zeros(4, dtype=torch.int64), torch.arange(4), 3))
    assert abs(loss - (3 * 0.6931471805599453 + 1000) / 4) < 1e-4


def test_a_step_moves_the_weights_by_the_learning_rate_times_the_clipped_gradient():
    # One example x = 6 of class 1 with scores (0, 0): gradient (3, -3), norm 3 sqrt 2; clipped to 1, times lr 2.
    model = one_weight()
    optimizer = torch.optim.SGD(model.parameters(), lr=2.0)
    train(model, Step(optimizer, grad_clip=1.0), [(torch.tensor([[6.0]]), torch.tensor([1]))])
    assert torch.allclose(model.weight[:, 0], torch.tensor([-(2.0**0.5), 2.0**0.5]), atol=1e-5)


def test_the_order_of_the_data_is_a_permutation_that_changes_with_the_epoch_and_the_studys_seed():
    order = data_order(100, study_seed=0, epoch=0)
    assert sorted(order.tolist()) == list(range(100))
    assert torch.equal(order, data_order(100, study_seed=0, epoch=0))
    assert not torch.equal(order, data_order(100, study_seed=0, epoch=1))
    assert not torch.equal(order, data_order(100, study_seed=1, epoch=0))


def test_the_order_of_the_data_neither_uses_nor_moves_the_global_random_state():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    data_order(10, study_seed=0, epoch=0)
    assert torch.equal(before, torch.get_rng_state())
