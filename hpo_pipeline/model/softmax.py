"""Softmax regression: one linear layer from pixels to class scores."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import nn


class Softmax(nn.Sequential):
    """Class scores (logits), linear in the pixels.

    Args:
        input_shape: shape of one example, e.g. `(1, 28, 28)`.
        n_outputs: class scores, or what else the dataset's task asks for.
    """

    def __init__(self, input_shape: Sequence[int], n_outputs: int) -> None:
        super().__init__(nn.Flatten(), nn.Linear(math.prod(input_shape), n_outputs))
