"""What it costs to train k trials as a pack, how many are best, and what a pack gains: measured on copies.

Seconds of a step and bytes are taken to be lines in k, fitted to k = 1, 2, 4:  t(k) = a + b k,  m(k) = c + d k.

A trial's share of a step, t(k) / k, falls towards b. The best pack is the smallest that is near it,
t(k) / k <= (1 + NEAR) b, that is k >= a / (NEAR b): a larger one gains little, and its scheduler decides about more
trials with less information. So the less there is to share, the smaller is the pack; where the trials are nearly free
(b near 0, as on a GPU that they leave idle), memory and LARGEST are the limits.
"""

from __future__ import annotations

import contextlib
import math
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from statistics import linear_regression, mean
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from hpo_pipeline.objective.device import free_memory
from hpo_pipeline.objective.packed.epoch import Member, train_alone, train_pack
from hpo_pipeline.objective.packed.stack import Stack

SIZES = (1, 2, 4)
NEAR = 0.1
LEAST, LARGEST = 4, 256
"""Sizes of a pack: four were measured to gain something, and over 256 nothing more is to be gained."""
SHARE = 0.8
"""Of the free memory that a pack may take."""

_TRIALS = SIZES[-1]
_SECONDS = 0.8
_REPEATS = 3
_STEPS = 100
_TRIED_STEPS = 10


@dataclass(frozen=True, slots=True)
class PackCost:
    """What was measured.

    Attributes:
        alone: seconds of a step of one trial by itself.
        seconds: k -> of a step of a pack of k trials.
        memory: k -> bytes of k trials.
        free: bytes that were there for them.
    """

    alone: float
    seconds: Mapping[int, float]
    memory: Mapping[int, float]
    free: float

    def best_size(self, sharing: int = 1) -> int:
        """Trials in a pack, a power of two; `sharing` packs are in this memory."""
        shared, each = _line(self.seconds)
        size = LEAST
        while size < LARGEST and size * NEAR * each < shared:
            size *= 2
        fixed, own = _line(self.memory)
        while size > 1 and fixed + own * size > SHARE * self.free / sharing:
            size //= 2
        return size

    def gain(self, size: int) -> float:
        """How many times as fast a pack of so many trials is as one by one."""
        shared, each = _line(self.seconds)
        return self.alone * size / (shared + each * size)

    def describe(self) -> str:
        return f"{1000 * self.alone:.2g} ms a step for one, {1000 * self.seconds[_TRIALS]:.2g} ms for a pack of four"


def _line(values: Mapping[int, float]) -> tuple[float, float]:
    """Intercept and slope of the least-squares line through `values`; no slope below 0."""
    slope, intercept = linear_regression(list(values), list(values.values()))
    return (intercept, slope) if slope > 0 else (sum(values.values()) / len(values), 0.0)


def measure_cost(members: Sequence[Member], x: Tensor, y: Tensor) -> PackCost:
    """Trains copies of four members in groups of 1, 2 and 4, so that each counts as much in all, and each by itself."""
    members = [member.copied() for member in members]
    groups = [members[i :: _TRIALS // k] for k in SIZES for i in range(_TRIALS // k)]
    runs: list[Callable[[int], object]] = [partial(_packed, group, x, y) for group in groups]
    runs += [partial(_alone, member, x, y) for member in members]
    few = max(1, min(members[-1].batch_size, len(members[0].order) // 2))
    _packed(members, x, y, few)  # the first time includes what is done once
    affordable = int(_SECONDS / len(runs) / _REPEATS / _seconds(lambda: _packed(members, x, y, few), x))
    many = min(len(members[0].order), few * (1 + max(1, min(_STEPS, affordable))))
    fastest = [{few: math.inf, many: math.inf} for _ in runs]
    for _ in range(_REPEATS):  # in turn, so that what slows the machine down for a while slows down all
        for run, times in zip(runs, fastest, strict=True):
            for n in (few, many):
                times[n] = min(times[n], _seconds(partial(run, n), x))
    # The difference leaves out what is done once an epoch: stacking the weights, and putting them back.
    steps = (many - few) / members[0].batch_size
    seconds = [max(0.0, times[many] - times[few]) / steps for times in fastest]
    packed = {k: mean(s for s, group in zip(seconds, groups, strict=False) if len(group) == k) for k in SIZES}
    memory = {len(group): _bytes(group, few, x, y) for group in groups}
    return PackCost(mean(seconds[len(groups) :]), packed, memory, free_memory(x.device))


def measure_gain(members: Sequence[Member], x: Tensor, y: Tensor) -> float:
    """How many times as fast these very trials are as a pack as one by one; there, a few of them stand for all.

    Copies of them are trained, for a few steps.
    """
    members = [member.copied() for member in members]
    n = min(len(members[0].order), _TRIED_STEPS * members[-1].batch_size)
    sample = [members[i] for i in sorted({0, len(members) // 2, len(members) - 1})]
    alone = packed = math.inf
    for _ in range(2):  # the first time includes what is done once
        some = sum(_seconds(partial(_alone, member, x, y, n), x) for member in sample)
        alone = min(alone, some * len(members) / len(sample))
        packed = min(packed, _seconds(lambda: _packed(members, x, y, n), x))
    return alone / packed


def _seconds(run: Callable[[], object], x: Tensor) -> float:
    """What `run` takes; on one core, its own time: what else runs on the machine does not count."""
    one_core = x.device.type == "cpu" and torch.get_num_threads() == 1
    clock = time.thread_time if one_core else time.perf_counter
    began = clock()
    run()
    return clock() - began


def _packed(group: Sequence[Member], x: Tensor, y: Tensor, n: int) -> Stack:
    """Trains on the first `n` examples. Ends when the device has: the losses are numbers then."""
    orders = {id(member.order): member.order[:n] for member in group}
    return train_pack([replace(member, order=orders[id(member.order)]) for member in group], x, y)[1]


def _alone(member: Member, x: Tensor, y: Tensor, n: int) -> float:
    return train_alone(replace(member, order=member.order[:n]), x, y)


def _bytes(group: Sequence[Member], n: int, x: Tensor, y: Tensor) -> float:
    """The most that training and scoring take, with one paused trial in memory for each that is trained."""
    cuda = x.device.type == "cuda"
    if cuda:
        torch.cuda.reset_peak_memory_stats(x.device)
    before = torch.cuda.memory_allocated(x.device) if cuda else 0
    with contextlib.nullcontext() if cuda else _Watch() as watch:
        stack = _packed(group, x, y, n)
        with torch.inference_mode():
            stack.loss.sums(stack.scores(x[: stack.evaluation_batch]), y[: stack.evaluation_batch])
    most = watch.most if watch else torch.cuda.max_memory_allocated(x.device) - before
    return most + 2 * sum(_resident(member) for member in group)


def _resident(member: Member) -> int:
    """Bytes of a trial's weights, buffers and optimizer states."""
    states = [value for state in member.optimizer.state.values() for value in state.values()]
    tensors = [*member.model.parameters(), *member.model.buffers(), *states]
    return sum(tensor.nbytes for tensor in tensors if isinstance(tensor, Tensor))


class _Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of the tensors that are made: `now` those alive, `most` at any time."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.most = 0
        self._alive: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        before = {tensor.untyped_storage().data_ptr() for tensor in _tensors((args, kwargs))}
        made = func(*args, **(kwargs or {}))
        for tensor in _tensors(made):
            storage = tensor.untyped_storage()
            place, size = storage.data_ptr(), storage.nbytes()
            if place not in before | self._alive:  # else it is a view, or was changed in place
                self._alive.add(place)
                self.now += size
                self.most = max(self.most, self.now)
                weakref.finalize(storage, self._let_go, place, size)
        return made

    def _let_go(self, place: int, size: int) -> None:
        self._alive.discard(place)
        self.now -= size


def _tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]
