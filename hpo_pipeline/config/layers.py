"""What a config is composed of: which file or typed override contributed what. Watches Hydra while it composes.

    with watched():  compose(...);  composition() -> Composition(layers=[...], typed=[...])

Hydra forgets who said what once a config is composed, and acts on its own part of it before anybody can look. While
it is watched, what files say of Hydra itself is checked before it acts (hydra_keys.py); a domain of the search space
that is given anew replaces the old one instead of being mixed with it; and so does an option of a group that is chosen
on top of a saved config.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import ConfigRepository
from hydra.core.default_element import ResultDefault
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.types import Override
from hydra.plugins.config_source import ConfigResult
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from hpo_pipeline.config.hydra_errors import told
from hpo_pipeline.config.hydra_keys import file_problems, name_problems
from hpo_pipeline.config.older import became
from hpo_pipeline.config.several import side_by_side
from hpo_pipeline.config.shortcuts import INSTALLED, OWN, SHORTCUTS
from hpo_pipeline.errors import ConfigError, Problem, nearest
from hpo_pipeline.space_tree import merged, replaces

_MOST_NODES = 100_000
"""A YAML file that stands for more values than that, by aliases of aliases, is refused."""


@dataclass(frozen=True, slots=True)
class Layer:
    """What one file contributes.

    Attributes:
        path: of the option, "experiment/quick", or the name of the primary config.
        source: the folder or package that it was found in: "file:///home/…", "pkg://hpo_pipeline.conf".
        content: plain, interpolations as they are written, at its place in the whole config.
        primary: whether it is the primary config itself.
    """

    path: str
    source: str
    content: dict[str, Any]
    primary: bool

    @property
    def group(self) -> str:
        """The group that it is an option of, or an empty string."""
        return self.path.rpartition("/")[0]

    @property
    def is_ours(self) -> bool:
        return self.source == OWN

    @property
    def is_saved(self) -> bool:
        """Whether it is the config.yaml of a study or a training: the options that it was composed of are noted."""
        return self.primary and isinstance(self.content.get("choices"), Mapping)


@dataclass(slots=True)
class Composition:
    """Layers in the order in which they were put on top of each other, then what was typed; and the root's schema.

    Attributes:
        several: group -> options, of the groups of which several may be chosen: Hydra doesn't tell those of a list.
    """

    layers: list[Layer] = field(default_factory=list)
    typed: list[Override] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    schema: DictConfig | None = None
    several: dict[str, list[str]] = field(default_factory=dict)

    def is_typed(self, path: str) -> bool:
        """Whether the value at `path` was typed (a chosen option was not: what it holds is a file's)."""
        for override in self.typed:
            key, value = override.key_or_group, override.value()
            if key == path or (path.startswith(f"{key}.") and isinstance(value, Mapping)):
                return True
        return False

    @property
    def is_saved(self) -> bool:
        return any(layer.is_saved for layer in self.layers)


_current: ContextVar[Composition] = ContextVar("_current")


def composition() -> Composition:
    """Of what was composed last."""
    return _current.get(Composition())


@contextlib.contextmanager
def watched() -> Iterator[None]:
    """Watches whatever Hydra composes inside the block.

    Raises, from Hydra's composing:
        ConfigError: files set what only the person who types may set.
    """
    # Methods of the class, not a class of our own: Hydra 1.4 asks for the exact type.
    with contextlib.ExitStack() as stack:
        for owner, name, ours in (
            (ConfigRepository, "load_config", _load_config),
            (ConfigLoaderImpl, "_process_config_searchpath", _process_config_searchpath),
            (ConfigLoaderImpl, "_load_single_config", _load_single_config),
            (ConfigLoaderImpl, "_compose_config_from_defaults_list", _compose_config_from_defaults_list),
            (ConfigLoaderImpl, "_apply_overrides_to_config", staticmethod(_apply_overrides_to_config)),
            *SHORTCUTS,
        ):
            stack.callback(setattr, owner, name, owner.__dict__[name])
            setattr(owner, name, ours)
        yield


_load_config_unseen = ConfigRepository.load_config
_process_searchpath_unseen = ConfigLoaderImpl._process_config_searchpath
_load_single_unseen = ConfigLoaderImpl._load_single_config
_compose_unseen = ConfigLoaderImpl._compose_config_from_defaults_list
_apply_unseen = ConfigLoaderImpl._apply_overrides_to_config
_loaded: dict[tuple[str, str], ConfigResult] = {}
"""(source, path) -> an installed file, as it was read: a command composes several times."""
_contents: dict[tuple[str, str, str | None], dict[str, Any]] = {}
"""(source, path, package) -> what an installed file contributes, at its place."""


def refuse_endless(path: Path) -> None:
    """Refuses a YAML file whose aliases stand for more than memory and patience allow.

    Raises:
        ConfigError: they do, or it isn't text.
    """
    with contextlib.suppress(OSError, yaml.YAMLError):  # for whoever reads it next to say
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise ConfigError(Problem(str(path), "is no text in UTF-8")) from None
        if "*" in text and "&" in text and _size(yaml.compose(text, Loader=yaml.SafeLoader), {}) > _MOST_NODES:
            what = f"its aliases stand for more than {_MOST_NODES} values; write out what is needed"
            raise ConfigError(Problem(str(path), what))


def _load_config(self: ConfigRepository, config_path: str) -> ConfigResult | None:
    """Looks at a file before it is read, and says which one can't be."""
    # Not by the class that reads files: Hydra imports its plugins once more, and has another one of that name then.
    source = self._find_object_source(config_path=config_path, object_type=ObjectType.CONFIG)
    if source is not None and source.scheme() == "file":
        refuse_endless(Path(source.path, source._normalize_file_name(config_path)))
    if source is not None and source.full_path() in INSTALLED:
        place = source.full_path(), config_path
        if place not in _loaded and (read := _load_config_unseen(self, config_path)) is not None:
            _loaded[place] = read
        return replace(_loaded[place])
    try:
        return _load_config_unseen(self, config_path)
    except (ConfigError, yaml.YAMLError):
        raise  # these say it themselves
    except (AssertionError, OSError, ValueError, OmegaConfBaseException) as error:
        raise ConfigError(Problem(config_path, told(error))) from None


def _size(node: yaml.Node | None, known: dict[int, int]) -> int:
    """How many values a YAML node stands for, those behind aliases counted each time."""
    if node is None or id(node) in known:
        return known.get(id(node), 0)
    known[id(node)] = _MOST_NODES + 1  # until it is known: an alias of itself has no end
    within = node.value if isinstance(node, yaml.CollectionNode) else []
    if isinstance(node, yaml.MappingNode):
        within = [part for pair in node.value for part in pair]
    known[id(node)] = 1 + sum(_size(part, known) for part in within)
    return known[id(node)]


def _process_config_searchpath(
    self: ConfigLoaderImpl, config_name: str | None, parsed_overrides: list[Override], repo: Any
) -> None:
    """Refuses to import a package because a file wants configs from it."""
    _current.set(Composition(typed=list(parsed_overrides)))
    typed = any(override.key_or_group == "hydra.searchpath" for override in parsed_overrides)
    primary = repo.load_config(config_path=config_name) if config_name and not typed else None
    if primary is not None and isinstance(primary.config, DictConfig):
        node = OmegaConf.to_container(primary.config, resolve=False)
        hydra = node.get("hydra", {}) if isinstance(node, dict) else {}
        looked_at = {"searchpath": hydra.get("searchpath", [])} if isinstance(hydra, dict) else hydra
        if found := list(file_problems(looked_at)):
            raise ConfigError(Problem(str(config_name), str(problem)) for problem in found)
    _process_searchpath_unseen(self, config_name, parsed_overrides, repo)


def _load_single_config(self: ConfigLoaderImpl, default: ResultDefault, repo: Any) -> ConfigResult:
    """Notes what a file contributes, and what is wrong with what it says of Hydra; before Hydra looks at it."""
    loaded = repo.load_config(config_path=default.config_path)
    if loaded is not None and OmegaConf.is_config(loaded.config):
        _look_at(self, default, loaded)
    result = _load_single_unseen(self, default, repo)
    if loaded is not None and result.config is loaded.config and loaded.path in INSTALLED:
        return replace(result, config=copy.deepcopy(result.config))  # what Hydra puts nowhere else is merged as it is
    return result


def _look_at(loader: ConfigLoaderImpl, default: ResultDefault, result: ConfigResult) -> None:
    path, source = str(default.config_path), str(result.path)
    now = composition()
    if path.startswith(("hydra/launcher/", "hydra/sweeper/")) and path.rpartition("/")[2] != "basic":
        group = path.rpartition("/")[0]
        if not any(override.key_or_group == group for override in now.typed):
            now.problems.append(Problem(group, f"a file can't choose this; if you want it, type {group}=…"))
    if path in ("tune_schema", "train_schema") and isinstance(result.config, DictConfig):
        now.schema = result.config
    if source.startswith("structured://") or source == "pkg://hydra.conf":
        return  # code that is installed
    plain = _contents.get((source, path, default.package))
    if plain is None:
        content = OmegaConf.to_container(loader._embed_result_config(result, default.package).config, resolve=False)
        if isinstance(content, dict):
            plain = {str(key): value for key, value in content.items() if key != "defaults"}
            if source in INSTALLED:
                _contents[source, path, default.package] = plain
    if plain is not None:
        now.layers.append(Layer(path, source, plain, bool(default.primary)))
        typed = any(override.key_or_group == path.rpartition("/")[0] for override in now.typed)
        if "hydra" in plain and not (path.startswith("hydra/") and typed):
            now.problems += [Problem(path, str(problem)) for problem in file_problems(plain["hydra"])]


def _compose_config_from_defaults_list(
    self: ConfigLoaderImpl, defaults: Sequence[ResultDefault], repo: Any
) -> DictConfig:
    now = composition()
    now.layers.clear()
    now.problems.clear()
    defaults = side_by_side(defaults, now.several)
    try:
        config: DictConfig = _compose_unseen(self, defaults, repo)
    finally:  # what is refused may be what can't be composed
        if found := [*now.problems, *_root_problems(now), *_name_problems(now)]:
            raise ConfigError(found)
    for path in _OPEN:
        if isinstance(node := OmegaConf.select(config, path), DictConfig):
            OmegaConf.set_struct(node, False)
    for key in _replaced(now):
        OmegaConf.update(config, key, _folded(now.layers, key), merge=False)
    removed = [override.key_or_group for override in now.typed if override.is_delete()]
    for key in set(removed) & set(map(str, config)) if now.is_saved else ():  # no option that Hydra could leave out
        OmegaConf.update(config, key, None, merge=False)
    return config


_OPEN = ("params", "executor.resources", "executor.runtime_env")
"""Mappings in which any key may be typed: what the objective takes, what a cluster has."""
_WHOLE = ("metric", "constraints", "reference_point")
"""Root keys whose mappings are typed as a whole: names of metrics are no keys that a config has."""


def _root_problems(now: Composition) -> Iterator[Problem]:
    """What the files say at the root that the schema doesn't have, or has of another type; Hydra stops at the first."""
    schema = now.schema
    if schema is None:
        return
    for layer in now.layers:
        for key, value in layer.content.items():
            if key == "hydra" or layer.is_ours:
                continue
            if key not in schema and key == layer.group:
                what = "begin the file with the line '# @package _global_': its keys are the config's own"
                yield Problem(layer.path, what)
            elif key in _WHOLE:
                continue  # of any type; comparison.py knows what is right
            elif key not in schema:
                what = f"there is no such key{became(key) or nearest(key, map(str, schema))}"
                yield Problem(layer.path, f"{key or repr(key)}: {what}")
            else:
                try:
                    OmegaConf.merge(schema, {key: value})
                except OmegaConfBaseException as error:
                    yield Problem(layer.path, f"{key}: {told(error)}")


def _name_problems(now: Composition) -> list[Problem]:
    """Hydra makes folders of its own before the study's name is looked at: it may not lead elsewhere."""
    if not any("${name}" in str(layer.content.get("hydra")) for layer in now.layers) or now.is_typed("name"):
        return []
    return [
        problem for layer in now.layers if "name" in layer.content for problem in name_problems(layer.content["name"])
    ]


def _replaced(now: Composition) -> list[str]:
    """Root keys where one layer replaces what another said, instead of being mixed with it."""
    chosen = [layer.group for layer in now.layers if now.is_saved and layer.group in layer.content]
    spaces = ["search_space" for layer in now.layers if layer.content.get("search_space")]
    metrics = [key for key in _WHOLE if key != "constraints" for layer in now.layers if key in layer.content]
    return list(dict.fromkeys(chosen + spaces + metrics))


def _folded(layers: Sequence[Layer], key: str) -> Any:
    """What stands at `key` when all layers are on top of each other."""
    node: Any = None
    chosen = False
    for layer in layers:
        if key in layer.content:
            new = layer.content[key]
            if key in _WHOLE:
                node = new
                continue
            node = new if layer.group == key and not chosen else merged(node, new)
            chosen = chosen or layer.group == key  # there may be several options, or an option composed of others
    return node


def _apply_overrides_to_config(overrides: Sequence[Override], config: DictConfig) -> None:
    """Hydra's own, except that a domain of the search space that is typed anew replaces the old one; so do metrics."""
    for override in overrides:
        key, value = override.key_or_group, override.value()
        if key in _WHOLE and isinstance(value, dict) and not override.is_delete():
            OmegaConf.update(config, key, value, merge=False)
            continue
        node = OmegaConf.select(config, key, throw_on_missing=False) if key.startswith("search_space.") else None
        old = OmegaConf.to_container(node, resolve=False) if isinstance(node, DictConfig) else None
        if old is not None and not override.is_delete() and replaces(old, value):
            OmegaConf.update(config, key, merged(old, value), merge=False, force_add=True)
        else:
            _apply_unseen([override], config)
