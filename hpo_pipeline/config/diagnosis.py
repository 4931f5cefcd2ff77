"""What is wrong with a command line that Hydra could not compose: every override looked at, one line each."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf

from hpo_pipeline.config.command_line import CommandLine
from hpo_pipeline.config.composed import flatten
from hpo_pipeline.config.hydra_errors import told
from hpo_pipeline.errors import Problem, nearest
from hpo_pipeline.report.command import overrides


def diagnose(
    config_module: str,
    config_name: str,
    line: CommandLine,
    error: Exception,
    further: Callable[[DictConfig], list[Problem]],
) -> list[Problem]:
    """The problems behind `error`, which composing raised.

    Args:
        config_module: the package of the configs.
        config_name: the primary config.
        line: what was typed.
        error: said as it is where nothing else is found.
        further: what is wrong with the config that the other overrides compose to.
    """
    GlobalHydra.instance().clear()
    if line.config_dir and not Path(line.config_dir).is_dir():
        return [Problem("--config-dir", f"there is no folder {str(Path(line.config_dir).absolute())!r}")]
    typed = [text for text in line.overrides if "=" in text or text.startswith("~")]
    if unread := [text for text in line.overrides if text not in typed]:
        return [Problem(text, "must be an override, key=value, or a flag, --name") for text in unread]
    folder = [f"file://{Path(line.config_dir).absolute()}"] if line.config_dir else []
    good = overrides({"hydra.searchpath": [*line.searchpath, *folder]}) if folder or line.searchpath else []
    with _initialized(config_module, line.config_path):
        config_name = line.config_name or config_name
        try:
            problems = list(_problems(config_name, good, typed))
        except Exception:  # the primary config itself is what can't be read
            return [Problem("", told(error))]
        if not problems:
            return [Problem("", told(error))]
        try:
            config = hydra.compose(config_name, overrides=good, return_hydra_config=True)
        except Exception:  # what is wrong with the files themselves is among the problems
            return problems
        HydraConfig.instance().set_config(config)
        return [*problems, *further(config)]


@contextlib.contextmanager
def _initialized(config_module: str, config_path: str | None) -> Iterator[None]:
    """Hydra, with the primary config's folder."""
    # Hydra 1.3 needs version_base, 1.4 deprecates it.
    versioned = {"version_base": "1.3"} if hydra.__version__.startswith("1.3") else {}
    if config_path and "://" not in config_path and Path(config_path).is_dir():
        with hydra.initialize_config_dir(str(Path(config_path).absolute()), **versioned):
            yield
    else:
        with hydra.initialize_config_module(config_module, **versioned):
            yield


def _problems(config_name: str, good: list[str], typed: list[str]) -> Iterator[Problem]:
    """What is wrong with each override; those that are right are added to `good`."""
    parser = OverridesParser.create()
    searchpath = list(good)
    values: list[tuple[str, Override]] = []
    for text in typed:
        try:
            override = parser.parse_override(text)
        except Exception as error:  # whatever the grammar's library raises: all of it is a wrong override
            yield Problem(text, f"can't be read ({told(error)}); quote values with special characters")
            continue
        options = _options(override, config_name, searchpath)
        value = override.value()
        if options and override.is_delete():
            yield Problem(override.key_or_group, f"can't be removed; choose one of {', '.join(sorted(options))}")
            continue
        if not options or override.is_sweep_override():
            values.append((text, override))
        elif value in options:
            good.append(text)
        else:
            what = f"there is no {value!r}{nearest(str(value), options) or ';'} there are {', '.join(sorted(options))}"
            yield Problem(override.key_or_group, what)
    try:
        config = hydra.compose(config_name, overrides=good)
    except Exception as error:
        yield Problem("", told(error))
        return
    for text, override in values:
        if wrong := _wrong_value(config_name, good, config, text, override):
            yield Problem(override.key_or_group, wrong)
        else:
            good.append(text)


def _options(override: Override, config_name: str, searchpath: list[str]) -> list[str]:
    """The options of the config group that is named on the left, [] if that is no group."""
    loader = GlobalHydra.instance().config_loader()
    options: list[str] = loader.get_group_options(override.key_or_group, config_name=config_name, overrides=searchpath)
    return options if isinstance(override.value(), str) or override.value() is None else []


def _wrong_value(config_name: str, good: list[str], config: DictConfig, text: str, override: Override) -> str | None:
    path = override.key_or_group
    if not override.is_add() and not _is_in(config, path):
        known = flatten(OmegaConf.to_container(config, resolve=False))  # type: ignore[arg-type]
        inner = {".".join(key.split(".")[:n]) for key in known for n in range(1, key.count(".") + 2)}
        near = nearest(path, inner)
        return f"there is no such key{near or f'; to add one, write +{text.lstrip(chr(126))}'}"
    try:
        hydra.compose(config_name, overrides=[*good, text])
    except Exception as error:
        return told(error.__cause__ or error)
    return None


def _is_in(config: DictConfig, path: str) -> bool:
    parent, _, key = path.rpartition(".")
    node = OmegaConf.select(config, parent) if parent else config
    return isinstance(node, DictConfig) and key in node
