"""Python's search for cyclic garbage, put off while there is none to find.

It looks through the new objects after each 700 of them. To import torch or MLflow makes hundreds of thousands, all to
stay: an eighth of the time went into looking. What is in use is never freed by it, so putting it off costs memory only
where cycles are made and dropped meanwhile.
"""

from __future__ import annotations

import contextlib
import gc
import threading
from collections.abc import Iterator

_lock = threading.Lock()
_at_work = 0
_was_enabled = False


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """No search until the last of those threads that are in here leaves it; then as it was before."""
    global _at_work, _was_enabled
    with _lock:
        if not _at_work:
            _was_enabled = gc.isenabled()
            gc.disable()
        _at_work += 1
    try:
        yield
    finally:
        with _lock:
            _at_work -= 1
            if not _at_work and _was_enabled:
                gc.enable()
