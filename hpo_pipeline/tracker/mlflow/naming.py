"""Names and values as MLflow takes them: keys of 250 plain characters, values of bounded length."""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

from hpo_pipeline.report.command import hydra_value
from hpo_pipeline.space_tree import domains

KEY_LENGTH = 250
PARAM_LENGTH = 6000
TAG_LENGTH = 8000
# MLflow takes a colon as well, but not on Windows.
_REFUSED = re.compile(r"[^/\w.\- ]")


class Keys:
    """Maps names to keys, one to one: what MLflow refuses becomes `_`, and a clash is told apart by a checksum.

    The answer depends on the names asked for before, so ask in a fixed order.
    """

    def __init__(self) -> None:
        self._keys: dict[str, str] = {}

    def __call__(self, name: str) -> str:
        if name not in self._keys:
            key = _plain(name)
            if key in self._keys.values() or len(key) > KEY_LENGTH:
                key = f"{key[: KEY_LENGTH - 9]}-{zlib.crc32(name.encode()):08x}"
            self._keys[name] = key
        return self._keys[name]


def _plain(name: str) -> str:
    # Keys are read as paths: no empty, "." or ".." part, no slash at either end.
    parts = _REFUSED.sub("_", name).split("/")
    return "/".join("_" if part in ("", ".", "..") else part for part in parts)


def text(value: Any) -> str:
    """A value as a parameter: floats to the last digit, strings as they are, the rest as people type it."""
    return clipped(value if isinstance(value, str) else hydra_value(value), PARAM_LENGTH)


def number(value: float) -> float:
    """A value as a metric: MLflow stores infinity as 1.8e308, which ruins every axis."""
    return float(value) if math.isfinite(value) else math.nan


def clipped(value: str, length: int) -> str:
    return value if len(value) <= length else value[: length - 1] + "…"


def escaped(text: str) -> str:
    """Plain text within Markdown: no table cell ends, no link and no HTML begins in it."""
    return re.sub(r"([\\|<\[`])", r"\\\1", " ".join(text.split()))


def scalars(node: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Every scalar of a nested config, as (dotted path, value), in order."""
    for key, value in node.items():
        here = f"{path}.{key}" if path else str(key)
        if isinstance(value, Mapping):
            yield from scalars(value, here)
        elif not isinstance(value, (list, tuple)):
            yield here, value


def dimensions(tree: Any) -> dict[str, Mapping[str, Any]]:
    """Path -> domain of a `search_space` tree, those under a choice's options too."""
    return {path: node[key] for path, node, key in domains(tree)} if isinstance(tree, Mapping) else {}


def domain_text(domain: Mapping[str, Any]) -> str:
    """`{type: float, low: 1e-6, high: 1, log: true}` -> `float(low=1e-06, high=1, log=true)`."""
    arguments = ", ".join(f"{key}={hydra_value(value)}" for key, value in domain.items() if key != "type")
    return clipped(f"{domain['type']}({arguments})", PARAM_LENGTH)
