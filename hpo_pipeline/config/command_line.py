"""The command line that a program was started with, and the beginnings of those that it prints: they have to run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from hpo_pipeline.report.command import overrides

_SCRIPTS = ("tune.py", "train.py")
_OURS = "pkg://hpo_pipeline.conf"


@dataclass(frozen=True, slots=True)
class CommandLine:
    """What was typed, as far as it says where configs are; paths as they were typed.

    Attributes:
        program: `sys.argv[0]`.
        overrides: all overrides.
        config_dir, config_path, config_name: the flags of these names.
        searchpath: the value of `hydra.searchpath`.
    """

    program: str = "tune.py"
    overrides: tuple[str, ...] = ()
    config_dir: str | None = None
    config_path: str | None = None
    config_name: str | None = None
    searchpath: tuple[str, ...] = ()

    def same(self, program: str) -> list[str]:
        """The words of a command that composes from the same primary config; `program` is "tune" or "train"."""
        words = _program(self.program, program)
        flags = {"config-dir": self.config_dir, "config-path": self.config_path, "config-name": self.config_name}
        for flag, value in flags.items():
            words += [f"--{flag}", value] if value else []
        return words + (overrides({"hydra.searchpath": list(self.searchpath)}) if self.searchpath else [])

    def other(self, program: str, *, config_path: str | None = None) -> list[str]:
        """The words of a command that composes from another primary config, but finds the same options.

        Args:
            config_path: the folder of a `config.yaml`; None for the program's own primary config.
        """
        words = _program(self.program, program)
        folders = self.folders()
        words += ["--config-dir", folders[0]] if len(folders) == 1 else []
        words += ["--config-path", config_path, "--config-name", "config"] if config_path else []
        if len(folders) > 1:
            words += overrides({"hydra.searchpath": [_OURS, *(f"file://{folder}" for folder in folders)]})
        return words

    def program_words(self, program: str) -> list[str]:
        """How the program, "tune" or "train", is started."""
        return _program(self.program, program)

    def folders(self) -> list[str]:
        """The folders besides our own in which options were looked for."""
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


def _program(started: str, name: str) -> list[str]:
    """`python tune.py`, by the path that was typed, in a checkout; `hpo tune` or `hpo-tune` where it is installed."""
    script = Path(started)
    if script.name == "hpo":
        return ["hpo", name]
    return ["python", str(script.with_name(f"{name}.py"))] if script.name in _SCRIPTS else [f"hpo-{name}"]
