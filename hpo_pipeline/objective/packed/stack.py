"""What a pack of trials needs of its networks: their weights side by side, and the gradients of all of them at once.

K trials    B examples a batch    C classes
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import log_softmax

from hpo_pipeline.objective.packed.batches import Batch


class Stack(Protocol):
    """The weights of K networks as a few tensors. Lists of tensors that lie like them are gradients or buffers.

    Attributes:
        tensors: all weights; steps are taken in them.
        evaluation_batch: examples to be scored at once.
    """

    tensors: list[Tensor]
    evaluation_batch: int

    def __len__(self) -> int:
        """K."""
        ...

    def narrowed(self, tensors: Sequence[Tensor], active: int) -> list[Tensor]:
        """The first `active` trials' part of tensors that lie like `self.tensors`: views."""
        ...

    def parts(self, k: int, tensors: Sequence[Tensor]) -> list[tuple[Tensor, Tensor]]:
        """Trial k's own parameters, each with the view, of the same shape, of its part of the tensors."""
        ...

    def of_trials(self, tensors: Sequence[Tensor]) -> list[tuple[Tensor, ...]]:
        """For each trial, its part of each of the tensors, padding included: views in one piece of memory."""
        ...

    def per_trial(self, values: Tensor, active: int) -> list[Tensor]:
        """`values` `(K,)` shaped so that each of the first `active` trials' multiplies its part of the tensors."""
        ...

    def squared_norms(self, tensors: Sequence[Tensor], active: int) -> Tensor:
        """Of each of the first `active` trials' part of the tensors, `(active,)`."""
        ...

    def gradients(self, batch: Batch) -> tuple[Tensor, list[Tensor]]:
        """Each trial's mean cross-entropy `(K,)`, and the gradients; they are overwritten by the next call."""
        ...

    def scores(self, x: Tensor) -> Tensor:
        """All trials' class scores `(K, C, B)` of the same examples `(B, *input_shape)`, without dropout."""
        ...

    def write_back(self) -> None:
        """Puts the weights back into the trials' own networks."""
        ...


def slopes_of(scores: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """Mean cross-entropy of each trial over its own examples `(K,)`, and its derivative by the scores `(K, C, B)`.

    By hand, and with the classes before the examples: along a last dimension of few classes, softmax is many times as
    slow.
    """
    classes = batch.classes.unsqueeze(1)
    logs = log_softmax(scores, dim=1)
    own = logs.gather(1, classes).squeeze(1)
    slopes = logs.exp_().scatter_add_(1, classes, own.new_full((), -1.0).expand(classes.shape))
    if batch.counts is None:
        return own.mean(1).neg_(), slopes.div_(own.shape[1])
    padding = torch.arange(own.shape[1], device=own.device) >= batch.counts.unsqueeze(1)
    losses = own.masked_fill_(padding, 0.0).sum(1).div_(-batch.counts)
    return losses, slopes.masked_fill_(padding.unsqueeze(1), 0.0).div_(batch.counts.view(-1, 1, 1))
