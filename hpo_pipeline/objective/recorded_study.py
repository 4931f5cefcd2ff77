"""An earlier study as recorded curves: what its journal says of each trial, and its search space, with other names.

A replay trains no model, so what was `optimizer.lr` there is `params.optimizer.lr` here; a choice between the options
of a config group, `optimizer`, is `params.optimizer.option`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from hpo_pipeline.errors import ConfigError, StudyError
from hpo_pipeline.objective.recording import Floats, Recording
from hpo_pipeline.saved_study import load_study
from hpo_pipeline.space_tree import is_domain
from hpo_pipeline.trial import State
from hpo_pipeline.view import TrialView


def read_study(folder: Path) -> Recording:
    """The trials of the study whose journal, and config where it is there, lie in the folder.

    Raises:
        ConfigError: there is none, or it can't be read, or no trial has reported.
    """
    try:
        study = load_study(folder)
        tree = study.config.get("search_space")
    except StudyError as error:
        raise ConfigError(str(error)) from None
    trials = [trial for trial in study.view.trials.values() if trial.curve or trial.error]
    if not any(trial.curve for trial in trials):
        raise ConfigError(f"{folder}: no trial of this study has reported anything")
    paths = dict.fromkeys(path for trial in trials for path in trial.first_config)
    columns = {_renamed(path): [trial.first_config.get(path) for trial in trials] for path in paths}
    reports = [_own(trial) for trial in trials]
    longest = max(r for own in reports for r in own)
    curves = {
        name: _curve(reports, name, longest)
        for name in dict.fromkeys(n for own in reports for m in own.values() for n in m)
    }
    return Recording(
        columns,
        curves,
        np.array([max(own, default=0) for own in reports]),
        np.array([trial.id for trial in trials]),
        [trial.error if trial.state is State.FAILED and not trial.changes else "" for trial in trials],
        [trial.finished if trial.has_finished and not trial.changes else "" for trial in trials],
        _as_params(tree) if isinstance(tree, Mapping) and tree else None,
    )


def _own(trial: TrialView) -> dict[int, Mapping[str, float]]:
    """What a trial reported with its first configuration, before it went on with another one's weights."""
    until = trial.changes[0].resource if trial.changes else math.inf
    return {resource: metrics for resource, metrics, _ in trial.curve if resource <= until}


def _curve(reports: list[dict[int, Mapping[str, float]]], name: str, longest: int) -> Floats:
    return np.array([[own.get(r, {}).get(name, math.nan) for r in range(1, longest + 1)] for own in reports])


def _as_params(tree: Mapping[str, Any]) -> dict[str, Any]:
    """A search space with all that is tuned below `params`; its order stays."""
    params: dict[str, Any] = {}
    for key, node in tree.items():
        if key == "params":
            params |= _with_renamed_conditions(node)
        elif key != "constraints":
            inside = not isinstance(node, Mapping) or is_domain(node)
            params[key] = {"option": _with_renamed_conditions(node)} if inside else _with_renamed_conditions(node)
    space: dict[str, Any] = {"params": params}
    if "constraints" in tree:
        space["constraints"] = [_renamed_in(each) for each in tree["constraints"] or ()]
    return space


def _with_renamed_conditions(node: Any) -> Any:
    if not isinstance(node, Mapping):
        return node
    return {
        key: {_renamed(str(path)): values for path, values in value.items()}
        if key == "when" and isinstance(value, Mapping)
        else _with_renamed_conditions(value)
        for key, value in node.items()
    }


def _renamed(path: str) -> str:
    if path.startswith("params."):
        return path
    return f"params.{path}" if "." in path else f"params.{path}.option"


def _renamed_in(expression: Any) -> Any:
    """A constraint with its paths renamed: the words outside quotes that are no part of a number."""
    if not isinstance(expression, str):
        return expression
    words = re.compile(r"""('[^']*'|"[^"]*")|(?<![\w.])([A-Za-z_]\w*(?:\.\w+)*)""")
    kept = {"and", "or", "not", "in", "True", "False", "None"}
    return words.sub(lambda m: m[0] if m[1] or m[2] in kept else _renamed(m[2]), expression)


def space_text(tree: Mapping[str, Any]) -> str:
    """A search space in one line, as `plain_yaml` reads it."""
    return str(yaml.safe_dump(_copied(tree), default_flow_style=True, width=math.inf, sort_keys=False)).strip()


def _copied(node: Any) -> Any:
    """Copies: an object that is there twice would be written as a reference to itself."""
    if isinstance(node, Mapping):
        return {key: _copied(value) for key, value in node.items()}
    return [_copied(value) for value in node] if isinstance(node, (list, tuple)) else node
