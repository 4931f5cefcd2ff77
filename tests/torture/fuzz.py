"""Batches of generated examples, and how one that fails is made small."""

from __future__ import annotations

import random
import re
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from commands import Ended
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import SearchStrategy

from torture.case import ERROR_NAME, FailedError, origin

Check = Callable[[Any], str]
SMALL_SECONDS = 30.0
"""How long an example is made smaller."""


def batch(strategy: SearchStrategy[Any], check: Check, draw: random.Random, size: int, *, small: bool) -> Counter[str]:
    """Checks `size` examples.

    Args:
        strategy: of the examples.
        check: example -> what came of it, in a few words.
        draw: random choices.
        size: how many.
        small: make the examples that fail small; that runs each of them many times more.

    Raises:
        FailedError: with an example of everything that failed.
    """
    outcomes: Counter[str] = Counter()
    failures: dict[str, str] = {}
    number = draw.getrandbits(64)

    def collect(example: Any) -> None:
        try:
            outcomes[check(example)] += 1
        except Exception as error:
            failures.setdefault(_signature(error), _told(example, error))

    _examples(strategy, number, size, collect)
    for signature in [s for s in failures if small and "hangs" not in s]:
        smallest: list[str] = []
        until = time.monotonic() + SMALL_SECONDS

        def fail_alike(
            example: Any, signature: str = signature, smallest: list[str] = smallest, until: float = until
        ) -> None:
            if smallest and time.monotonic() > until:
                return
            try:
                check(example)
            except Exception as error:
                if _signature(error) == signature:
                    smallest[:] = [_told(example, error)]
                    raise

        try:
            _examples(strategy, number, size, fail_alike)
        except Exception:
            failures[signature] = smallest[0]
    if failures:
        raise FailedError("\n\n".join(failures.values()))
    return outcomes


def _examples(strategy: SearchStrategy[Any], number: int, size: int, test: Callable[[Any], None]) -> None:
    limits = settings(
        max_examples=size,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.shrink],
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )

    def run(example: Any) -> None:
        test(example)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a recursive strategy's text is long
        seed(number)(limits(given(strategy)(run)))()


def _signature(error: BaseException) -> str:
    """Alike for what fails at the same place."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    message = str(error).partition(" in ")[0][:160] if isinstance(error, FailedError) else ""
    return f"{type(error).__name__} {frame.filename}:{frame.lineno} {message}"


def _told(example: Any, error: BaseException) -> str:
    if isinstance(error, FailedError):
        return f"{example!r}\n    {error}"
    frame = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{frame.filename.partition('hpo_pipeline/')[2] or frame.filename}:{frame.lineno}"
    return f"{example!r}\n    {type(error).__name__}: {str(error)[:300]} ({place})"


def check_problems(problems: Iterable[str]) -> None:
    """Each is one line `path: what is wrong`, and doesn't begin with a Python exception.

    Raises:
        FailedError: one isn't.
    """
    for problem in problems:
        if "\n" in problem.strip("\n") or ": " not in problem:
            raise FailedError(f"no line 'path: what is wrong': {problem!r}")
        if ERROR_NAME.match(problem.split(": ", 1)[1]) or ERROR_NAME.match(problem):
            raise FailedError(f"names a Python exception: {problem!r}")


def check_ended(ended: Ended) -> str:
    """The command said that the config is right, or what is wrong with it, and nothing else.

    Raises:
        FailedError: it didn't.
    """
    if "Traceback" in ended.err or "Traceback" in ended.out:
        raise FailedError(f"a traceback, {origin(ended.err)}")
    if ended.code == 0:
        return "accepted"
    if ended.code != 2:
        raise FailedError(f"exit code {ended.code}: {ended.err[-500:]!r}")
    head, *problems = ended.err.rstrip("\n").split("\n")
    if not problems:
        check_problems([head])
        return "refused"
    if not re.fullmatch(r"\d+ problems? in the configuration:", head):
        raise FailedError(f"no list of problems: {ended.err[-800:]!r}")
    if not all(problem.startswith("  ") for problem in problems) or head.partition(" ")[0] != str(len(problems)):
        raise FailedError(f"not a line a problem: {ended.err[-800:]!r}")
    check_problems(problem[2:] for problem in problems)
    return "refused"
