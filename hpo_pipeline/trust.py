"""Whose code a config may name besides this project's: the environment variable HPO_TRUST, read once.

    HPO_TRUST="my_lab, my_net.ConvNet"    every name in the module or package my_lab (`my_lab.*` says the same), and one

It is read when the program starts, before any config is: what a config does to the environment comes too late. Workers
are handed what their tuner has read.
"""

from __future__ import annotations

import itertools
import os
import shlex
import shutil
from collections.abc import Iterable, Sequence

from hpo_pipeline.errors import ConfigError, Problem

VARIABLE = "HPO_TRUST"


def _parsed(text: str) -> tuple[str, ...]:
    return tuple(filter(None, (entry.strip().removesuffix(".*") for entry in text.split(","))))


def _is_command(entry: str) -> bool:
    return "/" in entry or any(character.isspace() for character in entry)


_entries = _parsed(os.environ.get(VARIABLE, ""))


def read_environment() -> None:
    """Trusts what the environment says now. For the beginning of a program, before it reads a config.

    Raises:
        ConfigError: an entry is no dotted name; `*` would let any config run anything.
    """
    entries = _parsed(os.environ.get(VARIABLE, ""))
    _check(entries, VARIABLE, "must be modules or names in them, each written out, or commands, separated by commas")
    trust(entries)


def add(entries: Iterable[str]) -> None:
    """Trusts what a person's own program says in its code, besides what is trusted already.

    Raises:
        ConfigError: as `read_environment`.
    """
    added = [entry.removesuffix(".*") for entry in ([entries] if isinstance(entries, str) else entries)]
    _check(added, "trust", "must be modules or names in them, each written out, or commands")
    trust(tuple(dict.fromkeys([*trusted(), *added])))


def _check(entries: Sequence[str], path: str, wanted: str) -> None:
    if wrong := [entry for entry in entries if not (_usable(entry) if _is_command(entry) else _is_dotted(entry))]:
        raise ConfigError(Problem(path, f"{wanted}; got {entry!r}") for entry in wrong)


def _is_dotted(entry: str) -> bool:
    return all(part.isidentifier() for part in entry.split("."))


def _usable(entry: str) -> bool:
    """Whether it is the beginning of a command; of modules between which a comma is missing, it isn't."""
    try:
        program = shlex.split(entry)[0]
    except (ValueError, IndexError):
        return False
    return "/" in program or shutil.which(program) is not None


def trust(entries: tuple[str, ...]) -> None:
    """Trusts `entries` and nothing else: for a worker, which gets its tuner's `trusted()`."""
    global _entries
    _entries = entries


def trusted() -> tuple[str, ...]:
    """What is trusted besides this project's own: modules, packages, names."""
    return _entries


def modules() -> tuple[str, ...]:
    """The entries that name modules, packages or names in them, and not commands."""
    return tuple(entry for entry in _entries if not _is_command(entry))


def may_be_named(target: str) -> bool:
    """Whether a config may name `target`: it is trusted, and what is private in it is itself an entry's."""
    return any(
        _is_in(target, entry) and not any(part.startswith("_") for part in target[len(entry) :].split("."))
        for entry in modules()
    )


def covers(origin: str) -> bool:
    """Whether what is defined at `origin` is trusted code, private or not."""
    return any(_is_in(origin, entry) for entry in modules())


def as_entry(words: Sequence[str]) -> str:
    """The entry that trusts commands which begin with these words; `may_be_run` says whether they are trusted."""
    entry = shlex.join(words)
    return entry if _is_command(entry) else f"{entry} "


def may_be_run(words: Sequence[str]) -> bool:
    """Whether a command, its placeholders not yet filled, begins with the words of a trusted one."""
    commands = [shlex.split(entry) for entry in _entries if _is_command(entry)]
    return any(list(words[: len(command)]) == command for command in commands)


def why_not_run(words: Sequence[str]) -> str:
    """What to say of a command that may not be run; who wants it is told how."""
    begins = list(itertools.takewhile(lambda word: not word.startswith("-") and "{" not in word, words))
    if len(begins) < 2 and "/" not in words[0]:  # a program's name alone would trust too much
        begins = list(itertools.takewhile(lambda word: "{" not in word, words))
    entry = shlex.join(begins)
    how = "type objective.command=... yourself"
    if _is_command(entry) and len(entry) < 200 and entry.isascii() and "," not in entry:
        how += f", or set the environment variable {VARIABLE}={entry!r}"
    return f"comes from a file, and is not on the trust list; if this is what you want to run, {how}"


def _is_in(name: str, entry: str) -> bool:
    return name == entry or name.startswith(f"{entry}.")
