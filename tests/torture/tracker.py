"""MLflow's store fails in every way; the study goes on, says what is missing, and a resume completes it."""

from __future__ import annotations

import contextlib
import os
import random
import re
import resource
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from commands import Ended

from torture import fuzz
from torture.case import FailedError, Torture
from torture.sandbox import Sandbox
from torture.studies import NAME, Study, check, records

_STUDY = Study("successive_halving", "serial")
_ARGUMENTS = tuple(argument for argument in _STUDY.arguments if argument != "tracker=none")
_SAVED = "tracker.saved_view=false"
_SAYS_SO = re.compile(r"MLflow.*(missing|not)|(missing|not).*MLflow")


def _database(sandbox: Sandbox) -> Path:
    return sandbox.work / "mlflow.db"


@contextlib.contextmanager
def deleted(sandbox: Sandbox) -> Iterator[None]:
    yield
    for path in sandbox.work.glob("mlflow.db*"):
        path.unlink()


@contextlib.contextmanager
def emptied(sandbox: Sandbox) -> Iterator[None]:
    yield
    if _database(sandbox).exists():
        os.truncate(_database(sandbox), 0)


@contextlib.contextmanager
def no_database(sandbox: Sandbox) -> Iterator[None]:
    _database(sandbox).write_bytes(b"this is not a database" * 1000)
    yield


@contextlib.contextmanager
def a_folder(sandbox: Sandbox) -> Iterator[None]:
    _database(sandbox).mkdir()
    yield


@contextlib.contextmanager
def locked(sandbox: Sandbox) -> Iterator[None]:
    """Another program holds the database from the beginning to the end."""
    connection = sqlite3.connect(_database(sandbox), check_same_thread=False)
    connection.execute("BEGIN EXCLUSIVE")
    yield
    connection.close()


FAULTS: dict[str, Callable[[Sandbox], contextlib.AbstractContextManager[None]]] = {
    "deleted in the middle": deleted,
    "emptied in the middle": emptied,
    "not a database": no_database,
    "a folder in its place": a_folder,
    "locked from beginning to end": locked,
}


class _Server(BaseHTTPRequestHandler):
    """Answers `answers` times with an empty object, then does what `how` says."""

    how, left = "500", 0
    released = threading.Event()

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        self.rfile.read(length)
        if self.how == "hangs":
            self.released.wait(30)
            return
        if self.how == "dies":
            self.connection.close()
            return
        body = {"500": b"no", "nonsense": b"<html>", "empty": b"{}"}[self.how]
        self.send_response(500 if self.how == "500" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PATCH = _answer  # noqa: N815

    def log_message(self, *arguments: object) -> None: ...


@contextlib.contextmanager
def server(how: str) -> Iterator[str]:
    """A tracking server that does nothing but what `how` says; its URI."""
    handler = type("Handler", (_Server,), {"how": how, "released": threading.Event()})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        http.daemon_threads = True
        thread = threading.Thread(target=http.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{http.server_port}"
        finally:
            handler.released.set()
            http.shutdown()
            thread.join()


SERVERS = ("500", "nonsense", "empty", "dies", "hangs")
_LATER = ("deleted in the middle", "emptied in the middle")
_ALL = (*FAULTS, *(f"a server: {how}" for how in SERVERS), "a full disk", "nobody there")


def case(number: int, draw: random.Random, sandbox: Sandbox) -> str:
    fault = _ALL[number % len(_ALL)]
    sandbox.hang_seconds = 240.0  # closing waits for a while for what may come back
    with contextlib.ExitStack() as stack:
        arguments = [*_ARGUMENTS, _SAVED]
        if fault.startswith("a server"):
            arguments.append(f"tracker.uri={stack.enter_context(server(fault.partition(': ')[2]))}")
        elif fault == "nobody there":
            arguments.append("tracker.uri=http://127.0.0.1:1")
        elif fault in FAULTS:
            stack.enter_context(FAULTS[fault](sandbox))
        program = sandbox.start(*arguments, UNIT_SECONDS="0.1")
        if fault == "a full disk":
            limit = draw.choice([10_000, 100_000, 300_000, 500_000])
            resource.prlimit(program.pid, resource.RLIMIT_FSIZE, (limit, limit))
            fault = f"a full disk, {limit:,} bytes"
        if "middle" in fault:
            program.read_until("trial ", draw.randint(5, 20))
            stack.pop_all().close()
        ended = program.wait()
    if ended.code == 2 and fault not in _LATER:
        fuzz.check_ended(ended)
        if records(sandbox):
            raise FailedError(f"{fault}: refused, and yet the study began")
        return f"{fault}: refused beforehand"
    _check_session(ended, fault)
    try:
        check(_STUDY, records(sandbox))
    except FailedError as error:
        raise FailedError(f"{fault}: {error}") from None
    missing = _missing(sandbox)
    if not missing:
        return f"{fault}: complete all the same"
    if not _SAYS_SO.search(ended.out + ended.err):
        raise FailedError(f"{fault}: {missing}, but it says only {_mlflow_lines(ended)!r}")
    if fault in ("not a database", "a folder in its place"):  # which only a person can put right
        shutil.rmtree(_database(sandbox)) if _database(sandbox).is_dir() else _database(sandbox).unlink()
    again = sandbox.start(f"name={NAME}", "resume=true", "tracker=mlflow", "tracker.uri=null", _SAVED).wait()
    _check_session(again, f"{fault}, resumed")
    if missing := _missing(sandbox):
        raise FailedError(
            f"{fault}: said {_mlflow_lines(ended)!r}; the resume said {_mlflow_lines(again)!r}, {missing}"
        )
    return f"{fault}: said so, and completed by a resume"


def _check_session(ended: Ended, did: str) -> None:
    if ended.code not in (0, 3) or "Traceback" in ended.err or "hangs" in ended.err:
        raise FailedError(f"{did}: exit code {ended.code}: {ended.err[-1500:]}")


def _mlflow_lines(ended: Ended) -> str:
    return "\n".join(line for line in (ended.out + ended.err).splitlines() if "MLflow" in line or "mlflow" in line)


def _missing(sandbox: Sandbox) -> str:
    """What the database should hold and doesn't: one run for the study and one for each trial, with its metrics."""
    try:
        with contextlib.closing(sqlite3.connect(f"file:{_database(sandbox)}?mode=ro", uri=True)) as connection:
            n = connection.execute("SELECT count(*) FROM runs WHERE lifecycle_stage = 'active'").fetchone()[0]
            metrics = connection.execute(
                "SELECT count(*) FROM (SELECT DISTINCT run_uuid, step FROM metrics WHERE key = 'error')"
            ).fetchone()[0]
    except sqlite3.Error as error:
        return f"no database ({error})"
    reports = sum(record["event"] == "report" for record in records(sandbox))
    trials = sum(record["event"] == "suggested" for record in records(sandbox))
    return "" if (n, metrics >= reports) == (trials + 1, True) else f"{n} runs, {metrics} of {reports} reports"


TORTURE = Torture("tracker", "MLflow's store or server fails under a study", len(_ALL), 0, case)
