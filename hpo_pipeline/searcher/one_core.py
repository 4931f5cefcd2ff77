"""A decision uses one core: the others are the trials'.

The linear algebra of numpy and scipy would take all cores for each small matrix, and where these are at work its
threads wait for each other: a Gaussian process is then ten times slower, and so are the trials.
"""

from __future__ import annotations

import functools
from contextlib import AbstractContextManager
from typing import Any


def one_core() -> AbstractContextManager[Any]:
    """Within it numpy's and scipy's linear algebra have one thread; torch keeps its own."""
    limited: AbstractContextManager[Any] = _libraries().limit(limits=1, user_api="blas")
    return limited


@functools.cache
def _libraries() -> Any:
    import scipy.linalg  # noqa: F401 - it brings a library of its own, which has to be loaded by now
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
