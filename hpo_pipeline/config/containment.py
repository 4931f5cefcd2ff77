"""Writes stay inside the study and the store beside it, unless the person who types says otherwise.

A file that is composed may come from anyone: what it says of where things are written must lead below the current
folder. (A symbolic link that lies there is the person's own.)
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import PurePath
from typing import Any

from hydra.core.override_parser.types import Override

from hpo_pipeline import trust
from hpo_pipeline.errors import ConfigError, Problem
from hpo_pipeline.objective.program.template import Template
from hpo_pipeline.tracker import tracker_nodes
from hpo_pipeline.tracker.mlflow.uri import database_path

COMMAND = "objective.command"
"""Path of the command line of a person's program."""


def leads_elsewhere(path: str | PurePath) -> bool:
    """Whether a path, relative to the current folder, may leave it."""
    parts = PurePath(path).parts
    return PurePath(path).is_absolute() or ".." in parts or str(path).startswith("~")


def written_places(config: Mapping[str, Any]) -> dict[str, str]:
    """Path in the config -> value, of what leads out of the current folder, or to a server."""
    found: dict[str, str] = {}
    if leads_elsewhere(str(config["folder"])):
        found["folder"] = str(config["folder"])
    for path, tracker in tracker_nodes(config).items():
        uri = tracker.get("uri") if isinstance(tracker, Mapping) else None
        if isinstance(uri, str) and uri != os.environ.get("MLFLOW_TRACKING_URI"):
            database = database_path(uri)
            # A query, or a file: within, may have SQLite open another file than the one that is named.
            if database is None or leads_elsewhere(database) or "?" in uri or ":" in str(database):
                found[f"{path}.uri"] = uri
    return found


def reached_places(config: Mapping[str, Any]) -> dict[str, Any]:
    """Path in the config -> value, of what has programs run elsewhere: a cluster, and what it is to install."""
    executor = config.get("executor")
    if not isinstance(executor, Mapping):
        return {}
    found = dict(_leaves("executor.runtime_env", executor.get("runtime_env") or {}))
    if executor.get("address") not in (None, "auto", os.environ.get("RAY_ADDRESS")):
        found["executor.address"] = executor["address"]
    if "://" in str(executor.get("checkpoints")):
        found["executor.checkpoints"] = executor["checkpoints"]
    return found


def _leaves(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(f"{path}.{key}", inner)
    else:
        yield path, value


def containment_problems(config: Mapping[str, Any], is_typed: Callable[[str], bool]) -> Iterator[Problem]:
    """One for each place outside that a file, and not the person, names."""
    for path, value in written_places(config).items():
        if not is_typed(path):
            other = ", or set MLFLOW_TRACKING_URI" if path.startswith("tracker.") else ""
            what = f"{value!r} comes from a file and leads out of this folder"
            yield Problem(path, f"{what}; if this is what you want, type {path}=…{other}")
    for path, value in reached_places(config).items():
        if not is_typed(path):
            what = f"{value!r} comes from a file, and leads to other machines, or has them install something"
            yield Problem(path, f"{what}; if this is what you want, type {path}=…")


def trust_typed_command(typed: Iterable[Override]) -> None:
    """What `objective=command` runs is trusted where the person has typed all of it, not where a file says it."""
    for override in typed:
        command = override.value()
        if override.key_or_group == COMMAND and "${" not in str(command):  # else a file may say what that stands for
            with contextlib.suppress(ConfigError):  # the objective says what is wrong with it
                trust.trust((*trust.trusted(), trust.as_entry(Template.parse(command).words)))


def without_download(config: dict[str, Any], public: dict[str, Any], is_typed: Callable[[str], bool]) -> list[str]:
    """Switches downloading off where a file, and not the person, has the data lie elsewhere; says so in a line."""
    dataset = config.get("dataset")
    if not isinstance(dataset, Mapping) or not dataset.get("download") or is_typed("dataset.root"):
        return []
    if not isinstance(dataset.get("root"), str) or not leads_elsewhere(dataset["root"]):
        return []
    for tree in (config, public):
        tree["dataset"] = {**tree["dataset"], "download": False}
    return ["dataset.root comes from a file and leads out of this folder: nothing is downloaded there"]
