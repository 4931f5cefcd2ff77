"""A folder for one case: studies run in it, and nothing they do may be seen outside of its folder `work`."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO
from unittest import mock

from commands import ROOT, Ended, run

TESTS = ROOT / "tests"
TOLERATED = ("tmp/pymp-", "tmp/torchinductor_")
"""Outside: the folder of a killed forkserver's socket, and the one that torch makes when it is imported."""
TRUST = "torture.objectives.*"
_FONTS = Path(tempfile.gettempdir(), "torture-matplotlib")  # matplotlib looks for fonts once, not once a case


class Sandbox:
    """
    <root>/work       the current folder of all that is run
    <root>/home, tmp  what programs take for the user's home and for temporary files
    <root>/canary     a path that hostile configs write to
    """

    def __init__(self) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="t-")).resolve()
        for name in ("work", "home", "tmp"):
            (self.root / name).mkdir()
        self.work = self.root / "work"
        self.canary = self.root / "canary"
        self._mark = uuid.uuid4().hex
        self._started: list[Program] = []
        self.hang_seconds = 60.0

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, *error: object) -> None:
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for program in self._started:
            program.close()
        shutil.rmtree(self.root, ignore_errors=True)

    def environment(self, **more: str) -> dict[str, str]:
        """For whatever is run here; the mark in it is by which left-behind processes are found."""
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL") if name in os.environ}
        return kept | {
            "HOME": str(self.root / "home"),
            "TMPDIR": str(self.root / "tmp"),
            "PYTHONPATH": str(TESTS),
            "MPLCONFIGDIR": str(_FONTS),
            "MPLBACKEND": "agg",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "HPO_TRUST": TRUST,
            "TORTURE_MARK": self._mark,
            "CANARY": str(self.canary),
            **more,
        }

    def start(
        self,
        *arguments: str,
        program: str = "tune",
        stdout: int | IO[str] = subprocess.PIPE,
        before: Callable[[], None] | None = None,
        **environment: str,
    ) -> Program:
        """`python tune.py …` as a process group of its own; `before` is called in it first."""
        words = [sys.executable, str(ROOT / f"{program}.py"), *arguments]
        started = Program(self, words, stdout, before, environment)
        self._started.append(started)
        return started

    def run(self, *arguments: str, program: str = "tune", **environment: str) -> Ended:
        """`python tune.py …` in this process."""
        with self.entered(**environment):
            return run(*arguments, program=program)

    @contextlib.contextmanager
    def entered(self, **environment: str) -> Iterator[None]:
        """This process works here, with the sandbox's environment."""
        path, before = list(sys.path), Path.cwd()
        with mock.patch.dict(os.environ, self.environment(**environment), clear=True):
            os.chdir(self.work)
            try:
                yield
            finally:
                os.chdir(before)
                sys.path[:] = path

    def processes(self) -> list[int]:
        """All that were started here, and live."""
        found = []
        wanted = f"TORTURE_MARK={self._mark}".encode()
        for entry in os.listdir("/proc"):
            if entry.isdecimal() and int(entry) != os.getpid():
                with contextlib.suppress(OSError):
                    if wanted in Path("/proc", entry, "environ").read_bytes().split(b"\0"):
                        found.append(int(entry))
        return found

    def wait_until_empty(self, seconds: float = 10.0) -> list[str]:
        """Waits for all processes to end; the command lines of those that don't."""
        deadline = time.monotonic() + seconds
        while pids := self.processes():
            if time.monotonic() > deadline:
                return [_command_line(pid) for pid in pids]
            with contextlib.suppress(ProcessLookupError):
                watch = os.pidfd_open(pids[0])
                try:
                    select.select([watch], [], [], 1.0)
                finally:
                    os.close(watch)
        return []

    def problems(self) -> list[str]:
        """What was left where nothing may be: files beside `work`, processes."""
        there = {str(path.relative_to(self.root)) for path in self.root.rglob("*")}
        outside = {name for name in there if not name.startswith("work/")} - {"work", "home", "tmp"}
        problems = [f"a file outside the study: {name}" for name in sorted(outside) if not name.startswith(TOLERATED)]
        return problems + [f"a process is left behind: {line}" for line in self.wait_until_empty()]


class Program:
    """A running `tune.py`. What it prints is kept."""

    def __init__(
        self,
        sandbox: Sandbox,
        words: list[str],
        stdout: int | IO[str],
        before: Callable[[], None] | None,
        environment: dict[str, str],
    ) -> None:
        self._errors = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115
        self.process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            preexec_fn=before,
            stderr=self._errors,
            text=True,
            errors="replace",
            start_new_session=True,
            cwd=sandbox.work,
            env=sandbox.environment(**environment),
        )
        self._out: list[str] = []
        self._watchdog = threading.Timer(sandbox.hang_seconds, self.kill)
        self._watchdog.daemon = True
        self._watchdog.start()
        self.hung = False

    @property
    def pid(self) -> int:
        return self.process.pid

    def read_until(self, text: str, times: int) -> bool:
        """Waits until a line with `text` was printed so often; False if the program ended before."""
        assert self.process.stdout is not None
        seen = 0
        while seen < times and (line := self.process.stdout.readline()):
            self._out.append(line)
            seen += text in line
        return seen >= times

    def wait(self) -> Ended:
        """How it ended."""
        if self.process.stdout and not self.process.stdout.closed:
            self._out += self.process.stdout.readlines()
        code = self.process.wait()
        self._watchdog.cancel()
        self._errors.seek(0)
        hung = "\nhangs: it had to be killed" if self.hung else ""
        return Ended(code, "".join(self._out), self._errors.read() + hung)

    def kill(self) -> None:
        self.hung = True
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def close(self) -> None:
        self._watchdog.cancel()
        if self.process.poll() is None:
            self.kill()
            self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()
        self._errors.close()


def _command_line(pid: int) -> str:
    with contextlib.suppress(OSError):
        return f"{pid} {Path('/proc', str(pid), 'cmdline').read_bytes().replace(bytes(1), b' ').decode()}"
    return str(pid)
