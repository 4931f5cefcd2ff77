"""Stores that can't be written to are refused before a study starts, each in one line with what to do."""

from __future__ import annotations

import http.server
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from commands import FREE, compose, run

from hpo_pipeline.errors import ConfigError
from hpo_pipeline.preflight import check_study
from hpo_pipeline.tracker import StoreDownError
from hpo_pipeline.tracker.mlflow import MLflowTracker, preflight


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def closed_port() -> int:
    """A port at which nothing listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


class Server(http.server.ThreadingHTTPServer):
    """Gives every request the same answer."""

    status, body = 200, b"{}"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server: Any = self.server
        self.send_response(server.status)
        self.send_header("Content-Length", str(len(server.body)))
        self.end_headers()
        self.wfile.write(server.body)

    def log_message(self, *arguments: Any) -> None: ...


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.01,))
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def problem(uri: str) -> str:
    """What is wrong with a store, without the key; empty if nothing is."""
    found = MLflowTracker(uri, "e").problems()
    assert len(found) <= 1
    return str(found[0]) if found else ""


def at(server: Server) -> str:
    return f"http://127.0.0.1:{server.server_address[1]}"


def test_a_server_that_is_down_is_refused(closed_port: int):
    uri = f"http://127.0.0.1:{closed_port}"
    assert problem(uri) == (
        f"uri: {uri} can't be reached: nothing answers at 127.0.0.1:{closed_port} (Connection refused); start it, "
        "or choose another tracker.uri, or tracker=none"
    )


@pytest.mark.parametrize("uri", ["http://user:secret@nowhere.invalid:5000", "postgresql+there://u:secret@nowhere/db"])
def test_a_host_that_is_not_found_is_refused_without_its_password(uri: str, monkeypatch: pytest.MonkeyPatch):
    def not_found(*arguments: Any, **named: Any) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "create_connection", not_found)
    monkeypatch.setattr(socket, "getaddrinfo", not_found)
    register_driver(monkeypatch, "postgresql.there")
    told = problem(uri)
    assert "can't be reached: there is no host 'nowhere" in told
    assert "secret" not in told


def test_a_server_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch):
    over = threading.Event()
    monkeypatch.setattr(preflight, "_DEADLINE", 0.05)
    monkeypatch.setattr(preflight, "_server_problem", lambda *arguments: over.wait() and "")
    assert "does not answer within 0.05 s" in problem("http://localhost:1")
    over.set()


@pytest.mark.parametrize(
    ("status", "body", "found"),
    [
        (200, {"experiment": {"lifecycle_stage": "active"}}, ""),
        (404, {"error_code": "RESOURCE_DOES_NOT_EXIST"}, ""),
        (404, None, "is no MLflow server (it answers 404); mend the address"),
        (200, None, "is no MLflow server (it answers 200); mend the address"),
        (503, None, "is not at work (it answers 503)"),
        (200, {"experiment": {"lifecycle_stage": "deleted", "experiment_id": "7"}}, "restore --experiment-id 7`"),
    ],
)
def test_a_server_is_asked_whether_it_is_mlflow(server: Server, status: int, body: Any, found: str):
    server.status, server.body = status, b"<html>" if body is None else json.dumps(body).encode()
    told = problem(at(server))
    assert found in told
    assert bool(told) == bool(found)


@pytest.mark.parametrize("status", [401, 403])
def test_wrong_credentials_are_refused_once_mlflow_itself_has_tried_them(
    server: Server, status: int, monkeypatch: pytest.MonkeyPatch
):
    class Denied:
        def __init__(self, uri: str) -> None:
            if denied:
                raise StoreDownError("error code 401")

    monkeypatch.setattr(preflight, "MLflowStore", Denied)
    server.status = status
    denied = True
    assert "does not let us in (error code 401); set MLFLOW_TRACKING_USERNAME and" in problem(at(server))
    denied = False
    assert problem(at(server)) == ""


def test_a_missing_driver_is_refused(monkeypatch: pytest.MonkeyPatch):
    import sys

    monkeypatch.setitem(sys.modules, "psycopg2", None)
    told = problem("postgresql+psycopg2://user:secret@host/db")
    assert told.startswith(
        "uri: postgresql+psycopg2://user:***@host/db needs the driver psycopg2, which is not installed"
    )


def test_a_driver_that_sqlalchemy_does_not_know_is_refused():
    assert "names a driver that is not known" in problem("postgresql+pg99://user:secret@host/db")


def test_a_password_with_special_characters_is_not_told_where_it_stands_in_the_way():
    told = problem("postgresql+psycopg9://user:se:cr@et@host:port/db")
    assert told
    assert not any(piece in told for piece in ("se:cr", "cr@et"))


def register_driver(monkeypatch: pytest.MonkeyPatch, name: str, error: str = "") -> None:
    """A database driver whose connections are refused with `error`."""
    import sqlite3

    from sqlalchemy.dialects import registry
    from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

    class Dialect(SQLiteDialect_pysqlite):
        supports_statement_cache = True

        def create_connect_args(self, url: Any) -> Any:
            return [":memory:"], {}

        def connect(self, *arguments: Any, **named: Any) -> Any:
            if error:
                raise sqlite3.OperationalError(error)
            return super().connect(*arguments, **named)

    monkeypatch.setattr(Dialect, "name", name.partition(".")[0])
    monkeypatch.setitem(registry.impls, name, lambda: Dialect)


@pytest.mark.parametrize("error", ["", 'password "secret" was not accepted for user "u"'])
def test_a_database_is_asked_whether_it_lets_us_in(server: Server, error: str, monkeypatch: pytest.MonkeyPatch):
    register_driver(monkeypatch, "postgresql.there", error)
    told = problem(f"postgresql+there://u:secret@127.0.0.1:{server.server_address[1]}/db")
    assert "secret" not in told
    if error:
        assert 'refuses the connection ((sqlite3.OperationalError) password "***" was not accepted' in told
    else:
        assert told == ""


# -- as a person meets it ----------------------------------------------------------------------------------------------


def test_an_unreachable_tracker_is_reported_with_everything_else_and_nothing_is_created(closed_port: int):
    ended = run(*FREE[:-1], f"tracker.uri=http://127.0.0.1:{closed_port}", "n_trials=0", "name=s", "dry_run=true")
    assert ended.code == 2
    assert "2 problems in the configuration" in ended.err
    assert "  n_trials: must be at least 1, got 0" in ended.err
    assert "  tracker.uri: http://127.0.0.1" in ended.err
    assert list(Path().iterdir()) == []


def test_a_dry_run_makes_no_database():
    assert run(*FREE[:-1], "name=s", "dry_run=true").code == 0
    assert list(Path().iterdir()) == []


def test_where_nothing_remote_is_to_be_done_the_tracker_is_not_asked(closed_port: int):
    words = (*FREE[:-1], "n_trials=0", f"tracker.uri=http://127.0.0.1:{closed_port}")
    with pytest.raises(ConfigError) as error:
        check_study(compose(*words), data=False)
    assert not [line for line in error.value.lines if line.startswith("tracker")]


def test_a_training_is_refused_as_well(closed_port: int):
    ended = run(f"tracker.uri=http://127.0.0.1:{closed_port}", "dataset=digits", "name=t", program="train")
    assert ended.code == 2
    assert "tracker.uri: " in ended.err
    assert list(Path().iterdir()) == []
