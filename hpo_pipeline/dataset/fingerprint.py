"""What tells one dataset from another, without loading it: so that two studies can be seen to have used the same data.

A digest covers the dataset's class, its arguments (but for the places where files may lie), and the files that it comes
from. Of a large file its size and both ends are looked at, of a folder the names and sizes of what is in it: a few
milliseconds, whatever the size. So equal data have equal digests on every machine, and an edit in the middle of a large
file that keeps its size goes unseen.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

_END = 1 << 20
_MOST_FILES = 20_000
_PLACES = frozenset({"_target_", "root", "path", "search_path", "download"})


@runtime_checkable
class SupportsSources(Protocol):
    """A dataset whose examples come from files."""

    def sources(self) -> Sequence[Path]:
        """The files and folders, which are there."""


@dataclass(frozen=True, slots=True)
class DataSplit:
    """One part of a dataset.

    Attributes:
        context: "training", "validation" or "test".
        digest: of this part: 16 hexadecimal digits.
        source: where it comes from: a path, or the dataset's class.
    """

    context: str
    digest: str
    source: str


def data_splits(dataset: object, arguments: Mapping[str, Any], *, final: bool) -> list[DataSplit]:
    """The parts that a training uses.

    Args:
        arguments: the dataset's own.
        final: train on training and validation data, and score the test set.
    """
    kind = f"{type(dataset).__module__}.{type(dataset).__qualname__}"
    files = list(dataset.sources()) if isinstance(dataset, SupportsSources) else []
    told = {key: value for key, value in arguments.items() if key not in _PLACES}
    whole = hashlib.blake2b(json.dumps([kind, told], sort_keys=True, default=str).encode())
    for path in files:
        for part in _looked_at(path):
            whole.update(part)
    source = str(files[0] if len(files) == 1 else files[0].parent) if files else kind
    found = []
    for context in ("training", "test") if final else ("training", "validation"):
        own = whole.copy()
        own.update(f"{context} {final}".encode())
        found.append(DataSplit(context, own.hexdigest()[:16], source))
    return found


def _looked_at(path: Path) -> Iterator[bytes]:
    """What of a file, or a folder, goes into the digest."""
    if path.is_dir():
        for count, (name, size) in enumerate(_listed(path)):
            if count == _MOST_FILES:
                return
            yield f"{name}\0{size}\0".encode(errors="surrogateescape")
        return
    size = path.stat().st_size
    yield f"{path.name}\0{size}\0".encode(errors="surrogateescape")
    with path.open("rb") as file:
        yield file.read(_END)
        file.seek(max(_END, size - _END))
        yield file.read(_END)


def _listed(folder: Path) -> Iterator[tuple[str, int]]:
    """(path below `folder`, size) of the files, in order."""
    for above, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(files):
            path = Path(above, name)
            yield path.relative_to(folder).as_posix(), path.stat().st_size
