"""Dropout of which every mask follows from the trial's own seed, whoever is trained beside it.

On a processor, a generator for each trial does that. On a GPU one call has to draw for all trials, and so a mask is no
stream there but a function: unit u of example b, in the step that begins at the epoch's example s, stays where

    mix(salt(seed, layer) + s G_s + b G_b + u G_u)  <  (1 - p) 2^64        (integers modulo 2^64)

with SplitMix64's `mix` (Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators", in Stafford's
variant 13). No width, batch size or neighbour enters it, and a trial alone has the same masks (`masked`).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from hpo_pipeline.seeding import derived_seed

LAYERS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)
"""Those that are known here; their subclasses may do anything."""


def _signed(number: int) -> int:
    return number - (1 << 64) if number >> 63 else number


_OF_STEP, _OF_EXAMPLE, _OF_UNIT = map(_signed, (0xD1342543DE82EF95, 0xDA942042E4DD58B5, 0x9E3779B97F4A7C15))
_ROUNDS = ((30, _signed(0xBF58476D1CE4E5B9)), (27, _signed(0x94D049BB133111EB)))


def mask_shape(layer: nn.Module, shape: torch.Size) -> tuple[int, ...]:
    """Of the mask for an input of this shape: whole channels are dropped by all layers but the plain one."""
    if type(layer) is nn.Dropout:
        return tuple(shape)
    unbatched = (type(layer), len(shape)) in ((nn.Dropout1d, 2), (nn.Dropout3d, 4))  # the channels come first then
    channels = 1 if unbatched else 2
    return (*shape[:channels], *[1] * (len(shape) - channels))


def drawn(like: Tensor, shape: Sequence[int], p: float, generator: torch.Generator) -> Tensor:
    """A mask by a trial's own generator, as torch draws it: 1 / (1 - p) for what stays and 0 for what is dropped."""
    if p == 1:
        return like.new_zeros(shape)
    return like.new_empty(shape).bernoulli_(1 - p, generator=generator).div_(1 - p)


def salt(seed: int, layer: str, call: int = 0) -> int:
    """Of one trial's epoch, by the seed of it, for the so-and-so-many-th call in a step of the layer of this name."""
    return derived_seed(seed, "dropout", layer, call)


class MaskFunction:
    """The masks of K trials at once, of one layer or of several whose units are counted one layer after the other.

    Args:
        salts: `(K, L)`.
        rates: probabilities of being dropped, in [0, 1], `(K, L)`.
        widths: units of an example in each layer, `(L,)`.
        like: has the dtype and device of the masks.
    """

    def __init__(
        self, salts: Sequence[Sequence[int]], rates: Sequence[Sequence[float]], widths: Sequence[int], like: Tensor
    ) -> None:
        # Keys are signed: the least of them is -2^63.
        most = [[max(-(1 << 63), int((1 - p) * 2**64) - 1 - (1 << 63)) for p in own] for own in rates]
        factors = [[0.0 if p == 1 else 1 / (1 - p) for p in own] for own in rates]
        layer_of = torch.arange(len(widths)).repeat_interleave(torch.tensor(widths))
        units = torch.cat([torch.arange(width) for width in widths]).mul_(_OF_UNIT)
        self._keys = torch.tensor(salts)[:, layer_of].add_(units).to(like.device)
        self._most = torch.tensor(most)[:, layer_of].to(like.device)
        self._factors = torch.tensor(factors, dtype=like.dtype)[:, layer_of].to(like.device)

    def __call__(self, starts: Tensor, n: int, active: int, *, units_first: bool = False) -> Tensor:
        """1 / (1 - p) for what stays and 0 for what is dropped, `(active, n, units)`, or `(active, units, n)`.

        Args:
            starts: where in the epoch the batches of the first `active` trials begin, `(active,)`, or `(1,)` for all.
            n: examples in each.
        """
        units, examples = (2, 1) if units_first else (1, 2)
        of_examples = starts.unsqueeze(1) * _OF_STEP + torch.arange(n, device=starts.device).mul_(_OF_EXAMPLE)
        keys = self._keys[:active].unsqueeze(units) + of_examples.unsqueeze(examples)
        for shift, factor in _ROUNDS:
            keys.bitwise_xor_((keys >> shift).bitwise_and_((1 << (64 - shift)) - 1)).mul_(factor)
        # The last round of the mixing concerns the lower half of the bits, which have no say here.
        kept = (keys <= self._most[:active].unsqueeze(units)).to(self._factors.dtype)
        return kept.mul_(self._factors[:active].unsqueeze(units))


@contextmanager
def masked(model: nn.Module, seed: int) -> Iterator[Callable[[Tensor], Tensor]]:
    """`model`, in training, as a function whose dropout layers have the masks that they would have in a stack on a GPU.

    It takes the batches of the epoch that `seed` is of, one after the other.
    """
    layers = {name: layer for name, layer in model.named_modules() if type(layer) in LAYERS}
    start = torch.zeros(1, dtype=torch.int64)
    calls: Counter[str] = Counter()
    functions: dict[tuple[str, int, float, int], MaskFunction] = {}

    def dropped(name: str, layer: Any, x: Tensor) -> Tensor:
        if not layer.training or not layer.p:
            return x
        call, shape = calls[name], mask_shape(layer, x.shape)
        calls[name] += 1
        kind = name, call, layer.p, math.prod(shape[1:])
        with torch.no_grad():
            if kind not in functions:  # waiting for the device once, not in every step
                functions[kind] = MaskFunction([[salt(seed, name, call)]], [[layer.p]], [kind[-1]], x)
            mask = functions[kind](start, shape[0] if shape else 1, 1).view(shape)
        return x.mul_(mask) if layer.inplace else x * mask

    def forward(x: Tensor) -> Tensor:
        nonlocal start
        calls.clear()
        start = start.to(x.device)
        scores: Tensor = model(x)
        start += len(x)
        return scores

    for name, layer in layers.items():
        layer.forward = partial(dropped, name, layer)
    try:
        yield forward
    finally:
        for layer in layers.values():
            del layer.forward
