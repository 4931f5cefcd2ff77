"""What is wrong with a command line that Hydra could not compose: every override looked at, one line each."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import ConfigCompositionException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError

from hpo_pipeline.config.command_line import CommandLine
from hpo_pipeline.config.composing import CONF
from hpo_pipeline.config.hydra_errors import told
from hpo_pipeline.config.older import became
from hpo_pipeline.config.schema import elsewhere
from hpo_pipeline.errors import ConfigError, Problem, nearest
from hpo_pipeline.report.command import overrides
from hpo_pipeline.space_tree import values_at


def diagnose(
    config_name: str,
    line: CommandLine,
    error: Exception,
    further: Callable[[DictConfig], list[Problem]],
) -> list[Problem]:
    """The problems behind `error`, which composing raised.

    Args:
        config_name: the primary config.
        line: what was typed.
        error: said as it is where nothing else is found.
        further: what is wrong with the config that the other overrides compose to.
    """
    GlobalHydra.instance().clear()
    if line.config_dir and not Path(line.config_dir).is_dir():
        return [Problem("--config-dir", f"there is no folder {str(Path(line.config_dir).absolute())!r}")]
    typed = [text for text in line.overrides if _key(text) and ("=" in text or text.startswith("~"))]
    if unread := [text for text in line.overrides if text not in typed]:
        return [Problem(text, "must be an override, key=value, or a flag, --name") for text in unread]
    folder = [f"file://{Path(line.config_dir).absolute()}"] if line.config_dir else []
    good = overrides({"hydra.searchpath": [*line.searchpath, *folder]}) if folder or line.searchpath else []
    with _initialized(line.config_path):
        config_name = line.config_name or config_name
        problems: list[Problem] = []
        try:
            config = hydra.compose(config_name, overrides=good)
        except Exception:  # the primary config itself is what can't be read
            return [Problem("", told(error))]
        rest = sorted(typed, key=lambda text: "." in _key(text))  # groups first: they decide which keys there are
        while rest:
            n_right = _right(config_name, good, rest)
            good += rest[:n_right]
            if n_right == len(rest):
                break
            config = hydra.compose(config_name, overrides=good)
            try:
                hydra.compose(config_name, overrides=[*good, rest[n_right]])
            except ConfigError as refused:
                problems += refused.problems
            except Exception as refused:
                problems.append(_problem(rest[n_right], refused, config))
            rest = rest[n_right + 1 :]
        if not problems:
            return [Problem("", told(error))]
        config = hydra.compose(config_name, overrides=good, return_hydra_config=True)
        HydraConfig.instance().set_config(config)
        return [*problems, *further(config)]


def _right(config_name: str, good: list[str], rest: list[str]) -> int:
    """How many of `rest`, from the first, compose on top of `good`. By halves: most command lines have one mistake."""
    if _composes(config_name, [*good, *rest]):
        return len(rest)
    right, wrong = 0, len(rest)  # so many do, so many don't
    while wrong - right > 1:
        middle = (right + wrong) // 2
        if _composes(config_name, [*good, *rest[:middle]]):
            right = middle
        else:
            wrong = middle
    return right


def _composes(config_name: str, words: list[str]) -> bool:
    try:
        hydra.compose(config_name, overrides=words)
    except Exception:
        return False
    return True


@contextlib.contextmanager
def _initialized(config_path: str | None) -> Iterator[None]:
    """Hydra, with the primary config's folder."""
    # Hydra 1.3 needs version_base, 1.4 deprecates it.
    versioned = {"version_base": "1.3"} if hydra.__version__.startswith("1.3") else {}
    if config_path and "://" not in config_path and Path(config_path).is_dir():
        with hydra.initialize_config_dir(str(Path(config_path).absolute()), **versioned):
            yield
    else:
        with hydra.initialize_config_module(CONF, **versioned):
            yield


def _key(override: str) -> str:
    """What stands on the left: a path, or a config group."""
    return override.lstrip("+~").partition("=")[0].partition("@")[0]


def _problem(override: str, error: Exception, config: DictConfig) -> Problem:
    """What is wrong with an override, which composing refused.

    Args:
        config: what there is without it.
    """
    key = _key(override)
    if isinstance(error, OverrideParseException):
        return Problem(override, f"can't be read ({told(error)}); quote values with special characters")
    if isinstance(error, MissingConfigException) and error.options and error.missing_cfg_file:
        group, _, option = error.missing_cfg_file.rpartition("/")
        if group == key:
            if (folder := Path("conf")).joinpath(group, f"{option}.yaml").is_file():
                return Problem(key, f"{folder}/{group}/{option}.yaml is not looked for; add --config-dir {folder}")
            near = nearest(option, error.options) or ";"
            return Problem(key, f"there is no {option!r}{near} there are {', '.join(error.options)}")
    is_unknown = isinstance(error.__cause__, (ConfigAttributeError, ConfigKeyError)) or override.startswith("~")
    known = dict(values_at(OmegaConf.to_container(config, resolve=False)))  # type: ignore[arg-type]
    if is_unknown and not override.startswith("+") and key not in known:
        to_add = f"; to add one, write +{override.lstrip('~')}"
        near = became(key, known.get(f"{key.rpartition('.')[0]}._target_"))
        near = near or elsewhere(key, "tune" if "scheduler" in config else "train") or nearest(key, known) or to_add
        return Problem(key, f"there is no such key{near}")
    of_a_file = isinstance(error, ConfigCompositionException) and not error.__cause__  # which the message names
    return Problem("" if of_a_file else key, told(error.__cause__ or error))
