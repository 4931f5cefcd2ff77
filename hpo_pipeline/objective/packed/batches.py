"""Which trials of a pack take a step when, and the examples that they see in it.

Each trial walks through the shuffled examples at its own pace, a batch a step. A wave is one step of some of them. All
pass a stretch of the examples before any goes on to the next, so that what was gathered for one is still in the
processor's cache for the others; trials at the same epoch share it.

    K trials, by batch size, the smallest first; those in a wave are always the first ones    B examples a batch
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Wave:
    """One step of the first trials, `len(starts)` of them.

    Attributes:
        starts: where in its order of the examples each trial's batch begins.
        lengths: the examples in it.
    """

    starts: list[int]
    lengths: list[int]


def plan(n: int, batch_sizes: Sequence[int]) -> Iterator[list[Wave]]:
    """All steps of an epoch of `n` examples, stretch by stretch; `batch_sizes` must not descend."""
    done = [0] * len(batch_sizes)
    left = [-(-n // size) for size in batch_sizes]  # steps; they don't ascend
    for end in range(batch_sizes[-1], n + batch_sizes[-1], batch_sizes[-1]):
        waves: list[Wave] = []
        while active := max((k + 1 for k, at in enumerate(done) if at < min(end, n)), default=0):
            # Those with as many steps left go along: else it wouldn't be the first ones at the epoch's end.
            while active < len(left) and left[active] == left[active - 1]:
                active += 1
            starts = done[:active]
            waves.append(Wave(starts, [min(size, n - at) for at, size in zip(starts, batch_sizes, strict=False)]))
            for k in range(active):
                done[k] += batch_sizes[k]
                left[k] -= 1
        yield waves


@dataclass(frozen=True, slots=True)
class Group:
    """Trials that see the same batches: those from `first` up to, and not including, `end`."""

    first: int
    end: int


@dataclass(frozen=True, slots=True)
class Batch:
    """What the trials of a wave see.

    Attributes:
        inputs: each group's examples `(B, *input_shape)`; if they were asked for `stacked`, one tensor alone,
            `(K, B, *input_shape)`, or `(B, *input_shape)` where all trials see the same.
        classes: `(K, B)`. Where batches differ in length, these and stacked inputs are filled up with some others.
        starts: where in their order of the examples the trials' batches begin, `(K,)`, or `(1,)` for all the same.
        lengths: the numbers of examples.
        counts: the same as a tensor `(K,)` where they differ, else None.
    """

    inputs: Sequence[Tensor]
    classes: Tensor
    starts: Tensor
    lengths: Sequence[int]
    counts: Tensor | None

    def __len__(self) -> int:
        """Trials."""
        return len(self.lengths)


class Epoch:
    """One epoch of training examples, as the trials of a pack walk through them.

    Args:
        x, y: all examples `(n, *input_shape)` and their classes `(n,)`.
        batch_sizes: the trials'; they must not descend.
        orders: the trials' orders of the examples, `(n,)`; those with the same order have the same tensor.
        stacked: hand over the inputs as one tensor: few calls, where those cost more than memory.

    Attributes:
        groups: of all trials.
    """

    def __init__(
        self, x: Tensor, y: Tensor, batch_sizes: Sequence[int], orders: Sequence[Tensor], *, stacked: bool
    ) -> None:
        self._x = x
        self._sizes = batch_sizes
        self._stacked = stacked
        self._n = len(orders[0])
        self._orders = list({id(order): order for order in orders}.values())
        places = {id(order): place for place, order in enumerate(self._orders)}
        self._place = [places[id(order)] for order in orders]
        self._rows = torch.cat(self._orders)
        self._classes = y.index_select(0, self._rows)
        self._offsets = torch.tensor(self._place, device=x.device).mul_(self._n).unsqueeze(1)
        self._range = torch.arange(max(self._n, batch_sizes[-1]), device=x.device)
        runs = [
            list(run) for _, run in itertools.groupby(range(len(orders)), lambda k: (batch_sizes[k], self._place[k]))
        ]
        self.groups = [Group(run[0], run[-1] + 1) for run in runs]
        self._buffers = [x.new_empty(0)] * len(self._orders)

    def batches(self) -> Iterator[Batch]:
        """Each wave's. What one holds is overwritten by the next."""
        for stretch in plan(self._n, self._sizes):
            windows = [] if self._stacked else self._gathered(stretch)
            for wave in stretch:
                yield self._batch(wave, windows)

    def _gathered(self, stretch: Sequence[Wave]) -> list[tuple[int, Tensor]]:
        """For each order, the examples that the stretch needs: the position of the first one, and all."""
        spans = [(self._n, 0)] * len(self._orders)
        for wave in stretch:
            for place, start, length in zip(self._place, wave.starts, wave.lengths, strict=False):
                spans[place] = min(spans[place][0], start), max(spans[place][1], start + length)
        windows: list[tuple[int, Tensor]] = []
        for place, (low, high) in enumerate(spans):
            count = max(0, high - low)
            if len(self._buffers[place]) < count:
                self._buffers[place] = self._x.new_empty(count, *self._x.shape[1:])
            window = self._buffers[place][:count]
            windows.append((low, torch.index_select(self._x, 0, self._orders[place][low:high], out=window)))
        return windows

    def _batch(self, wave: Wave, windows: Sequence[tuple[int, Tensor]]) -> Batch:
        active, longest = len(wave.starts), max(wave.lengths)
        inputs: list[Tensor] = []
        for group in [] if self._stacked else self.groups:
            if group.first < active:
                low, window = windows[self._place[group.first]]
                start = wave.starts[group.first] - low
                inputs.append(window[start : start + wave.lengths[group.first]])
        if len(self.groups) == 1:
            span = slice(wave.starts[0], wave.starts[0] + longest)
            if self._stacked:
                inputs.append(self._x.index_select(0, self._rows[span]))
            starts = self._range[wave.starts[0]].unsqueeze(0)
            return Batch(inputs, self._classes[span].expand(active, -1), starts, wave.lengths, None)
        starts = torch.tensor(wave.starts, device=self._x.device)
        places = (starts.unsqueeze(1) + self._range[:longest]).clamp_(max=self._n - 1).add_(self._offsets[:active])
        if self._stacked:
            rows = self._rows.take(places)
            inputs.append(self._x.index_select(0, rows.flatten()).view(*rows.shape, *self._x.shape[1:]))
        counts = torch.tensor(wave.lengths, device=self._x.device) if min(wave.lengths) < longest else None
        return Batch(inputs, self._classes.take(places), starts, wave.lengths, counts)
