"""The command line that a program was started with, and the beginnings of those that it prints: they have to run."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from hpo_pipeline.report.command import overrides
from hpo_pipeline.trust import VARIABLE

_SCRIPTS = ("tune.py", "train.py")
_OURS = "pkg://hpo_pipeline.conf"


@dataclass(frozen=True, slots=True)
class Program:
    """A program of a person's own: what it says by itself, so that nobody has to type it.

    Attributes:
        command: what it does, "tune" or "train".
        config_dir: the folder of its options.
    """

    command: str
    config_dir: str | None = None


@dataclass(frozen=True, slots=True)
class CommandLine:
    """What was typed, as far as it says where configs are; paths as they were typed.

    Attributes:
        program: `sys.argv[0]`.
        overrides: all overrides.
        config_dir, config_path, config_name: the flags of these names.
        searchpath: the value of `hydra.searchpath`.
        own: the program, if it is a person's own.
        trusted: what is trusted, if the program says so and not the environment alone.
    """

    program: str = "tune.py"
    overrides: tuple[str, ...] = ()
    config_dir: str | None = None
    config_path: str | None = None
    config_name: str | None = None
    searchpath: tuple[str, ...] = ()
    own: Program | None = None
    trusted: tuple[str, ...] = ()

    def same(self, program: str) -> list[str]:
        """The words of a command that composes from the same primary config; `program` is "tune" or "train"."""
        words = self._start(program)
        flags = {"config-dir": self.config_dir, "config-path": self.config_path, "config-name": self.config_name}
        for flag, value in flags.items():
            words += [f"--{flag}", value] if value else []
        return words + (overrides({"hydra.searchpath": list(self.searchpath)}) if self.searchpath else [])

    def other(self, program: str, *, config_path: str | None = None) -> list[str]:
        """The words of a command that composes from another primary config, but finds the same options.

        Args:
            config_path: the folder of a `config.yaml`; None for the program's own primary config.
        """
        words, folders = self._start(program), self._named_folders()
        if self.own and self.own.config_dir and not _program(self.program, program, self.own):
            here = Path(self.own.config_dir).is_relative_to(Path.cwd())
            folders.append(os.path.relpath(self.own.config_dir) if here else self.own.config_dir)
        words += ["--config-dir", folders[0]] if len(folders) == 1 else []
        words += ["--config-path", config_path, "--config-name", "config"] if config_path else []
        if len(folders) > 1:
            words += overrides({"hydra.searchpath": [_OURS, *(f"file://{folder}" for folder in folders)]})
        return words

    def program_words(self, program: str) -> list[str]:
        """How the program, "tune" or "train", is started."""
        return _program(self.program, program, self.own) or [f"hpo-{program}"]

    def _start(self, program: str) -> list[str]:
        """The same, with what has to be trusted if the program doesn't say so by itself."""
        words = _program(self.program, program, self.own)
        trusts = ["env", f"{VARIABLE}={','.join(self.trusted)}"] if self.trusted and not (words and self.own) else []
        return [*trusts, *(words or [f"hpo-{program}"])]

    def folders(self) -> list[str]:
        """The folders besides our own in which options were looked for."""
        own = [self.own.config_dir] if self.own and self.own.config_dir else []
        return list(dict.fromkeys([*self._named_folders(), *own]))

    def _named_folders(self) -> list[str]:
        named = [path.removeprefix("file://") for path in self.searchpath if not path.startswith("pkg://")]
        primary = self.config_path
        has_options = primary and "://" not in primary and any(Path(primary).glob("*/"))
        # The folder of a saved study holds no options.
        beside = [primary] if has_options and primary and not Path(primary, "journal.jsonl").exists() else []
        return list(dict.fromkeys([*([self.config_dir] if self.config_dir else []), *named, *beside]))


def searchpath_of(typed: Iterable[str]) -> tuple[str, ...]:
    """The folders and packages that an override of `hydra.searchpath` names."""
    value = next((word for word in typed if word.startswith("hydra.searchpath=")), "").partition("=")[2]
    return tuple(part.strip(" '\"") for part in value.strip("[]").split(",") if part.strip())


def _program(started: str, name: str, own: Program | None) -> list[str] | None:
    """How the program of that name is started, if what was started tells: `python tune.py`, by the path that was
    typed, in a checkout or beside a program of a person's own; `hpo tune` where it is installed."""
    script = Path(started)
    if own and name == own.command:
        return ["python", started] if script.suffix == ".py" else [script.name]
    if script.name == "hpo":
        return ["hpo", name]
    beside = script.with_name(f"{name}.py")
    return ["python", str(beside)] if script.name in _SCRIPTS and (not own or beside.exists()) else None
