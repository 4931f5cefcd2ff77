"""What a file may set of Hydra's own configuration: what sharing a study needs, nothing that runs, imports or writes.

Hydra's nodes call what they name (`hydra.callbacks`), change the environment (`hydra.job.env_set`) and open files
(`hydra.job_logging`), all before the study is looked at. What the person types is theirs; a file may come from anyone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from hpo_pipeline.errors import Problem, nearest

NAME = re.compile(r"\w[\w.-]*")
"""What the name of a study or a job is made of: it becomes the name of a folder."""
_LEVELS = ("CRITICAL", "FATAL", "ERROR", "WARNING", "WARN", "INFO", "DEBUG", "NOTSET")
_HARMLESS = re.compile(r"\$\{(name|now:[^${}/]*|hydra[.:]job\.(num|id|name|config_name))\}")
"""Interpolations that stand for the name of a folder."""


def _folder(value: Any) -> str | None:
    """A folder below the current one."""
    plain = _HARMLESS.sub("x", value) if isinstance(value, str) else None
    if (
        plain is None
        or "${" in plain
        or plain.startswith(("/", "~", "\\"))
        or re.search(r"(^|[/\\])\.\.([/\\]|$)", plain)
    ):
        return "must be a folder below the current one (with ${name} or ${now:…}, if anything)"
    return None if re.fullmatch(r"[^:\0]*", plain) else "must be the name of a folder"


def _searchpath(value: Any) -> str | None:
    own = "pkg://hpo_pipeline.conf"
    if not isinstance(value, Sequence) or isinstance(value, str) or not all(isinstance(part, str) for part in value):
        return "must be a list of folders, file://… or pkg://hpo_pipeline.conf"
    others = [part for part in value if part != own and ("://" in part.removeprefix("file://") or "${" in part)]
    return f"must be folders, file://…, or {own}; {others[0]!r} may import a package" if others else None


def _one_of(*allowed: Any) -> Callable[[Any], str | None]:
    def problem(value: Any) -> str | None:
        known = any(type(value) is type(option) and value == option for option in allowed)
        return None if known else f"must be one of {', '.join(map(str, allowed))}"

    return problem


def _level(value: Any) -> str | None:
    if isinstance(value, int) or (isinstance(value, str) and value.upper() in _LEVELS):
        return None
    return f"must be one of {', '.join(_LEVELS)}"


def _name(value: Any) -> str | None:
    fits = isinstance(value, str) and NAME.fullmatch(value)
    return None if fits else "must be letters, digits, '.', '_' and '-'"


def _verbose(value: Any) -> str | None:
    words = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    fits = isinstance(value, bool) or all(isinstance(word, str) and "${" not in word for word in words)
    return None if fits else "must be true, false, or names of loggers"


_ALLOWED: dict[tuple[str, ...], Callable[[Any], str | None]] = {
    ("run", "dir"): _folder,
    ("sweep", "dir"): _folder,
    ("sweep", "subdir"): _folder,
    ("searchpath",): _searchpath,
    ("mode",): _one_of("RUN", "MULTIRUN", None),
    ("verbose",): _verbose,
    ("job", "chdir"): _one_of(True, False, None),
    ("job", "name"): _name,
    ("output_subdir",): _one_of(None),
    **{
        (logging, *key): rule
        for logging in ("job_logging", "hydra_logging")
        for key, rule in (
            (("root", "level"), _level),
            (("loggers", "*", "level"), _level),
            (("disable_existing_loggers",), _one_of(True, False)),
            (("version",), _one_of(1)),
        )
    },
}
"""Path below `hydra`, `*` for any key -> what is wrong with a value there, None if nothing is."""


def file_problems(node: Any) -> Iterator[Problem]:
    """What a file says of Hydra that it may not: `hydra.callbacks.x: …`.

    Args:
        node: what stands at `hydra` in the file: plain, interpolations as they are written.
    """
    yield from _problems(node, ())


def name_problems(name: Any) -> list[Problem]:
    """Why a study can't have this name, `${now:…}` and the like still in it."""
    plain = _HARMLESS.sub("x", str(name))
    return [] if NAME.fullmatch(plain) else [Problem("name", "must be letters, digits, '.', '_' and '-'", name)]


def _problems(node: Any, path: tuple[str, ...]) -> Iterator[Problem]:
    rule = _ALLOWED.get(path) or _ALLOWED.get((*path[:2], "*", *path[3:]))
    if rule is not None:
        if (what := rule(node)) is not None:
            yield Problem(_dotted(path), what, node)
    elif isinstance(node, Mapping) and any(_matches(path, allowed) for allowed in _ALLOWED):
        for key, value in node.items():
            yield from _problems(value, (*path, str(key)))
    else:
        known = [_dotted(allowed) for allowed in _ALLOWED]
        what = f"a file can't set this of Hydra's own configuration{nearest(_dotted(path), known)}"
        yield Problem(_dotted(path), f"{what}; if you want it, type it on the command line")


def _matches(path: tuple[str, ...], allowed: tuple[str, ...]) -> bool:
    """Whether `path` leads towards what is allowed."""
    parts = zip(path, allowed, strict=False)
    return len(path) < len(allowed) and all(key == wanted or wanted == "*" for key, wanted in parts)


def _dotted(path: tuple[str, ...]) -> str:
    return ".".join(("hydra", *path))
