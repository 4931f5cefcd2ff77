"""A perceptron with residual blocks (He et al. 2016): one more is easy to train, so their number can be tuned."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor, nn


class ResidualMLP(nn.Sequential):
    """Linear, `n_blocks` of `width`, linear. The study supplies the first two arguments, the YAML the others."""

    def __init__(
        self, input_shape: Sequence[int], n_outputs: int, width: int = 64, n_blocks: int = 2, dropout: float = 0.0
    ) -> None:
        super().__init__(
            nn.Flatten(),
            nn.Linear(math.prod(input_shape), width),
            *(_Block(width, dropout) for _ in range(n_blocks)),
            nn.LayerNorm(width),
            nn.Linear(width, n_outputs),
        )


class _Block(nn.Module):
    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, width), nn.GELU(), nn.Dropout(dropout), nn.Linear(width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)
