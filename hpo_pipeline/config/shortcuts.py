"""What Hydra works out on the way and nobody asks for: half of the time of composing."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

from hydra._internal import defaults_list
from hydra._internal.config_repository import CachingConfigRepository, IConfigRepository
from hydra._internal.hydra import Hydra
from hydra.core.default_element import InputDefault
from hydra.plugins.config_source import ConfigSource
from omegaconf import DictConfig, OmegaConf

OWN = "pkg://hpo_pipeline.conf"
INSTALLED = (OWN, "pkg://hydra.conf")
"""Files that stay as they are."""

_get_mode_in_full = Hydra.get_mode
_create_interpolation_map_in_full = getattr(defaults_list, "_create_interpolation_map", None)


def is_installed(sources: Iterable[ConfigSource]) -> bool:
    """Whether nothing but what is installed can be in a config from these sources."""
    return all(source.scheme() == "structured" or source.full_path() in INSTALLED for source in sources)


def _get_mode(self: Hydra, config_name: str | None, overrides: list[str], **others: Any) -> Any:
    """Hydra composes everything just to see what is said of `hydra.mode`: not where nobody can have said anything."""
    if is_installed(self.config_loader.get_sources()) and not any("hydra" in override for override in overrides):
        return None
    return _get_mode_in_full(self, config_name, overrides, **others)


def _create_interpolation_map(overrides: Any, defaults: list[InputDefault], self_added: bool) -> DictConfig:
    """Hydra makes a config of all choices for each file: only one whose defaults refer to a choice needs it."""
    if any(not default.is_self() and default.is_interpolation() for default in defaults):
        assert _create_interpolation_map_in_full is not None  # else nothing would call this
        found: DictConfig = _create_interpolation_map_in_full(overrides, defaults, self_added)
        return found
    return OmegaConf.create()


def _repository(self: CachingConfigRepository, delegate: IConfigRepository) -> None:
    """Hydra copies all that its sources hold, where only the list of sources may become another."""
    self.delegate = copy.copy(delegate)
    self.cache = {}


SHORTCUTS: list[tuple[Any, str, Any]] = [
    (Hydra, "get_mode", _get_mode),
    (CachingConfigRepository, "__init__", _repository),
]
"""(owner, name, what stands there while a config is composed)."""
if _create_interpolation_map_in_full is not None:  # Hydra 1.4 has none
    SHORTCUTS.append((defaults_list, "_create_interpolation_map", _create_interpolation_map))
