"""The weights of a pack's networks side by side, each of them as one tensor with a leading dimension of the trials.

K trials    B examples a batch    C outputs
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from hpo_pipeline.objective.packed.batches import Batch
from hpo_pipeline.objective.packed.loss import StackedLoss


def launch_bound(device: torch.device) -> bool:
    """Whether calls cost more than memory there, as on a GPU, and padding is cheap."""
    return device.type != "cpu"


class Stack(ABC):
    """K networks as one. A list of tensors that lie like its weights holds their gradients or optimizer states.

    Where the trials' weights differ in shape, a tensor has the largest of each dimension, padded with zeros; what is
    done with it leaves the padding zero.

    Args:
        weights: each trial's own, in one order.
        loss: the trials' own, as one.
        pad_first: pad the first weights too. Else, where these differ in length, one trial's follow the other's.

    Attributes:
        loss: the trials'.
        tensors: all weights, `(K, ...)` each, but for the first one's `(sum of lengths, ...)` where it isn't padded;
            steps are taken in them.
        evaluation_batch: examples to be scored at once.
    """

    evaluation_batch: int

    @torch.no_grad()
    def __init__(self, weights: Sequence[Sequence[Tensor]], loss: StackedLoss, *, pad_first: bool = True) -> None:
        self._weights = weights
        self.loss = loss
        self.tensors: list[Tensor] = []
        for same in zip(*weights, strict=True):
            shape = [max(sizes) for sizes in zip(*(weight.shape for weight in same), strict=True)]
            self.tensors.append(same[0].new_zeros(len(weights), *shape))
        self._lengths: list[int] = []  # of the first weights, where these aren't padded
        if not pad_first and len({len(own[0]) for own in weights}) > 1:
            self._lengths = [len(own[0]) for own in weights]
            self._repeats = torch.tensor(self._lengths, device=self.tensors[0].device)
            self.tensors[0] = self.tensors[0].flatten(0, 1)[: sum(self._lengths)].clone()
        for k in range(len(weights)):
            for weight, part in self.parts(k, self.tensors):
                part.copy_(weight)

    def __len__(self) -> int:
        """K."""
        return len(self._weights)

    def narrowed(self, tensors: Sequence[Tensor], active: int) -> list[Tensor]:
        """The first `active` trials' part of the tensors: views."""
        first = sum(self._lengths[:active]) if self._lengths else active
        return [tensors[0][:first], *(tensor[:active] for tensor in tensors[1:])]

    def of_trials(self, tensors: Sequence[Tensor]) -> list[tuple[Tensor, ...]]:
        """For each trial, its part of each of the tensors, padding included: views in one piece of memory."""
        lengths = self._lengths[: len(tensors[-1])]
        first = torch.split(tensors[0], lengths) if lengths else tensors[0].unbind()
        return list(zip(first, *(tensor.unbind() for tensor in tensors[1:]), strict=True))

    def parts(self, k: int, tensors: Sequence[Tensor]) -> list[tuple[Tensor, Tensor]]:
        """Trial k's own weights, each with the view, of the same shape, of its part of the tensors."""
        before = sum(self._lengths[:k])
        own = tensors[0][before:] if self._lengths else tensors[0][k], *(tensor[k] for tensor in tensors[1:])
        pairs = zip(self._weights[k], own, strict=True)
        return [(weight, part[tuple(map(slice, weight.shape))]) for weight, part in pairs]

    def per_trial(self, values: Tensor) -> list[Tensor]:
        """The first trials' values `(k,)`, shaped so that they multiply these trials' part of each of the tensors."""
        shaped = [values.view(-1, *[1] * (tensor.dim() - 1)) for tensor in self.tensors]
        if self._lengths:
            shaped[0] = values.repeat_interleave(self._repeats[: len(values)]).unsqueeze(1)
        return shaped

    def squared_norms(self, tensors: Sequence[Tensor], active: int) -> Tensor:
        """Of each of the first `active` trials' part of the tensors, `(active,)`."""
        first = [own[0].square().sum() for own in self.of_trials(tensors)] if self._lengths else []
        padded = [tensor.reshape(active, -1).square().sum(1) for tensor in tensors[bool(first) :]]
        return torch.stack([*([torch.stack(first)] if first else []), *padded]).sum(0)

    @abstractmethod
    def gradients(self, batch: Batch) -> tuple[Tensor, list[Tensor]]:
        """Each trial's mean loss `(K,)`, and the gradients; they are overwritten by the next call."""

    @abstractmethod
    def scores(self, x: Tensor) -> Tensor:
        """All trials' outputs `(K, C, B)` of the same examples `(B, *input_shape)`, without dropout."""

    @torch.no_grad()
    def write_back(self) -> None:
        """Puts the weights back into the trials' own networks."""
        for k in range(len(self)):
            for weight, part in self.parts(k, self.tensors):
                weight.copy_(part)
