"""Files that are there whole or not at all: written beside their place, and put there when they are complete."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def beside(path: Path) -> Iterator[Path]:
    """A name beside `path` to write a file to: free, and free again at the end."""
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    aside.unlink(missing_ok=True)
    try:
        yield aside
    finally:
        aside.unlink(missing_ok=True)


def put(aside: Path, path: Path, *, durable: bool = False) -> None:
    """Gives a complete file its place. A link that stands there is replaced, and not followed.

    Args:
        durable: what it says is on the disk before it has its name, and so is the name at the end: a power cut takes
            neither.
    """
    if durable:
        _sync(aside)
    os.replace(aside, path)
    if durable:
        _sync(path.parent)


@contextmanager
def replacing(path: Path, *, durable: bool = False) -> Iterator[Path]:
    """A name beside `path` to write to; the file takes the place of `path` when the block ends without an error."""
    with beside(path) as aside:
        yield aside
        put(aside, path, durable=durable)


def write_text(path: Path, text: str) -> None:
    """Writes a text file, in UTF-8."""
    with replacing(path) as aside:
        aside.write_text(text, encoding="utf-8")


def _sync(path: Path) -> None:
    """Returns when the file, or the names in the folder, are on the disk."""
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
