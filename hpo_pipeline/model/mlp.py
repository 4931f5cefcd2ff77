"""The perceptron with two hidden layers, each followed by dropout: Syne Tune's running example."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from torch import nn

from hpo_pipeline.checks import integer_problems, is_number, value_problems
from hpo_pipeline.errors import ConfigError, Problem, nearest

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "leaky_relu": nn.LeakyReLU,
    "relu": nn.ReLU,
    "sigmoid": nn.Sigmoid,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
}


class MLP(nn.Sequential):
    """Flatten, then twice linear + activation + dropout, then linear to class scores (logits).

    The layers and the names of their weights are the same for every value of the hyperparameters.

    Args:
        input_shape: shape of one example, e.g. `(1, 28, 28)`.
        n_outputs: class scores, or what else the dataset's task asks for.
        n_units_1, n_units_2: widths of the hidden layers.
        dropout_1, dropout_2: probability with which a unit of that layer is set to zero in training, in [0, 1).
        activation: a name in `ACTIVATIONS`.
    """

    def __init__(
        self,
        input_shape: Sequence[int],
        n_outputs: int,
        n_units_1: int = 256,
        n_units_2: int = 128,
        dropout_1: float = 0.0,
        dropout_2: float = 0.0,
        activation: str = "relu",
    ) -> None:
        widths = {"n_units_1": n_units_1, "n_units_2": n_units_2}
        dropouts = {"dropout_1": dropout_1, "dropout_2": dropout_2}
        if found := list(problems(widths, dropouts, activation)):
            raise ConfigError(found)
        super().__init__(*layers(input_shape, widths.values(), dropouts.values(), activation, n_outputs))


def layers(
    input_shape: Sequence[int], widths: Iterable[int], dropouts: Iterable[float], activation: str, n_outputs: int
) -> Iterator[nn.Module]:
    """Those of a perceptron, whose hidden layers have these widths and probabilities of dropout."""
    yield nn.Flatten()
    n_inputs = math.prod(input_shape)
    for n_units, dropout in zip(widths, dropouts, strict=True):
        yield from (nn.Linear(n_inputs, n_units), ACTIVATIONS[activation](), nn.Dropout(dropout))
        n_inputs = n_units
    yield nn.Linear(n_inputs, n_outputs)


def problems(widths: dict[str, Any], dropouts: dict[str, Any], activation: Any) -> Iterator[Problem]:
    """What is wrong with a perceptron's hyperparameters."""
    yield from integer_problems(**widths)
    yield from value_problems("a number in [0, 1)", lambda value: is_number(value, 0) and value < 1, **dropouts)
    if activation not in ACTIVATIONS:
        yield Problem(
            "activation",
            f"unknown name {activation!r}; choose one of {', '.join(ACTIVATIONS)}"
            f"{nearest(str(activation), ACTIVATIONS)}",
        )
