"""What a study tells an objective that looks up recorded trials: its search space, its folder, where its tracker is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hpo_pipeline.config.composed import Composed
from hpo_pipeline.errors import ConfigError
from hpo_pipeline.objective import SupportsReplay
from hpo_pipeline.objective.recorded_study import space_text
from hpo_pipeline.tracker import tracker_nodes


def search_space(composed: Composed, objective: object) -> Any:
    """The tree of the study's search space: the config's own or, if it has none, that of the study that is replayed.

    An objective that looks up recorded trials is told of both here, and so is the config, which is saved, and handed to
    worker processes and to trainings that repeat a trial.

    Raises:
        ConfigError: what was recorded can't be read.
    """
    tree = composed.config["search_space"]
    if not isinstance(objective, SupportsReplay):
        return tree
    objective.folder = composed.config["folder"]
    try:
        tree = tree or objective.search_space()
    except ConfigError as error:
        raise error.under("objective") from None
    told = {"folder": composed.config["folder"]}
    if isinstance(tree, Mapping) and tree:
        objective.space = told["space"] = space_text(tree)
    for config in (composed.config, composed.public):
        config["search_space"] = tree
        config["objective"] = {**config["objective"], **told}
    composed.changes.update({f"objective.{key}": value for key, value in told.items()})
    return tree


def tracker_uri(config: Mapping[str, Any]) -> str | None:
    """Where the tracker keeps its studies, if its node says so; the first one's, if there are several."""
    nodes = (node for node in tracker_nodes(config).values() if isinstance(node, Mapping))
    return next((node["uri"] for node in nodes if isinstance(node.get("uri"), str)), None)
