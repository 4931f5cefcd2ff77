"""The built-in models: shapes, sizes by hand, and what they refuse."""

from __future__ import annotations

import pytest
import torch

from hpo_pipeline.errors import ConfigError
from hpo_pipeline.model.cnn import CNN
from hpo_pipeline.model.mlp import MLP
from hpo_pipeline.model.resnet18 import ResNet18
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
    problems = raised.value.lines
    assert [line.partition(":")[0] for line in problems] == [
        "n_units_1", "n_units_2", "dropout_1", "dropout_2", "activation",
    ]  # fmt: skip
    assert "got 0" in problems[0]
    assert "did you mean 'relu'?" in problems[-1]


def test_cnn_doubles_its_channels_and_halves_the_image_in_each_block():
    model = CNN((3, 28, 28), 10, n_blocks=3, channels=4)
    shapes, x = [], torch.rand(2, 3, 28, 28)
    for layer in model:
        x = layer(x)
        if isinstance(layer, torch.nn.MaxPool2d):
            shapes.append(tuple(x.shape[1:]))
    assert shapes == [(4, 14, 14), (8, 7, 7), (16, 3, 3)]
    assert x.shape == (2, 10)


def test_cnn_has_the_weights_of_its_convolutions_and_two_linear_layers():
    convolutions = (4 * 1 * 9 + 4) + (8 * 4 * 9 + 8)
    linear = (8 * 2 * 2 * 5 + 5) + (5 * 10 + 10)
    plain = CNN((1, 8, 8), 10, n_blocks=2, channels=4, n_units=5, batch_norm=False)
    assert n_weights(plain) == convolutions + linear
    # Normalization has a scale and a shift for each channel; the convolutions do without their biases.
    assert n_weights(CNN((1, 8, 8), 10, n_blocks=2, channels=4, n_units=5)) == convolutions + 4 + 8 + linear


def test_cnn_drops_units_in_training_only():
    torch.manual_seed(0)
    model, x = CNN((1, 8, 8), 10, dropout=0.5, batch_norm=False), torch.rand(3, 1, 8, 8)
    assert not torch.equal(model(x), model(x))
    model.eval()
    assert torch.equal(model(x), model(x))


@pytest.mark.parametrize(("side", "most"), [(8, 3), (28, 4), (2, 1)])
def test_cnn_refuses_more_blocks_than_the_image_can_be_halved(side, most):
    assert CNN((1, side, side + 1), 10, n_blocks=most, channels=1)(torch.rand(2, 1, side, side + 1)).shape == (2, 10)
    with pytest.raises(ConfigError, match=rf"n_blocks: .* {side} x {side + 1} allows {most} at most, got {most + 1}"):
        CNN((1, side, side + 1), 10, n_blocks=most + 1)


def test_cnn_refuses_what_is_no_image():
    with pytest.raises(ConfigError, match="input_shape: must be channels x height x width, got 2"):
        CNN((2,), 10)


def test_cnn_lists_everything_that_is_wrong_at_once():
    with pytest.raises(ConfigError) as raised:
        CNN((1, 8, 8), 10, n_blocks=0, channels=1.5, n_units=0, dropout=1, batch_norm="yes", activation="rel")
    assert [line.partition(":")[0] for line in raised.value.lines] == [
        "n_blocks", "channels", "n_units", "dropout", "activation", "batch_norm",
    ]  # fmt: skip


def test_several_cnns_can_be_evaluated_and_differentiated_as_one():
    torch.manual_seed(0)
    models, x = [CNN((1, 8, 8), 10, channels=2, n_units=4) for _ in range(3)], torch.rand(3, 5, 1, 8, 8)
    weights, buffers = torch.func.stack_module_state(models)

    def total(weights, buffers, x):
        return torch.func.functional_call(models[0], (weights, buffers), (x,)).square().sum()

    together = torch.vmap(torch.func.grad(total))(weights, buffers, x)
    for i, model in enumerate(models):
        alone = torch.autograd.grad(model(x[i]).square().sum(), list(model.parameters()))
        for (name, _), gradient in zip(model.named_parameters(), alone, strict=True):
            assert torch.allclose(together[name][i], gradient, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("channels", "side", "kernel"), [(1, 28, 3), (3, 63, 3), (4, 64, 7)])
def test_resnet18_is_that_of_the_paper_but_for_a_small_first_convolution_on_small_images(channels, side, kernel):
    model = ResNet18((channels, side, side), 5)
    # Without first and last layer: two normalizations a block and one a shortcut, and the convolutions of table 1.
    blocks = sum(2 * 9 * w * w + 9 * w * w + 9 * w * (w if w == 64 else w // 2) for w in (64, 128, 256, 512))
    shortcuts = sum(w * w // 2 for w in (128, 256, 512))
    norms = 2 * (64 + sum(4 * w + (w if w > 64 else 0) for w in (64, 128, 256, 512)))
    assert n_weights(model) == blocks + shortcuts + norms + channels * kernel**2 * 64 + 512 * 5 + 5
    assert model.eval()(torch.rand(2, channels, side, side)).shape == (2, 5)
    if side < 64:  # the first stage sees the whole image
        seen = []
        model.net.layer1.register_forward_hook(lambda _module, _inputs, output: seen.append(tuple(output.shape[2:])))
        model(torch.rand(1, channels, side, side))
        assert seen == [(side, side)]


def test_resnet18_of_torchvision_has_the_weights_that_are_counted_above():
    from torchvision.models import resnet18

    assert n_weights(ResNet18((3, 224, 224), 1000)) == n_weights(resnet18(weights=None)) == 11_689_512


def test_resnet18_begins_with_branches_at_zero_if_told_so():
    torch.manual_seed(0)
    model = ResNet18((1, 8, 8), 3, zero_init=True)
    assert all((block.bn2.weight == 0).all() for block in model.net.layer1)


@pytest.mark.parametrize(
    ("arguments", "path"),
    [({"dropout": 1.0}, "dropout"), ({"zero_init": 1}, "zero_init"), ({"input_shape": (64,)}, "input_shape")],
)
def test_resnet18_refuses_what_makes_no_network(arguments, path):
    with pytest.raises(ConfigError) as error:
        ResNet18(**{"input_shape": (1, 8, 8), "n_outputs": 2, **arguments})
    assert [problem.path for problem in error.value.problems] == [path]
