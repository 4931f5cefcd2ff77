"""YAML that may be anybody's, read as plain data."""

from __future__ import annotations

from typing import Any

import yaml

_DEEPEST = 50


def plain_yaml(text: str) -> Any:
    """What a YAML text says; it may be anybody's.

    Raises:
        ValueError: it refers to parts of itself, which can make a few bytes endless, or is nested too deeply.
        yaml.YAMLError: it is no YAML.
    """
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if isinstance(event, yaml.AliasEvent):
            raise ValueError("it refers to parts of itself; a study writes no aliases")
        if depth > _DEEPEST:
            raise ValueError("lists in lists, or mappings in mappings, deeper than a study writes them")
    return yaml.safe_load(text)
