"""Terminal, disk or folder go away under a study; once they are back, it is resumed."""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
from collections.abc import Callable
from functools import partial

from torture.case import FailedError, Torture, origin
from torture.sandbox import Program, Sandbox
from torture.studies import EXECUTORS, NAME, SYNCHRONOUS, Study, check, records

Act = Callable[[Program, Sandbox], None]


def _hang_up(program: Program, sandbox: Sandbox) -> None:
    os.killpg(program.pid, signal.SIGHUP)


def _close_pipe(program: Program, sandbox: Sandbox) -> None:
    assert program.process.stdout is not None
    program.process.stdout.close()


def _full_disk(program: Program, sandbox: Sandbox) -> None:
    size = (sandbox.work / "runs" / NAME / "journal.jsonl").stat().st_size + 100
    for pid in sandbox.processes():
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, size))


def _no_more_files(program: Program, sandbox: Sandbox) -> None:
    resource.prlimit(program.pid, resource.RLIMIT_NOFILE, (8, 8))


def _delete(name: str, program: Program, sandbox: Sandbox) -> None:
    path = sandbox.work / "runs" / NAME / name
    shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)


def _stop_and_go_on(program: Program, sandbox: Sandbox) -> None:
    os.killpg(program.pid, signal.SIGSTOP)
    os.killpg(program.pid, signal.SIGCONT)


ACTS: dict[str, Act] = {
    "the terminal hangs up": _hang_up,
    "nobody reads what is printed": _close_pipe,
    "the disk is full": _full_disk,
    "no more open files": _no_more_files,
    "trials/ is deleted": partial(_delete, "trials"),
    "the journal is deleted": partial(_delete, "journal.jsonl"),
    "the study is deleted": partial(_delete, ""),
    "suspended": _stop_and_go_on,
}
NAMES = (*ACTS, "prints to a full disk", "prints nowhere", "prints ASCII", "an empty journal")


def case(number: int, draw: random.Random, sandbox: Sandbox) -> str:
    name = NAMES[number % len(NAMES)]
    study = Study(draw.choice(SYNCHRONOUS), draw.choice(list(EXECUTORS)))
    did = f"{study}: {name}"
    if name == "an empty journal":  # killed after its first call
        (sandbox.work / "runs" / NAME).mkdir(parents=True)
        (sandbox.work / "runs" / NAME / "journal.jsonl").touch()
        program = sandbox.start(f"name={NAME}", "resume=true")
    elif name == "prints to a full disk":
        with open("/dev/full", "w") as full:
            program = sandbox.start(*study.arguments, stdout=full)
    elif name == "prints nowhere":
        program = sandbox.start(*study.arguments, before=lambda: os.close(1))
    elif name == "prints ASCII":
        program = sandbox.start(*study.arguments, PYTHONIOENCODING="ascii")
    else:
        program = sandbox.start(*study.arguments, UNIT_SECONDS="0.02")
        if program.read_until("trial ", draw.randint(1, 8)):
            ACTS[name](program, sandbox)
    ended = program.wait()
    if "Traceback" in ended.err or "hangs" in ended.err:
        raise FailedError(f"{did}: exit code {ended.code}: {origin(ended.err)}")
    gone = name in ("the journal is deleted", "the study is deleted")
    if ended.code == 0 and gone:
        raise FailedError(f"{did}: exit code 0")
    if gone:
        return f"{name}: exit code {ended.code}"
    begun = bool(records(sandbox))
    again = sandbox.start(*((f"name={NAME}", "resume=true") if begun else study.arguments)).wait()
    if again.code:
        raise FailedError(f"{did}: exit code {ended.code}: {ended.err[-300:]}; then {again.code}: {again.err[-800:]}")
    try:
        return f"{name}: exit code {ended.code}, then {check(study, records(sandbox))}"
    except FailedError as error:
        raise FailedError(f"{did}: {error}") from None


TORTURE = Torture("surroundings", "terminal, disk or folder go away", 2 * len(NAMES), 1, case)
