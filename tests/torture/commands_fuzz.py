"""Command lines and config files, right ones and nonsense, through the whole program: here, and as processes."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from collections.abc import Callable

from commands import Ended

from torture import fuzz
from torture.case import FailedError, Torture, limited
from torture.overrides import COMMANDS, Line
from torture.sandbox import TOLERATED, Sandbox
from torture.strategies import CANARY

ALWAYS = ("dataset=digits", "tracker=none", "dry_run=true")
"""Before what is generated: nothing is downloaded, nothing starts."""
COMPOSED, STARTED = 6, 2
Run = Callable[..., Ended]


def check(line: Line, sandbox: Sandbox, run: Run) -> str:
    """What the program says of a command line."""
    for name, text in line.files.items():
        path = sandbox.work / "conf" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace(CANARY, str(sandbox.canary)), encoding="utf-8", errors="surrogateescape")
    there = set(sandbox.root.rglob("*"))
    try:
        folder = ["--config-dir", "conf"] if line.files else []
        ended = run(*folder, *ALWAYS, *(argument.replace(CANARY, str(sandbox.canary)) for argument in line.arguments))
        made = {str(path.relative_to(sandbox.root)) for path in set(sandbox.root.rglob("*")) - there}
        if made := {name for name in made if not name.startswith(TOLERATED)}:
            raise FailedError(f"a dry run made {sorted(made)}")
    finally:
        for path in set(sandbox.root.rglob("*")) - there:
            path.unlink(missing_ok=True) if not path.is_dir() else shutil.rmtree(path)
        shutil.rmtree(sandbox.work / "conf", ignore_errors=True)
    return fuzz.check_ended(ended)


def here(sandbox: Sandbox) -> Run:
    def run(*arguments: str) -> Ended:
        with limited():
            return sandbox.run(*arguments)

    return run


def compose_case(number: int, draw: random.Random, sandbox: Sandbox) -> Counter[str]:
    return fuzz.batch(COMMANDS, lambda line: check(line, sandbox, here(sandbox)), draw, COMPOSED, small=True)


def command_case(number: int, draw: random.Random, sandbox: Sandbox) -> Counter[str]:
    def run(*arguments: str) -> Ended:
        return sandbox.start(*arguments).wait()

    return fuzz.batch(COMMANDS, lambda line: check(line, sandbox, run), draw, STARTED, small=False)


_WHAT = "command lines and config files"
COMPOSE = Torture("compose", f"{_WHAT}, composed and checked, {COMPOSED} a case", 134, 1, compose_case)
COMMAND = Torture("command", f"{_WHAT}, by processes of their own, {STARTED} a case", 100, 1, command_case)
