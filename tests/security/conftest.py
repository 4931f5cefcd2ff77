"""An audit hook of the interpreter sees what a test has run, fetched, unpickled, written or removed."""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

WATCHED = ("os.system", "os.exec", "os.posix_spawn", "os.fork", "os.remove", "os.rmdir", "os.mkdir", "os.rename")
WATCHED += (
    "subprocess.Popen",
    "pickle.find_class",
    "socket.connect",
    "socket.getaddrinfo",
    "urllib.Request",
    "shutil.",
)
_seen: list[str] | None = None


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if _seen is None:
        return
    if event.startswith(WATCHED) or (event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)):
        _seen.append(f"{event} {arguments[:1]}")


sys.addaudithook(_audit)  # for the whole session, as it can't be taken away again


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What has happened since the test began."""
    global _seen
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    _seen = []
    yield _seen
    _seen = None


@pytest.fixture
def nothing_happens(monkeypatch: pytest.MonkeyPatch, seen: list[str]) -> Iterator[None]:
    """Fails where anything was run, fetched, unpickled or written between the beginning and the end of the test."""
    Path("trap.py").write_text("open('canary', 'w').close()\nclass Net: pass\n")
    Path("evil.pkl").write_bytes(pickle.dumps(Path("canary")))
    monkeypatch.syspath_prepend(Path.cwd())
    seen.clear()
    yield
    assert seen == []
    assert sorted(path.name for path in Path().iterdir()) == ["evil.pkl", "trap.py"]
    assert "trap" not in sys.modules
