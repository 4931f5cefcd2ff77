"""Whose code a config may name besides this project's: the environment variable HPO_TRUST, read once.

    HPO_TRUST="my_lab, my_net.ConvNet"    every name in the module or package my_lab (`my_lab.*` says the same), and one

It is read when the program starts, before any config is: what a config does to the environment comes too late. Workers
are handed what their tuner has read.
"""

from __future__ import annotations

import os

from hpo_pipeline.errors import ConfigError, Problem

VARIABLE = "HPO_TRUST"


def _parsed(text: str) -> tuple[str, ...]:
    return tuple(filter(None, (entry.strip().removesuffix(".*") for entry in text.split(","))))


_entries = _parsed(os.environ.get(VARIABLE, ""))


def read_environment() -> None:
    """Trusts what the environment says now. For the beginning of a program, before it reads a config.

    Raises:
        ConfigError: an entry is no dotted name; `*` would let any config run anything.
    """
    entries = _parsed(os.environ.get(VARIABLE, ""))
    if wrong := [entry for entry in entries if not all(part.isidentifier() for part in entry.split("."))]:
        wanted = "must be modules or names in them, each written out, separated by commas"
        raise ConfigError(Problem(VARIABLE, f"{wanted}; got {entry!r}") for entry in wrong)
    trust(entries)


def trust(entries: tuple[str, ...]) -> None:
    """Trusts `entries` and nothing else: for a worker, which gets its tuner's `trusted()`."""
    global _entries
    _entries = entries


def trusted() -> tuple[str, ...]:
    """What is trusted besides this project's own: modules, packages, names."""
    return _entries


def may_be_named(target: str) -> bool:
    """Whether a config may name `target`: it is trusted, and what is private in it is itself an entry's."""
    return any(
        _is_in(target, entry) and not any(part.startswith("_") for part in target[len(entry) :].split("."))
        for entry in _entries
    )


def covers(origin: str) -> bool:
    """Whether what is defined at `origin` is trusted code, private or not."""
    return any(_is_in(origin, entry) for entry in _entries)


def _is_in(name: str, entry: str) -> bool:
    return name == entry or name.startswith(f"{entry}.")
