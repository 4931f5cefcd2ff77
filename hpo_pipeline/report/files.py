"""What a study leaves in its folder for people and for version control: `leaderboard.csv` and `best.yaml`."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hpo_pipeline.atomic import write_text
from hpo_pipeline.trial import Value
from hpo_pipeline.view import StudyView


def write_leaderboard(view: StudyView, folder: Path) -> Path:
    """Writes `leaderboard.csv`: one row a trial, best first; empty cells where a hyperparameter wasn't active."""
    columns = ["rank", "trial", "state", view.metric, "resource", "trained", "bracket", "rung", "seconds"]
    sampled = dict.fromkeys(path for trial in view.trials.values() for path in trial.config)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys([*columns, *sampled])), restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(view.leaderboard())
    path = folder / "leaderboard.csv"
    write_text(path, text.getvalue())
    return path


def write_best(view: StudyView, folder: Path, choices: Mapping[str, str], changes: Mapping[str, Value]) -> Path | None:
    """Writes `best.yaml`, an experiment that `train.py` composes to the winner: the same numbers to the last digit.

    Args:
        choices: config group -> option, for the groups that the study chose ("model" -> "mlp"). A value of the winner
            under the same name is the option that it sampled.
        changes: path in the config -> value, for what else the study changed; the winner's values come on top.

    Returns:
        The file, or None if no trial has a finite value, or all that have one failed.
    """
    path = folder / "best.yaml"
    if view.best is None:
        path.unlink(missing_ok=True)  # of an earlier session, whose best trial has failed since
        return None
    write_text(path, best_text(view, choices, changes))
    return path


def best_text(view: StudyView, choices: Mapping[str, str], changes: Mapping[str, Value]) -> str:
    """The content of `best.yaml`. Call it only if the view has a best trial."""
    from omegaconf import OmegaConf

    best = view.best
    if best is None:
        raise ValueError("no trial has a usable value")
    values = {**changes, **best.best_config, "trial": best.id, "resource": best.best_resource}
    options = {group: values.pop(group, option) for group, option in choices.items()}
    content: dict[str, Any] = {}
    if options:
        content["defaults"] = [{f"override /{group}": option} for group, option in options.items()]
    for name, value in values.items():
        _put(content, name.split("."), value)
    study = " ".join(str(view.header.get("name", "study")).split())
    value_text = repr(best.best(view.metric))
    changed = "# Its hyperparameters changed while it trained; these are the last ones before its best value.\n"
    head = [
        "# @package _global_",
        f"# study {study}: {view.metric} {value_text} (trial {best.id}, resource {best.best_resource})",
    ]
    # OmegaConf's dumper, not PyYAML's: OmegaConf reads 1e5 as a float, so the string "1e5" needs quotes.
    return "\n".join(head) + "\n" + (changed if best.changes else "") + OmegaConf.to_yaml(OmegaConf.create(content))


def _put(tree: dict[str, Any], keys: list[str], value: Value) -> None:
    for key in keys[:-1]:
        tree = tree.setdefault(key, {})
    tree[keys[-1]] = value
