"""What follows from a composed config by composing again: a trial's config, what was changed, options of groups."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import MissingConfigException
from omegaconf import DictConfig, OmegaConf

from hpo_pipeline.config.composed import TRAINING_KEYS, TRAINING_SETTINGS, training_values
from hpo_pipeline.config.public import resolved, resolved_as_far_as_possible, without_hydra
from hpo_pipeline.config.shortcuts import is_installed
from hpo_pipeline.errors import ConfigError, Problem
from hpo_pipeline.report.command import overrides
from hpo_pipeline.tree import at, flatten

CONF = "hpo_pipeline.conf"

PLAIN_TRAIN = "plain_train"
"""`train`, found also where the primary config is a saved one or another project's, with no `train` beside it."""
_plain: dict[tuple[str, ...], DictConfig] = {}
ConfigStore.instance().store(PLAIN_TRAIN, {"defaults": ["train"]}, provider=__name__)


def merger(cfg: DictConfig, config: dict[str, Any]) -> Callable[[dict[str, Any]], dict[str, Any]] | None:
    """How to put a sample into the training config, if that takes more than setting values: None where it doesn't.

    Where a training key refers to another (`model.n_units_2: ${model.n_units_1}`), it has to follow the sample.
    """
    whole = OmegaConf.to_container(cfg, resolve=False)
    assert isinstance(whole, dict)
    part = {key: whole[key] for key in TRAINING_KEYS if key in whole}
    if not any(isinstance(value, str) and "${" in value for value in flatten(part).values()):
        return None
    fixed = {key: value for key, value in config.items() if key not in TRAINING_KEYS}

    def merge(sample: dict[str, Any]) -> dict[str, Any]:
        merged = OmegaConf.create({**fixed, **part})
        for path, value in sample.items():
            OmegaConf.update(merged, path, value, merge=False)
        plain = resolved(merged)
        return {key: plain[key] for key in part}

    return merge


def changes_of(config: dict[str, Any], public: dict[str, Any], choices: dict[str, str]) -> dict[str, Any]:
    """What was set besides the choice of groups, as far as a training is concerned: path -> value, as it may be shown.

    Raises:
        ConfigError: a saved config chose an option of a --config-dir that isn't given now.
    """
    groups = {group: option for group, option in choices.items() if group in TRAINING_KEYS}
    try:
        plain = _plain_train((*searchpath(), *overrides(groups)), str(config["name"]))
    except MissingConfigException as error:
        told = str(error).partition("\n")[0]
        what = f"{told}; if this is a file of your own, give its folder: --config-dir …"
        raise ConfigError(Problem("choices", what)) from None
    changed = {key for key in TRAINING_SETTINGS if plain[key] != config[key]}
    for key in changed:  # what refers to them follows
        plain[key] = config[key]
    defaults, _ = resolved_as_far_as_possible(plain)  # an option may leave a value to be given: ???
    before, now, written = training_values(defaults), training_values(config), training_values(public)
    changes: dict[str, Any] = {}
    for path, value in now.items():
        if path.partition(".")[0] in changed or before.get(path, ...) != value:
            whole = next((above for above in _above(path) if above in before), None)
            changes[whole or path] = at(public, whole) if whole else written.get(path, value)
    return changes


def _above(path: str) -> Iterator[str]:
    """`a.b.c.d`: `a`, `a.b`, `a.b.c`: a group, or a key of one, that was null or empty can only be set as a whole."""
    parts = path.split(".")
    return (".".join(parts[:n]) for n in range(1, len(parts)))


def _plain_train(words: tuple[str, ...], name: str) -> DictConfig:
    """What `train` composes to, without Hydra's part.

    Kept where only installed files can be in it: the jobs of a multirun share it.
    """
    sources = GlobalHydra.instance().config_loader().get_sources()
    if "$" in name or not is_installed(sources) or set(HydraConfig.get().searchpath) - {f"pkg://{CONF}"}:
        return without_hydra(hydra.compose(PLAIN_TRAIN, overrides=[*words, *overrides({"name": name})]))
    if words not in _plain:
        _plain[words] = without_hydra(hydra.compose(PLAIN_TRAIN, overrides=list(words)))
    plain = copy.deepcopy(_plain[words])
    plain.name = name
    return plain


def options_of(config: dict[str, Any], choices: dict[str, str]) -> dict[str, dict[str, Any]]:
    """What the options compose to of each config group that the search space chooses from: composed once, here."""
    found: dict[str, dict[str, Any]] = {}
    folders = searchpath()
    settings = overrides({"name": config["name"], **{key: config[key] for key in TRAINING_SETTINGS}})
    tree = config.get("search_space")
    for group, node in tree.items() if isinstance(tree, dict) else ():
        if group not in choices or not isinstance(node, dict) or node.get("type") != "choice":
            continue
        loader = GlobalHydra.instance().config_loader()
        there = loader.get_group_options(group, config_name=PLAIN_TRAIN, overrides=folders)
        fixed = [f"{other}={option}" for other, option in choices.items() if other in TRAINING_KEYS and other != group]
        found[group] = {}
        for option in map(str, node.get("choices") or ()):
            if option in there:
                words = [*folders, *fixed, f"{group}={option}", *settings]
                found[group][option] = resolved(without_hydra(hydra.compose(PLAIN_TRAIN, overrides=words)))[group]
    return found


def searchpath() -> list[str]:
    """The override by which our own groups are found beside those of the command line."""
    return overrides({"hydra.searchpath": [*HydraConfig.get().searchpath, f"pkg://{CONF}"]})
