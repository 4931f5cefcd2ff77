"""From losses to optimizer steps: gradients of several batches for one step, their limit, their scale in fp16."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Step:
    """An optimizer that is given losses.

        step.take(loss, n) ...; step.finish()

    With `accumulate` k, every k batches make one step, by the mean gradient over all their examples: as one batch k
    times as large would (but for what looks at a batch as a whole, batch normalization). The last step of an epoch
    takes what is left.

    Args:
        grad_clip: largest norm of a step's gradient, or None.
        scaler: for fp16.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        grad_clip: float | None = None,
        accumulate: int = 1,
        scaler: torch.amp.GradScaler | None = None,
    ) -> None:
        self._optimizer = optimizer
        self._grad_clip = grad_clip
        self._accumulate = accumulate
        self._scaler = scaler
        self._weights = [weight for group in optimizer.param_groups for weight in group["params"]]
        self._batches = self._examples = self._first = 0

    def take(self, loss: Tensor, n: int) -> None:
        """Takes in the mean loss over a batch of `n` examples."""
        if self._batches == 0:
            self._first = n
            for weight in self._weights:  # what zero_grad does, without its bookkeeping
                weight.grad = None
        self._batches += 1
        self._examples += n
        if n != self._first:
            loss = loss * (n / self._first)
        if self._scaler is not None:
            loss = self._scaler.scale(loss)
        loss.backward()  # type: ignore[no-untyped-call]
        if self._batches == self._accumulate:
            self.finish()

    def finish(self) -> None:
        """Makes a step of what has been taken in since the last one, if anything."""
        if not self._batches:
            return
        if self._scaler is not None:
            self._scaler.unscale_(self._optimizer)
        if self._examples != self._first:
            share = self._first / self._examples
            torch._foreach_mul_([weight.grad for weight in self._weights if weight.grad is not None], share)
        if self._grad_clip is not None:
            nn.utils.clip_grad_norm_(self._weights, self._grad_clip)
        if self._scaler is not None:
            self._scaler.step(self._optimizer)
            self._scaler.update()
        else:
            self._optimizer.step()
        self._batches = self._examples = 0
