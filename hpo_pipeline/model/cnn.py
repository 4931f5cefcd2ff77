"""A small convolutional network for small images, LeNet (LeCun et al. 1998) with today's layers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import nn

from hpo_pipeline.checks import boolean_problems
from hpo_pipeline.errors import ConfigError, Problem
from hpo_pipeline.model.mlp import ACTIVATIONS, problems


class CNN(nn.Sequential):
    """`n_blocks` blocks that halve the image, one hidden layer, then linear to class scores (logits).

    A block is convolution (3 x 3, padded) + batch normalization + activation + max-pooling (2 x 2). Each has twice the
    channels of the one before.

    Args:
        input_shape: shape of one image, `(channels, height, width)`, e.g. `(1, 28, 28)`.
        n_outputs: class scores, or what else the dataset's task asks for.
        n_blocks: convolutions; 2 to the power of it may not be more than the image's shorter side.
        channels: of the first block.
        n_units: width of the hidden layer.
        dropout: probability with which an input of the hidden layer, or of the last one, is set to zero in training,
            in [0, 1).
        batch_norm: whether the convolutions are normalized (Ioffe & Szegedy 2015).
        activation: a name in `mlp.ACTIVATIONS`.
    """

    def __init__(
        self,
        input_shape: Sequence[int],
        n_outputs: int,
        n_blocks: int = 2,
        channels: int = 16,
        n_units: int = 128,
        dropout: float = 0.0,
        batch_norm: bool = True,
        activation: str = "relu",
    ) -> None:
        widths = {"n_blocks": n_blocks, "channels": channels, "n_units": n_units}
        if found := [
            *problems(widths, {"dropout": dropout}, activation),
            *_problems(input_shape, n_blocks, batch_norm),
        ]:
            raise ConfigError(found)
        n_inputs, height, width = input_shape
        layers: list[nn.Module] = []
        for n_maps in (channels * 2**block for block in range(n_blocks)):
            # A bias would be taken away again with the mean.
            layers.append(nn.Conv2d(n_inputs, n_maps, kernel_size=3, padding=1, bias=not batch_norm))
            layers += [nn.BatchNorm2d(n_maps)] if batch_norm else []
            layers += [ACTIVATIONS[activation](), nn.MaxPool2d(2)]
            n_inputs, height, width = n_maps, height // 2, width // 2
        super().__init__(
            *layers,
            nn.Flatten(),
            nn.Dropout(dropout),
            nn.Linear(n_inputs * height * width, n_units),
            ACTIVATIONS[activation](),
            nn.Dropout(dropout),
            nn.Linear(n_units, n_outputs),
        )
        self.to(memory_format=torch.channels_last)  # an epoch on a processor core takes two thirds of the time


def _problems(input_shape: Sequence[int], n_blocks: Any, batch_norm: Any) -> Iterator[Problem]:
    yield from boolean_problems(batch_norm=batch_norm)
    if len(input_shape) != 3:
        shape = " x ".join(map(str, input_shape))
        wanted = "must be channels x height x width"
        yield Problem("input_shape", f"{wanted}, got {shape}; take another model for this dataset")
        return
    _, height, width = input_shape
    most = min(height, width).bit_length() - 1
    if isinstance(n_blocks, int) and n_blocks > most:
        yield Problem("n_blocks", f"each halves the image, and {height} x {width} allows {most} at most", n_blocks)
