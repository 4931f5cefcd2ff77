"""Composing from Python: in a script, a notebook, or inside another Hydra application, which notices nothing of it."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hydra
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_automatic_config_search_path
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.singleton import Singleton
from hydra.errors import HydraException
from omegaconf import DictConfig

from hpo_pipeline import trust
from hpo_pipeline.config import compose, compose_study, in_our_words, preflight_problems
from hpo_pipeline.config.command_line import CommandLine, searchpath_of
from hpo_pipeline.config.composed import Composed
from hpo_pipeline.config.composing import CONF
from hpo_pipeline.config.diagnosis import diagnose
from hpo_pipeline.config.layers import watched
from hpo_pipeline.errors import ConfigError, Problem
from hpo_pipeline.report.command import overrides

Override = str | Mapping[str, Any]
"""What is typed on a command line, `"n_trials=20"`, or values by their paths, `{"n_trials": 20}`. A function or class
among the values stands for its dotted path, and is trusted, as it was given by hand."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be composed.

    Attributes:
        config_name: the primary config, "tune", "train", or one of the caller's own.
        given: overrides, in order.
        config_dir: a folder with options, or a primary config, of the caller's own.
        trust: modules whose code configs may name, besides those in `HPO_TRUST`.
    """

    config_name: str
    given: tuple[Override, ...]
    config_dir: str | os.PathLike[str] | None = None
    trust: Sequence[str] = ()

    @property
    def code(self) -> list[str]:
        """What the caller trusts: the functions and classes among the values, by their dotted paths, too."""
        values = [item for each in self.given if isinstance(each, Mapping) for item in each.items()]
        named = [self.trust] if isinstance(self.trust, str) else self.trust
        return [*named, *(_named(path, value) for path, value in values if callable(value))]

    def line(self, program: str) -> CommandLine:
        """The command line that would say the same.

        Raises:
            ConfigError: an override is neither text nor a mapping.
        """
        words: list[str] = []
        for each in self.given:
            if isinstance(each, Mapping):
                words += overrides({path: _named(path, value) for path, value in each.items()})
            elif isinstance(each, str):
                words.append(each)
            else:
                what = "must be an override, 'n_trials=20', or a mapping of paths to values, {'n_trials': 20}"
                raise ConfigError(Problem("", what, each))
        folder = None if self.config_dir is None else os.fspath(self.config_dir)
        name = None if self.config_name == program else self.config_name
        trusted = trust.trusted() if self.code else ()
        return CommandLine("hpo", tuple(words), folder, None, name, searchpath_of(words), trusted=trusted)


def _named(path: str, value: Any) -> Any:
    """A function or class by the dotted path under which workers find it; any other value as it is.

    Raises:
        ConfigError: it has none.
    """
    if not callable(value):
        return value
    module, name = (str(getattr(value, key, None)) for key in ("__module__", "__qualname__"))
    if getattr(sys.modules.get(module), name, None) is not value or module == "__main__":
        what = (
            "must be a function or class of a module, where worker processes find it, and not of the script or "
            "notebook itself; %%writefile my_module.py makes a module of a notebook's cell"
        )
        raise ConfigError(Problem(path, what, value))
    return f"{module}.{name}"


@contextlib.contextmanager
def composed(request: Request, program: str) -> Iterator[Composed]:
    """What the request composes to, for the block, which may run it.

    Args:
        program: "tune" or "train".

    Raises:
        ConfigError: it can't be composed; every mistake is among its problems.
        StudyError: it is to go on with a study that isn't there.
    """
    if sys.version_info >= (3, 14) and hydra.__version__ < "1.4":
        raise ConfigError("Hydra 1.3 cannot start on Python 3.14; pip install --pre 'hydra-core>=1.4.0rc3'")
    trust.read_environment()
    trust.add(request.code)
    line = request.line(program)
    with _hydra_of_its_own(), _modules_here(), in_our_words():
        yield _composed(request, program, line)


def _composed(request: Request, program: str, line: CommandLine) -> Composed:
    with watched():
        if sweeps := list(_sweeps(line.overrides)):
            raise ConfigError(sweeps)
        try:
            cfg = _compose(request, line)
        except ConfigError:
            raise
        except Exception as error:  # Hydra raises ValueError, AttributeError … as well for what was typed
            raise ConfigError(diagnose(program, line, error, preflight_problems)) from None
        return compose_study(cfg, line) if program == "tune" else compose(cfg, line)


def _sweeps(words: tuple[str, ...]) -> Iterator[Problem]:
    """What would be several studies."""
    try:
        parsed = OverridesParser.create().parse_overrides(list(words))
    except HydraException:  # which composing tells better
        return
    for override in parsed:
        key = override.key_or_group
        if override.is_sweep_override():
            what = "several values are several studies: call it for each of them; a text with commas needs quotes"
            yield Problem(key, what, str(override.input_line).partition("=")[2])
        elif key == "hydra.mode":
            yield Problem(key, "is for the command line; call it for each study")


def _compose(request: Request, line: CommandLine) -> DictConfig:
    path = create_automatic_config_search_path(calling_file=None, calling_module=None, config_path=f"pkg://{CONF}")
    if line.config_dir is not None:
        if not Path(line.config_dir).is_dir():
            raise ConfigError(Problem("config_dir", f"there is no folder {line.config_dir!r}"))
        folder = f"file://{Path(line.config_dir).absolute()}"
        path.prepend("command-line", folder, SearchPathQuery(provider="schema"))
    Hydra.create_main_hydra2(task_name=request.config_name, config_search_path=path)
    cfg = hydra.compose(request.config_name, overrides=list(line.overrides), return_hydra_config=True)
    HydraConfig.instance().set_config(cfg)
    return cfg


@contextlib.contextmanager
def _hydra_of_its_own() -> Iterator[None]:
    """Hydra as if nobody had used it; afterwards all is as it was."""
    known: dict[type, Any] = Singleton._instances
    before: dict[type, Any] = {kind: known.pop(kind) for kind in (GlobalHydra, HydraConfig) if kind in known}
    try:
        yield
    finally:
        for kind in (GlobalHydra, HydraConfig):
            known.pop(kind, None)
        known.update(before)


@contextlib.contextmanager
def _modules_here() -> Iterator[None]:
    """So that `_target_: my_module.Net` finds a module beside the user's config, as with the commands."""
    here = os.getcwd()
    added = bool(trust.trusted()) and here not in sys.path
    if added:
        sys.path.append(here)
    try:
        yield
    finally:
        if added:
            sys.path.remove(here)
