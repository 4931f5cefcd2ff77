"""Whether a store can be written to, found out before a study starts: in seconds, and without creating anything.

A file, a driver or a socket tells most of it; MLflow itself is only asked where a server wants to know who is there.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from urllib.parse import urlsplit

from hpo_pipeline.errors import Problem
from hpo_pipeline.tracker import StoreDownError
from hpo_pipeline.tracker.mlflow import sqlite
from hpo_pipeline.tracker.mlflow import uri as uris
from hpo_pipeline.tracker.mlflow.links import deleted_experiment
from hpo_pipeline.tracker.mlflow.store import MLflowStore

_SECONDS = 5.0
_DEADLINE = 12.0
_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433, "http": 80, "https": 443}
_DRIVERS = {"psycopg2": "psycopg2-binary", "MySQLdb": "mysqlclient"}
_DENIED = (401, 403)


def problems(uri: str, experiment: str) -> list[Problem]:
    """Why the store at `uri` can't be written to, as problems of the keys `uri` and `experiment`."""
    name = uris.scheme(uri)
    path = uris.database_path(uri)
    found: str | Problem
    if path is not None:
        found = sqlite.problem(path)
        if not found and (deleted := sqlite.deleted_experiment(path, experiment)):
            found = Problem("experiment", deleted_experiment(uri, experiment, deleted))
    elif name in uris.DATABASES:
        found = _within_deadline(lambda: _database_problem(uri, _PORTS[name]))
    elif name in ("http", "https"):
        found = _within_deadline(lambda: _server_problem(uri, experiment))
    else:
        return []  # databricks: its profiles and tokens are known to MLflow alone
    if not found:
        return []
    if isinstance(found, str):
        found = Problem("uri", f"{uris.shown(uri)} {uris.masked(found, uri)}")
    return [Problem(found.path, f"{found.message}, or choose another tracker.{found.path}, or tracker=none")]


def _within_deadline(check: Callable[[], str | Problem]) -> str | Problem:
    """What `check` finds; looking up a host's name knows no time limit of its own."""
    found: list[str | Problem] = []
    thread = threading.Thread(target=lambda: found.append(check()), name="tracker-check", daemon=True)
    thread.start()
    thread.join(_DEADLINE)
    return found[0] if found else f"does not answer within {_DEADLINE:g} s; see whether it is there"


# -- databases ---------------------------------------------------------------------------------------------------------


def _database_problem(uri: str, port: int) -> str:
    from sqlalchemy import create_engine
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError
    from sqlalchemy.pool import NullPool

    try:
        engine = create_engine(uri, poolclass=NullPool)
    except ImportError as error:
        driver = (error.name or "").partition(".")[0]
        return f"needs the driver {driver}, which is not installed; pip install {_DRIVERS.get(driver, driver)}"
    except NoSuchModuleError as error:
        return f"names a driver that is not known ({error}); install it"
    except (ArgumentError, ValueError) as error:
        return f"can't be read ({error}); write special characters of a password as %40 (@), %3A (:), %2F (/)"
    host = engine.url.host
    if host and not host.startswith("/") and (found := _socket_problem(host, engine.url.port or port)):
        return found
    try:
        with engine.connect():
            return ""
    except Exception as error:
        return f"refuses the connection ({_first_line(error)}); mend its user, password or database"


def _socket_problem(host: str, port: int) -> str:
    try:
        with socket.create_connection((host, port), timeout=_SECONDS):
            return ""
    except socket.gaierror:
        return f"can't be reached: there is no host {host!r}; mend the name"
    except OSError as error:
        return f"can't be reached: nothing answers at {host}:{port} ({error.strerror or error}); start it"


# -- servers -----------------------------------------------------------------------------------------------------------


def _server_problem(uri: str, experiment: str) -> str | Problem:
    import requests

    try:
        address = urlsplit(uris.link(uri))
        port = address.port or _PORTS[uris.scheme(uri)]
    except ValueError as error:
        return f"can't be read ({error}); mend it"
    if not address.hostname:
        return "names no host; mend it"
    try:
        answer = requests.get(
            f"{uri.rstrip('/')}/api/2.0/mlflow/experiments/get-by-name",
            params={"experiment_name": experiment},
            timeout=(_SECONDS, _SECONDS),
        )
    except requests.exceptions.SSLError as error:
        return f"has no certificate that is trusted ({_first_line(error)}); name it in MLFLOW_TRACKING_SERVER_CERT_PATH"
    except requests.exceptions.ProxyError as error:
        return f"can't be reached through the proxy ({_first_line(error)}); see HTTP_PROXY and NO_PROXY"
    except requests.exceptions.ConnectionError as error:
        return (
            _socket_problem(address.hostname, port)
            or f"breaks the connection ({_first_line(error)}); see whether it is an MLflow"
        )
    except requests.exceptions.Timeout:
        return f"does not answer within {_SECONDS:g} s; see whether it is there"
    except requests.exceptions.RequestException as error:
        return f"can't be asked ({_first_line(error)}); mend it"
    if answer.status_code in _DENIED:
        return _credentials_problem(uri)
    if answer.status_code >= 500:
        return f"is not at work (it answers {answer.status_code}); mend it"
    try:
        said = dict(answer.json())
    except (ValueError, TypeError):
        said = {}
    if "experiment" not in said and "error_code" not in said:
        return f"is no MLflow server (it answers {answer.status_code}); mend the address"
    stage = said.get("experiment", {}).get("lifecycle_stage", "active")
    if stage == "active":
        return ""
    return Problem("experiment", deleted_experiment(uri, experiment, said["experiment"]["experiment_id"]))


def _credentials_problem(uri: str) -> str:
    """Asks again as MLflow does, which knows of tokens, credential files and sign-in plug-ins."""
    try:
        MLflowStore(uri)
    except StoreDownError as error:
        return (
            f"does not let us in ({_first_line(error)}); set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or "
            "MLFLOW_TRACKING_TOKEN"
        )
    return ""


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:200]
