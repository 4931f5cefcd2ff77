"""Where every random number comes from: a seed and a key, never a global generator.

Equal keys give equal numbers on every machine and in every order of work, so that any trial can be re-run alone.
"""

from __future__ import annotations

import zlib

import numpy as np

_WORD = 2**32 - 1


def _entropy(seed: int, key: tuple[int | str, ...]) -> np.ndarray[tuple[int], np.dtype[np.uint32]]:
    """Each number as its words of 32 bits, the lowest first: what numpy makes of a list of them, in half the time."""
    words: list[int] = []
    for part in (seed, *key):
        number = zlib.crc32(part.encode()) if isinstance(part, str) else part
        if number < 0:
            raise ValueError(f"{number}: what random numbers follow from is not negative")
        words.append(number & _WORD)
        while number := number >> 32:
            words.append(number & _WORD)
    return np.array(words, dtype=np.uint32)


def generator(seed: int, *key: int | str) -> np.random.Generator:
    """The generator that belongs to `key` (for example `("suggest", trial_id)`) in a study with this seed."""
    return np.random.default_rng(_entropy(seed, key))


def derived_seed(seed: int, *key: int | str) -> int:
    """A 63-bit seed for libraries that take a number, e.g. `torch.manual_seed(derived_seed(seed, "epoch", 3))`."""
    state = np.random.SeedSequence(_entropy(seed, key)).generate_state(1, np.uint64)
    return int(state[0]) >> 1


def trial_seed(seed: int, trial_id: int) -> int:
    """The seed of one trial's initial weights and dropout, in a study with this seed."""
    return derived_seed(seed, "trial", trial_id)
