"""Reads idx files, the format of MNIST and its relatives (specified on Yann LeCun's MNIST page).

Big-endian: two zero bytes, a type code (8: unsigned byte), the number of dimensions, each dimension as 32 bits, data.
"""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hpo_pipeline.errors import StudyError

_UNSIGNED_BYTE = 8


def read_idx(path: Path, shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    """The array in `path` (gzip-compressed if its name ends so), which must have this shape.

    Raises:
        StudyError: the file can't be read, is cut short, or holds something else.
    """
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise _unusable(path, f"can't be read ({error})") from None
    header = bytes((0, 0, _UNSIGNED_BYTE, len(shape)))
    if content[:4] != header:
        raise _unusable(path, f"starts with the bytes {content[:4].hex(' ')}, an idx file of {len(shape)} dimensions "
                              f"with {header.hex(' ')}")  # fmt: skip
    start = 4 + 4 * len(shape)
    found = tuple(int.from_bytes(content[at : at + 4], "big") for at in range(4, start, 4))
    if found != shape:
        raise _unusable(path, f"holds an array of shape {found}, not {shape}")
    if len(content) - start != math.prod(shape):
        raise _unusable(path, f"holds {len(content) - start} bytes of data, not {math.prod(shape)}")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def _unusable(path: Path, what: str) -> StudyError:
    return StudyError(f"{path}: {what}; remove the file or replace it by the original")
