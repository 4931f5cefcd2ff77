"""Where MLflow keeps its runs, as a URI: what is allowed, made absolute, and fit to be shown."""

from __future__ import annotations

import re
from pathlib import Path

from hpo_pipeline.errors import nearest

SERVERS = ("http", "https", "databricks")
DATABASES = ("sqlite", "postgresql", "mysql", "mssql")


def scheme(uri: str) -> str:
    """`mysql` of `mysql+pymysql://…`; empty for a bare path."""
    found = re.match(r"([A-Za-z][\w.-]*)(\+\w+)?:", uri)
    if found:
        return found[1].lower()
    return uri if uri == "databricks" else ""


def problems(uri: str) -> list[str]:
    """Why `uri` can't be used, as problems of the key `uri`; empty if it can."""
    if not isinstance(uri, str) or not uri:
        return [f"uri: must be a tracking URI, got {uri!r}; use sqlite:///mlflow.db or http://host:5000"]
    name = scheme(uri)
    if name in ("", "file"):
        database = f"{uri.removeprefix('file:').removeprefix('//').rstrip('/') or '.'}/mlflow.db"
        return [f"uri: MLflow no longer writes to plain folders, got {uri!r}; use sqlite:///{database}"]
    known = (*DATABASES, *SERVERS)
    if name not in known:
        return [
            f"uri: unknown scheme {name!r}, got {shown(uri)!r}; use one of {', '.join(known)}{nearest(name, known)}"
        ]
    if name == "sqlite" and database_path(uri) is None:
        return [f"uri: must name a database file, got {uri!r}; use sqlite:///mlflow.db"]
    return []


def absolute(uri: str) -> str:
    """The same store whatever the current directory will be."""
    path = database_path(uri)
    if path is None:
        return uri
    _, mark, query = uri.partition("?")
    return f"sqlite:///{path.expanduser().absolute().as_posix()}{mark}{query}"


def database_path(uri: str) -> Path | None:
    """The file behind a SQLite URI; None for any other store."""
    found = re.fullmatch(r"sqlite(?:\+\w+)?:///([^?]+)(?:\?.*)?", uri)
    return Path(found[1]) if found and found[1] != ":memory:" else None


def shown(uri: str) -> str:
    """Without the password: what may be printed and kept in files."""
    return re.sub(r"(://[^:/@]*):[^@/]*@", r"\1:***@", uri)
