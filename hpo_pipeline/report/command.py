"""Values and samples as people type them: Hydra overrides, quoted for Hydra's grammar."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# What Hydra's grammar reads as a bare string, and no YAML scalar of another type (true, null, 1e3, nan).
_BARE = re.compile(r"[A-Za-z_/][\w/.:-]*")
_WORDS = {"true", "false", "null", "nan", "inf", "yes", "no", "on", "off"}


def hydra_value(value: Any) -> str:
    """One value in Hydra's override grammar; floats to the last digit (`repr`)."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{hydra_value(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(map(hydra_value, value)) + "]"
    text = str(value)
    if _BARE.fullmatch(text) and text.lower() not in _WORDS:
        return text
    escaped = re.sub(r"(\\+)(?='|$)", r"\1\1", text).replace("'", r"\'")
    return f"'{escaped}'"


def overrides(config: Mapping[str, Any]) -> list[str]:
    """`{"optimizer.lr": 0.003}` -> `["optimizer.lr=0.003"]`."""
    return [f"{path}={hydra_value(value)}" for path, value in config.items()]


def trial_overrides(trial_id: int, resource: int, config: Mapping[str, Any]) -> list[str]:
    """What to add to a study's `train` command to re-run one of its trials to the same numbers."""
    return [*overrides(config), f"trial={trial_id}", f"resource={resource}"]


@dataclass(frozen=True, slots=True)
class Command:
    """A command of a shell, to be pasted."""

    text: str

    def in_lines(self, width: int, indent: str = "  ") -> str:
        """The command in lines of at most `width`, which a shell reads as one: all but the last end in a backslash.

        Words are not broken: one that is longer has a line of its own.
        """
        lines: list[str] = []
        line = indent
        for word in map(shlex.quote, shlex.split(self.text)):
            if line.strip() and len(line) + len(word) + len(" \\") > width:
                lines.append(f"{line}\\")
                line = indent * 2
            line += f"{word} "
        return "\n".join([*lines, line.rstrip(" ")])
