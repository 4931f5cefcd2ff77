"""A kind of torture, one case of it, and what came of many."""

from __future__ import annotations

import faulthandler
import random
import re
import signal
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context

from torture.sandbox import Sandbox

CPU_SECONDS = 10.0
"""Longest that a step in this process may take, in seconds of processor time."""
_LIMIT_SECONDS = 600.0


ERROR_NAME = re.compile(r"^\s*(\w+\.)*[A-Z]\w*(Error|Exception|Exit|Interrupt)\b")
"""A line that begins with a Python exception."""


class FailedError(Exception):
    """What a case found to be wrong."""


@dataclass(frozen=True, slots=True)
class Torture:
    """A kind of torture.

    Attributes:
        name: as it is named on the command line.
        what: what is done, in a line.
        cases: how many in `make torture`.
        few: how many in `make test`.
        case: (number, random choices, sandbox) -> what came of it, in a few words, or how often which. Raises
            FailedError.
    """

    name: str
    what: str
    cases: int
    few: int
    case: Callable[[int, random.Random, Sandbox], str | Counter[str]]


@dataclass(slots=True)
class Tally:
    """What came of the cases of one kind. `failures`: case number -> what was wrong."""

    outcomes: Counter[str] = field(default_factory=Counter)
    failures: dict[int, str] = field(default_factory=dict)

    def add(self, number: int, outcomes: Counter[str], failure: str) -> None:
        self.outcomes += outcomes
        if failure:
            self.failures[number] = failure


def run_case(torture: Torture, seed: int, number: int) -> tuple[Counter[str], str]:
    """What came of one case, and what was wrong, if anything."""
    draw = random.Random(f"{torture.name}/{seed}/{number}")
    faulthandler.dump_traceback_later(_LIMIT_SECONDS, exit=True)
    try:
        with Sandbox() as sandbox:
            outcome = torture.case(number, draw, sandbox)
            problems = sandbox.problems()
    except FailedError as error:
        return Counter(), str(error)
    except Exception:
        return Counter(), origin(traceback.format_exc())
    finally:
        faulthandler.cancel_dump_traceback_later()
    counted = outcome if isinstance(outcome, Counter) else Counter([outcome])
    return (Counter(), "\n".join(problems)) if problems else (counted, "")


def run_cases(torture: Torture, seed: int, numbers: range, processes: int) -> Iterator[tuple[int, Counter[str], str]]:
    """What came of each case: its number, outcomes, and what was wrong. In order of their numbers."""
    if processes == 1:
        for number in numbers:
            yield number, *run_case(torture, seed, number)
        return
    with ProcessPoolExecutor(processes, get_context("forkserver"), max_tasks_per_child=50) as pool:
        cases = [pool.submit(run_case, torture, seed, number) for number in numbers]
        for number, case in zip(numbers, cases, strict=True):
            try:
                yield number, *case.result()
            except BrokenProcessPool:
                break
        else:
            return
    yield number, Counter(), "the process that ran it died, or the one beside it"
    yield from run_cases(torture, seed, numbers[numbers.index(number) + 1 :], processes)


@contextmanager
def limited(seconds: float = CPU_SECONDS) -> Iterator[None]:
    """Raises FailedError in what takes longer than this, in processor time: other programs don't matter."""

    def too_long(number: int, frame: object) -> None:
        raise FailedError(f"hangs: not done after {seconds:g} s of processor time")

    before = signal.signal(signal.SIGPROF, too_long)
    signal.setitimer(signal.ITIMER_PROF, seconds, 1.0)  # again, should it be swallowed
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def origin(text: str) -> str:
    """The last line of a traceback within the project, and what was raised."""
    lines = [line.strip() for line in text.splitlines()]
    places = [line for line in lines if line.startswith("File ") and ("hpo_pipeline" in line or "torture" in line)]
    raised = [line for line in lines if ERROR_NAME.match(line)]
    return " ".join([*places[-1:], *raised[-1:]])[:600] or text[-600:]
