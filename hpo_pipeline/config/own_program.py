"""Programs of people's own: `tune(config_dir="conf", trust=["my_lab"])` in a script is that script's command line.

What such a program says is code that a person has started, so it decides like what is typed: where options are, and
whose code configs may name. A file decides neither.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.plugins import Plugins
from hydra.plugins.search_path_plugin import SearchPathPlugin

from hpo_pipeline import trust
from hpo_pipeline.config.command_line import Program
from hpo_pipeline.errors import ConfigError, Problem


def own_program(command: str, config_dir: str | os.PathLike[str] | None, trusted: Iterable[str]) -> Program | None:
    """The person's own program, after what it trusts is trusted besides what the environment says; None: it is ours.

    Args:
        command: what it does, "tune" or "train".

    Raises:
        ConfigError: there is no such folder, or what it trusts can't be trusted.
    """
    trust.add(trusted)
    if config_dir is not None and not Path(config_dir).is_dir():
        raise ConfigError(Problem("config_dir", f"there is no folder {str(Path(config_dir).absolute())!r}"))
    folder = None if config_dir is None else os.path.abspath(config_dir)
    return Program(command, folder) if folder or trusted else None


@contextlib.contextmanager
def own_options(program: Program | None) -> Iterator[None]:
    """Whatever Hydra composes inside the block finds the program's own options; those that are installed come first."""
    if program is None or program.config_dir is None:
        yield
        return
    Plugins.instance().register(_OwnOptions)
    _OwnOptions.folder = program.config_dir
    try:
        yield
    finally:
        _OwnOptions.folder = None


class _OwnOptions(SearchPathPlugin):
    """Hydra's way to be told of a folder before it reads any config."""

    folder: str | None = None

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        if self.folder is not None:
            search_path.append("program", f"file://{self.folder}")
