"""The built-in models: shapes, sizes by hand, and what they refuse."""

from __future__ import annotations

import pytest
import torch

from hpo_pipeline.errors import ConfigError
from hpo_pipeline.model.mlp import MLP
from hpo_pipeline.model.softmax import Softmax


def n_weights(model: torch.nn.Module) -> int:
    return sum(weight.numel() for weight in model.parameters())


def test_softmax_has_one_weight_for_each_pixel_and_class_and_one_bias_for_each_class():
    assert n_weights(Softmax((1, 28, 28), 10)) == 28 * 28 * 10 + 10


def test_softmax_is_linear_in_the_pixels():
    model, x = Softmax((1, 2, 2), 3), torch.rand(5, 1, 2, 2)
    assert torch.allclose(model(x) - model(0 * x), (model(3 * x) - model(0 * x)) / 3, atol=1e-6)


def test_mlp_has_the_weights_of_three_layers():
    assert n_weights(MLP((1, 28, 28), 10, n_units_1=4, n_units_2=7)) == (784 * 4 + 4) + (4 * 7 + 7) + (7 * 10 + 10)


def test_mlp_scores_every_class_of_every_example():
    assert MLP((1, 8, 8), 10)(torch.rand(3, 1, 8, 8)).shape == (3, 10)


def test_mlp_names_its_weights_alike_whatever_the_hyperparameters():
    dropped = MLP((1, 8, 8), 10, n_units_1=4, dropout_1=0.5, dropout_2=0.99, activation="tanh")
    assert MLP((1, 8, 8), 10).state_dict().keys() == dropped.state_dict().keys()


def test_mlp_drops_units_in_training_only():
    torch.manual_seed(0)
    model, x = MLP((1, 8, 8), 10, dropout_1=0.5), torch.rand(3, 1, 8, 8)
    assert not torch.equal(model(x), model(x))
    model.eval()
    assert torch.equal(model(x), model(x))


def test_mlp_lists_everything_that_is_wrong_at_once():
    with pytest.raises(ConfigError) as raised:
        MLP((1, 8, 8), 10, n_units_1=0, n_units_2=3.5, dropout_1=1.0, dropout_2=-0.1, activation="rellu")
    problems = raised.value.problems
    assert [line.partition(":")[0] for line in problems] == [
        "n_units_1", "n_units_2", "dropout_1", "dropout_2", "activation",
    ]  # fmt: skip
    assert "got 0" in problems[0]
    assert "did you mean 'relu'?" in problems[-1]
