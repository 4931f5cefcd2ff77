"""Where MLflow keeps its runs, as a URI: what is allowed, made absolute, and fit to be shown."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus, unquote, unquote_plus

from hpo_pipeline.errors import nearest

SERVERS = ("http", "https", "databricks")
DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
MASK = "***"
# Query parameters whose values are no secrets; any other value is masked.
_PLAIN_PARAMETERS = {
    *("application_name", "cache", "charset", "check_same_thread", "connect_timeout", "driver", "encrypt", "host"),
    *("isolation_level", "mode", "port", "sslmode", "timeout", "trustservercertificate", "uri"),
}
_SECRET_VARIABLES = ("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")
_SHORT = 4


def scheme(uri: str) -> str:
    """`mysql` of `mysql+pymysql://…`; empty for a bare path."""
    found = re.match(r"([A-Za-z][\w.-]*)(\+\w+)?:", uri)
    if found:
        return found[1].lower()
    return uri if uri == "databricks" else ""


def problem(uri: str) -> str:
    """Why `uri` can't be used; empty if it can."""
    if not isinstance(uri, str) or not uri:
        return f"must be a tracking URI, got {uri!r}; use sqlite:///mlflow.db or http://host:5000"
    name = scheme(uri)
    if name in ("", "file"):
        database = f"{uri.removeprefix('file:').removeprefix('//').rstrip('/') or '.'}/mlflow.db"
        return f"MLflow no longer writes to plain folders, got {shown(uri)!r}; use sqlite:///{shown(database)}"
    known = (*DATABASES, *SERVERS)
    if name not in known:
        return f"unknown scheme {name!r}, got {shown(uri)!r}; use one of {', '.join(known)}{nearest(name, known)}"
    if name == "sqlite" and database_path(uri) is None:
        return f"must name a database file, got {shown(uri)!r}; use sqlite:///mlflow.db"
    if is_masked(uri):
        return (
            f"{uri!r} lacks its password, which is kept in no file; set the environment variable "
            "MLFLOW_TRACKING_URI to the whole URI, or type tracker.uri=…"
        )
    return ""


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


# -- secrets ---------------------------------------------------------------------------------------------------------


def shown(uri: str) -> str:
    """Without passwords and tokens: what may be printed and kept in files.

    `postgresql://user:***@host/db`; of a server, where a token may stand for the user, `https://***@host`.
    """
    start, user, place, query = _parts(uri)
    if user:
        name, colon, _ = user.partition(":")
        is_name = scheme(uri) not in SERVERS
        user = f"{name}:{MASK}@" if is_name and colon else f"{name}@" if is_name else f"{MASK}@"
    if query:
        query = "?" + "&".join(_shown_parameter(parameter) for parameter in query.split("&"))
    return f"{start}{user}{place}{query}"


def is_masked(uri: str) -> bool:
    """Whether `uri` is what `shown` made of one with secrets."""
    _, user, _, query = _parts(uri)
    return MASK in (user, user.rpartition(":")[2]) or any(
        parameter.rpartition("=")[2] == MASK for parameter in query.split("&")
    )


def link(uri: str) -> str:
    """A server's address for a browser: without user and password."""
    start, _, place, _ = _parts(uri)
    return f"{start}{place}".rstrip("/")


def masked(text: str, uri: str) -> str:
    """`text` (an error of a library, say) without the secrets of `uri`, in whatever form it quotes them."""
    text = text.replace(uri, shown(uri))
    for secret in sorted(set(_secrets(uri)), key=len, reverse=True):
        if len(secret) >= _SHORT:
            text = text.replace(secret, MASK)
        elif secret:
            text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", MASK, text)
    return re.sub(r"://[^/\s@:]*:[^/\s@]*@", f"://{MASK}@", text)


def _parts(uri: str) -> tuple[str, str, str, str]:
    """(scheme and "://", user information, host and path, query), whatever a password with "@", "/" or "?" does."""
    start, mark, rest = uri.partition("://")
    if not mark:
        user, _, place = uri.rpartition("@")  # a scheme was forgotten
        return "", user, place, ""
    before, _, query = rest.partition("?")
    # A host, with or without a port; else it may be a user and the beginning of a password with a slash.
    is_place = re.fullmatch(r"([^:@]+(:\d*)?)?", before.partition("/")[0]) is not None
    is_query = is_place or ("@" in before and re.fullmatch(r"[\w.-]+=.*", query))
    if "@" in query and not is_query:
        before, query = rest, ""  # the question mark belongs to a password
    user, _, place = ("", "", before) if is_place else before.rpartition("@")
    return f"{start}://", user, place, query


def _shown_parameter(parameter: str) -> str:
    name, equals, value = parameter.partition("=")
    if not equals:
        return MASK if parameter else ""
    return parameter if not value or name.lower() in _PLAIN_PARAMETERS else f"{name}={MASK}"


def _secrets(uri: str) -> Iterator[str]:
    """Passwords, tokens and masked query values, as they are written and in their other encodings."""
    _, user, _, query = _parts(uri)
    name, colon, password = user.partition(":")
    found = [password] if colon else []
    if scheme(uri) in SERVERS:
        found += [user, name]
    for parameter in query.split("&"):
        if _shown_parameter(parameter) != parameter:
            found.append(parameter.partition("=")[2] or parameter)
    # Where a password has "@" or ":" in it, a driver takes part of it for the host or the port, and says so.
    found += [piece for secret in list(found) for piece in re.split(r"[@:/?#]", secret) if len(piece) >= _SHORT]
    found += [os.environ[variable] for variable in _SECRET_VARIABLES if os.environ.get(variable)]
    for secret in filter(None, found):
        yield from (secret, unquote(secret), unquote_plus(secret))
        yield from (form(plain, safe="") for plain in (secret, unquote(secret)) for form in (quote, quote_plus))
