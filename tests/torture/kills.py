"""Tuner, workers and the server that they are forked from are ended at random moments; then the study is resumed."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from pathlib import Path

from torture.case import FailedError, Torture, origin
from torture.sandbox import Program, Sandbox
from torture.studies import EXECUTORS, NAME, SCHEDULERS, Study, check, records

WAYS = ("group", "tuner", "worker", "forkserver", "terminated", "interrupted", "interrupted twice")
_CODES = {
    "group": (0, -9),
    "tuner": (0, -9),
    "worker": (0,),
    "forkserver": (0,),
    "terminated": (0, 130, -15),
    "interrupted": (0, 130, -2),
    "interrupted twice": (0, 130, -2),
}
"""Exit codes. A signal may come when the study has ended, and Python no longer handles it."""
_COMBINATIONS = [Study(scheduler, executor) for scheduler in SCHEDULERS for executor in EXECUTORS]


def case(number: int, draw: random.Random, sandbox: Sandbox) -> str:
    """One study, killed one to three times."""
    study = _COMBINATIONS[number % len(_COMBINATIONS)]
    study = Study(study.scheduler, study.executor, trained=number % 4 == 3)
    ways = [draw.choice(WAYS) for _ in range(draw.randint(1, 3))]
    if study.executor in ("serial", "fused"):  # they have no workers
        ways = ["tuner" if way in ("worker", "forkserver") else way for way in ways]
    did: list[str] = []
    try:
        for way in ways:
            did.append(_session(study, way, draw, sandbox))
        return _last_session(study, sandbox, ways)
    except FailedError as error:
        raise FailedError(f"{study}; {'; '.join(did) or ways}: {error}") from None


def _start(study: Study, sandbox: Sandbox) -> Program:
    """A first session, or one that goes on."""
    folder = sandbox.work / "runs" / NAME
    begun = any(record["event"] == "session" for record in records(sandbox)) or (folder / "config.yaml").exists()
    return sandbox.start(f"name={NAME}", "resume=true", "tracker=none") if begun else sandbox.start(*study.arguments)


def _session(study: Study, way: str, draw: random.Random, sandbox: Sandbox) -> str:
    """Starts or resumes the study, and ends it; what was done."""
    program = _start(study, sandbox)
    if draw.random() < 0.1:
        n, wait = 0, draw.uniform(0.0, 2.0)
    else:
        n, wait = draw.randint(1, 30), draw.choice([0.0, draw.uniform(0.0, 0.02)])
        program.read_until("trial ", n)
    time.sleep(wait)
    did = f"{way} after {n} lines and {wait:.6f} s"
    if program.process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            did += _end(program, way, draw)
    ended = program.wait()
    if n or not way.startswith("interrupted"):  # Python itself answers Ctrl-C while it imports
        _check_end(way, ended.code, ended.err, did)
    if left := sandbox.wait_until_empty():
        raise FailedError(f"{did}: 10 s after the tuner ended there are still {left}")
    return did


def _end(program: Program, way: str, draw: random.Random) -> str:
    """Ends what `way` says."""
    match way:
        case "group":
            os.killpg(program.pid, signal.SIGKILL)
        case "tuner":
            os.kill(program.pid, signal.SIGKILL)
        case "terminated":
            os.kill(program.pid, signal.SIGTERM)
        case "interrupted" | "interrupted twice":
            os.killpg(program.pid, signal.SIGINT)
            if way == "interrupted twice":
                time.sleep(draw.uniform(0.0, 0.05))
                os.killpg(program.pid, signal.SIGINT)
        case "worker" | "forkserver":
            servers = [pid for pid in _children(program.pid) if "forkserver" in _command_line(pid)]
            found = [pid for server in servers for pid in _children(server)] if way == "worker" else servers
            if not found:
                return " (there was none)"
            os.kill(draw.choice(found), signal.SIGKILL)
    return ""


def _check_end(way: str, code: int, err: str, did: str) -> None:
    """The tuner ended as it should."""
    if "Traceback" in err or "hangs" in err:
        raise FailedError(f"{did}: exit code {code}: {origin(err)}")
    if code not in _CODES[way]:
        raise FailedError(f"{did}: exit code {code}: {err[-800:]}")


def _last_session(study: Study, sandbox: Sandbox, ways: list[str]) -> str:
    """Resumes the study until it is complete, and compares."""
    ended = _start(study, sandbox).wait()
    if ended.code != 0 or "Traceback" in ended.err:
        raise FailedError(f"the last resume: exit code {ended.code}: {ended.err[-1500:]}")
    distinct = set(ways)
    return f"{distinct.pop() if len(distinct) == 1 else 'several'}: {check(study, records(sandbox))}"


def _children(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def _command_line(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
    return ""


TORTURE = Torture("kills", "studies killed one to three times at random moments, then resumed", 100, 1, case)
