"""ResNet-18 (He et al. 2016, "Deep residual learning for image recognition"), torchvision's, fit for small images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models import resnet18

from hpo_pipeline.checks import boolean_problems, is_number, value_problems
from hpo_pipeline.errors import ConfigError, Problem

SMALL = 64
"""Images below this height or width, in pixels, keep it to the first residual block, as in section 4.2 of the paper."""


class ResNet18(nn.Module):
    """Four stages of two residual blocks each, the mean over the image, then linear to the outputs.

    The first convolution is 7 x 7 with stride 2 and pooling after it, as for ImageNet; for images below 64 pixels it is
    3 x 3 with stride 1 and no pooling, or little would be left of them.

    Args:
        input_shape: shape of one image, `(channels, height, width)`; any number of channels.
        n_outputs: class scores, or what else the dataset's task asks for.
        dropout: probability with which an input of the last layer is set to zero in training, in [0, 1).
        zero_init: whether each residual branch begins at zero (Goyal et al. 2017, section 5.1).
    """

    def __init__(
        self, input_shape: Sequence[int], n_outputs: int, dropout: float = 0.0, zero_init: bool = False
    ) -> None:
        if found := list(_problems(input_shape, dropout, zero_init)):
            raise ConfigError(found)
        super().__init__()
        channels, *sides = input_shape
        net = resnet18(weights=None, zero_init_residual=zero_init)
        width = net.conv1.out_channels
        if min(sides) < SMALL:
            net.conv1 = nn.Conv2d(channels, width, kernel_size=3, padding=1, bias=False)
            net.maxpool = nn.Identity()
        else:
            net.conv1 = nn.Conv2d(channels, width, kernel_size=7, stride=2, padding=3, bias=False)
        nn.init.kaiming_normal_(net.conv1.weight, mode="fan_out", nonlinearity="relu")
        net.fc = nn.Sequential(nn.Dropout(dropout), nn.Linear(net.fc.in_features, n_outputs))
        self.net = net
        self.to(memory_format=torch.channels_last)  # convolutions on a processor are faster so

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.net(x)
        return scores


def _problems(input_shape: Sequence[int], dropout: Any, zero_init: Any) -> Iterator[Problem]:
    yield from boolean_problems(zero_init=zero_init)
    yield from value_problems("a number in [0, 1)", lambda p: is_number(p, 0) and p < 1, dropout=dropout)
    if len(input_shape) != 3:
        shape = " x ".join(map(str, input_shape))
        what = f"must be channels x height x width, got {shape}; take another model for this dataset"
        yield Problem("input_shape", what)
