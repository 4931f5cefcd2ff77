"""Which trials of a pack take a step when, and the examples that they see in it.

Each trial walks through the shuffled examples at its own pace, a batch a step; a step is taken by some of the trials
at once. All pass a stretch of the examples before any goes on to the next, so that what was gathered for one is still
in the processor's cache for the others; trials at the same epoch share it.

    K trials, by batch size, the smallest first; those that take a step are always the first ones
    B examples a batch
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Step:
    """A step of the first trials, `len(starts)` of them.

    Attributes:
        starts: where in its order of the examples each trial's batch begins.
        lengths: the examples in it.
    """

    starts: list[int]
    lengths: list[int]


def plan(n: int, batch_sizes: Sequence[int]) -> Iterator[list[Step]]:
    """All steps of an epoch of `n` examples, stretch by stretch; `batch_sizes` must not descend."""
    done = [0] * len(batch_sizes)
    left = [-(-n // size) for size in batch_sizes]  # steps; they don't ascend
    for end in range(batch_sizes[-1], n + batch_sizes[-1], batch_sizes[-1]):
        steps: list[Step] = []
        while active := max((k + 1 for k, at in enumerate(done) if at < min(end, n)), default=0):
            # Those with as many steps left go along: else it wouldn't be the first ones at the epoch's end.
            while active < len(left) and left[active] == left[active - 1]:
                active += 1
            starts = done[:active]
            steps.append(Step(starts, [min(size, n - at) for at, size in zip(starts, batch_sizes, strict=False)]))
            for k in range(active):
                done[k] += batch_sizes[k]
                left[k] -= 1
        yield steps


@dataclass(frozen=True, slots=True)
class Batch:
    """What the trials that take a step see.

    Attributes:
        inputs: each group's examples `(B, *input_shape)`, or those of all trials as one tensor,
            `(K, B, *input_shape)`.
        targets: `(K, B)` classes, or `(K, B, n_outputs)`. Where batches differ in length, these and stacked inputs are
            filled up with some others.
        starts: where in their order of the examples the trials' batches begin, `(K,)`, or `(1,)` for all the same.
        lengths: the numbers of examples.
        counts: the same as a tensor `(K,)` where they differ, else None.
    """

    inputs: list[Tensor] | Tensor
    targets: Tensor
    starts: Tensor
    lengths: Sequence[int]
    counts: Tensor | None

    def __len__(self) -> int:
        """Trials."""
        return len(self.lengths)


class Batches:
    """The training examples of one epoch, as the trials of a pack walk through them.

    Args:
        batch_sizes: the trials'; they must not descend.
        orders: the trials' orders of the examples, `(n,)`; those with the same order have the same tensor.
        stacked: hand over the inputs as one tensor, unless all trials see the same.

    Attributes:
        groups: trials that see the same batches; each step is one of the first groups.
    """

    def __init__(
        self, x: Tensor, y: Tensor, batch_sizes: Sequence[int], orders: Sequence[Tensor], *, stacked: bool
    ) -> None:
        self._x = x
        self._sizes = batch_sizes
        self._n = len(orders[0])
        self._orders = list({id(order): order for order in orders}.values())
        numbers = {id(order): i for i, order in enumerate(self._orders)}
        self._order_of = [numbers[id(order)] for order in orders]
        self._rows = torch.cat(self._orders)
        self._targets = y.index_select(0, self._rows)
        self._offsets = torch.tensor(self._order_of, device=x.device).mul_(self._n).unsqueeze(1)
        self._range = torch.arange(max(self._n, batch_sizes[-1]), device=x.device)
        seen = list(zip(batch_sizes, self._order_of, strict=True))
        runs = [list(run) for _, run in itertools.groupby(range(len(seen)), seen.__getitem__)]
        self.groups = [range(run[0], run[-1] + 1) for run in runs]
        self._stacked = stacked and len(self.groups) > 1
        self._buffers = [x.new_empty(0)] * len(self._orders)

    def __iter__(self) -> Iterator[Batch]:
        """Each step's. What one holds is overwritten by the next."""
        for stretch in plan(self._n, self._sizes):
            windows = [] if self._stacked else self._gathered(stretch)
            for step in stretch:
                yield self._batch(step, windows)

    def _gathered(self, stretch: Sequence[Step]) -> list[tuple[int, Tensor]]:
        """For each order, the examples that the stretch needs: the position of the first one, and all."""
        spans = [(self._n, 0)] * len(self._orders)
        for step in stretch:
            for i, start, length in zip(self._order_of, step.starts, step.lengths, strict=False):
                spans[i] = min(spans[i][0], start), max(spans[i][1], start + length)
        windows: list[tuple[int, Tensor]] = []
        for i, (low, high) in enumerate(spans):
            count = max(0, high - low)
            if len(self._buffers[i]) < count:
                self._buffers[i] = self._x.new_empty(count, *self._x.shape[1:])
            window = self._buffers[i][:count]
            windows.append((low, torch.index_select(self._x, 0, self._orders[i][low:high], out=window)))
        return windows

    def _batch(self, step: Step, windows: Sequence[tuple[int, Tensor]]) -> Batch:
        active, longest = len(step.starts), max(step.lengths)
        inputs: list[Tensor] = []
        for group in self.groups if windows else []:
            if group.start < active:
                low, window = windows[self._order_of[group.start]]
                start = step.starts[group.start] - low
                inputs.append(window[start : start + step.lengths[group.start]])
        if len(self.groups) == 1:
            [start], length = set(step.starts), longest
            targets = self._targets[start : start + length]
            targets = targets.expand(active, *targets.shape)
            return Batch(inputs, targets, self._range[start : start + 1], step.lengths, None)
        starts = torch.tensor(step.starts, device=self._x.device)
        places = (starts.unsqueeze(1) + self._range[:longest]).clamp_(max=self._n - 1).add_(self._offsets[:active])
        counts = torch.tensor(step.lengths, device=self._x.device) if min(step.lengths) < longest else None
        targets = self._targets.index_select(0, places.flatten()).view(*places.shape, *self._targets.shape[1:])
        if not self._stacked:
            return Batch(inputs, targets, starts, step.lengths, counts)
        rows = self._rows.take(places)
        stacked = self._x.index_select(0, rows.flatten()).view(*rows.shape, *self._x.shape[1:])
        return Batch(stacked, targets, starts, step.lengths, counts)
