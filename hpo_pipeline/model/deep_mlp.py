"""A perceptron whose depth is a hyperparameter: one to six hidden layers, each with a width of its own."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from hpo_pipeline.checks import integer_problems
from hpo_pipeline.errors import ConfigError
from hpo_pipeline.model.mlp import layers, problems

MAX_LAYERS = 6


class DeepMLP(nn.Sequential):
    """Flatten, then `n_layers` times linear + activation + dropout, then linear to class scores (logits).

    Args:
        input_shape: shape of one example, e.g. `(1, 28, 28)`.
        n_outputs: class scores, or what else the dataset's task asks for.
        n_layers: hidden layers, 1 to 6. The widths of the others are not used.
        n_units_1 … n_units_6: widths of the hidden layers.
        dropout: probability with which a hidden unit is set to zero in training, in [0, 1).
        activation: a name in `mlp.ACTIVATIONS`.
    """

    def __init__(
        self,
        input_shape: Sequence[int],
        n_outputs: int,
        n_layers: int = 2,
        n_units_1: int = 128,
        n_units_2: int = 128,
        n_units_3: int = 128,
        n_units_4: int = 128,
        n_units_5: int = 128,
        n_units_6: int = 128,
        dropout: float = 0.0,
        activation: str = "relu",
    ) -> None:
        widths = [n_units_1, n_units_2, n_units_3, n_units_4, n_units_5, n_units_6]
        named = {f"n_units_{i}": n_units for i, n_units in enumerate(widths, start=1)}
        found = [*problems(named, {"dropout": dropout}, activation)]
        if found := [*found, *integer_problems(most=MAX_LAYERS, n_layers=n_layers)]:
            raise ConfigError(found)
        super().__init__(*layers(input_shape, widths[:n_layers], [dropout] * n_layers, activation, n_outputs))
