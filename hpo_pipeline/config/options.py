"""The groups that are installed, their options, and which of these have a key."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

from hpo_pipeline.errors import Problem

_REFERENCE = re.compile(r"refers to (\w+)\.(\w+), which is not there")


def installed_options() -> dict[str, list[str]]:
    """Group -> its options, in the order of their names."""
    groups = (entry for entry in resources.files("hpo_pipeline.conf").iterdir() if entry.is_dir())
    found = {
        group.name: sorted(file.name.removesuffix(".yaml") for file in group.iterdir() if file.name.endswith(".yaml"))
        for group in groups
    }
    return {group: found[group] for group in sorted(found) if found[group]}


def without_use(folders: Iterable[str], choices: Mapping[str, Any]) -> list[str]:
    """A line for each chosen option of which a person has one of that name: the installed one goes before it.

    Args:
        folders: of options of people's own.
        choices: group -> option, or several.
    """
    files = {
        (Path(folder, group, f"{option}.yaml"), group, option)
        for folder in folders
        for group, chosen in choices.items()
        for option in (chosen if isinstance(chosen, list) else [chosen])
    }
    return sorted(
        f"{file}: is not used, as hpo_pipeline has a {group}={option} of its own; give it another name"
        for file, group, option in files
        if file.is_file() and option in installed_options().get(group, []) and not _is_copy(file, group)
    )


def _is_copy(file: Path, group: str) -> bool:
    installed = resources.files("hpo_pipeline.conf").joinpath(group, file.name)
    return installed.read_bytes() == file.read_bytes()


def explained(problem: Problem, choices: Mapping[str, Any]) -> Problem:
    """A problem with what to do, where a value refers to a key that the chosen option of a group doesn't have.

    Args:
        choices: group -> option.
    """
    found = _REFERENCE.fullmatch(problem.message)
    if found is None or found[1] not in choices:
        return problem
    group, key = found.groups()
    having = [option for option in installed_options().get(group, []) if _has(group, option, key)]
    choose = f"choose {group}={' or '.join(having)}, or " if having else ""
    what = f"refers to {group}.{key}, which {group}={choices[group]} doesn't have; {choose}set {problem.path}=…"
    return replace(problem, message=what)


def _has(group: str, option: str, key: str) -> bool:
    """Whether the file has the key at its beginning of a line: our files are written that way."""
    text = resources.files("hpo_pipeline.conf").joinpath(group, f"{option}.yaml").read_text(encoding="utf-8")
    return re.search(rf"^{key}:", text, re.MULTILINE) is not None
