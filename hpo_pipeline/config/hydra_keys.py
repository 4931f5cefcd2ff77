"""What a file may set of Hydra's own configuration: what sharing a study needs, nothing that runs, imports or writes.

Hydra's nodes call what they name (`hydra.callbacks`), change the environment (`hydra.job.env_set`) and open files
(`hydra.job_logging`), all before the study is looked at. What the person types is theirs; a file may come from anyone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from hpo_pipeline.checks import value_problems
from hpo_pipeline.errors import Problem, nearest

_Rule = tuple[str, Callable[[Any], bool]]
"""What a value must be, and whether it is."""
NAME = re.compile(r"\w[\w.-]*")
"""What the name of a study or a job is made of: it becomes the name of a folder."""
_LEVELS = ("CRITICAL", "FATAL", "ERROR", "WARNING", "WARN", "INFO", "DEBUG", "NOTSET")
_HARMLESS = re.compile(r"\$\{(name|now:[^${}/]*|hydra[.:]job\.(num|id|name|config_name))\}")
"""Interpolations that stand for the name of a folder."""


def _is_folder(value: Any) -> bool:
    plain = _HARMLESS.sub("x", value) if isinstance(value, str) else ".."
    outside = plain.startswith(("/", "~", "\\")) or re.search(r"(^|[/\\])\.\.([/\\]|$)", plain)
    return not outside and not re.search(r"\$\{|[:\0]", plain)


def _is_searchpath(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str) and all(map(_has_options, value))


def _has_options(part: Any) -> bool:
    is_path = isinstance(part, str) and "${" not in part and "://" not in part.removeprefix("file://")
    return is_path or part == "pkg://hpo_pipeline.conf"


def _is_level(value: Any) -> bool:
    return isinstance(value, int) or (isinstance(value, str) and value.upper() in _LEVELS)


def _is_verbose(value: Any) -> bool:
    words = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    return isinstance(value, bool) or all(isinstance(word, str) and "${" not in word for word in words)


def _one_of(*allowed: Any) -> _Rule:
    wanted = f"one of {', '.join(map(str, allowed))}"
    return wanted, lambda value: any(type(value) is type(option) and value == option for option in allowed)


_NAMED = "letters, digits, '.', '_' and '-'"
_FOLDER = "a folder below the current one (with ${name} or ${now:…}, if anything)", _is_folder
_LEVEL = f"one of {', '.join(_LEVELS)}", _is_level
_ALLOWED: dict[tuple[str, ...], _Rule] = {
    ("run", "dir"): _FOLDER,
    ("sweep", "dir"): _FOLDER,
    ("sweep", "subdir"): _FOLDER,
    ("searchpath",): ("a list of folders, file://…, or pkg://hpo_pipeline.conf; others are imported", _is_searchpath),
    ("mode",): _one_of("RUN", "MULTIRUN", None),
    ("verbose",): ("true, false, or names of loggers", _is_verbose),
    ("job", "chdir"): _one_of(True, False, None),
    ("job", "name"): (_NAMED, lambda value: isinstance(value, str) and NAME.fullmatch(value) is not None),
    ("output_subdir",): _one_of(None),
    **{
        (logging, *key): rule
        for logging in ("job_logging", "hydra_logging")
        for key, rule in (
            (("root", "level"), _LEVEL),
            (("loggers", "*", "level"), _LEVEL),
            (("disable_existing_loggers",), _one_of(True, False)),
            (("version",), _one_of(1)),
        )
    },
}
"""Path below `hydra`, `*` for any key -> what a value there must be."""


def file_problems(node: Any) -> Iterator[Problem]:
    """What a file says of Hydra that it may not: `hydra.callbacks.x: …`.

    Args:
        node: what stands at `hydra` in the file: plain, interpolations as they are written.
    """
    yield from _problems(node, ())


def name_problems(name: Any) -> list[Problem]:
    """Why a study can't have this name, `${now:…}` and the like still in it."""
    plain = _HARMLESS.sub("x", str(name))
    return [] if NAME.fullmatch(plain) else [Problem("name", f"must be {_NAMED}", name)]


def _problems(node: Any, path: tuple[str, ...]) -> Iterator[Problem]:
    rule = _ALLOWED.get(path) or _ALLOWED.get((*path[:2], "*", *path[3:]))
    if rule is not None:
        yield from value_problems(*rule, **{_dotted(path): node})
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
