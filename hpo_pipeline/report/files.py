"""What a study leaves in its folder for people and for version control: `leaderboard.csv` and `best.yaml`."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path

from hpo_pipeline.atomic import write_text
from hpo_pipeline.trial import Value
from hpo_pipeline.view import StudyView

MODEL = "model.ckpt"
"""What a training saves in its folder."""


def write_leaderboard(view: StudyView, folder: Path) -> Path:
    """Writes `leaderboard.csv`: one row a trial, best first; empty cells where a hyperparameter wasn't active."""
    columns = ["rank", "trial", "state", view.metric, "resource", "trained", "bracket", "rung", "seconds", "origin"]
    if view.has_further_seeds:
        columns[4:4] = ["mean", "standard_error", "seeds"]
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
    from omegaconf import OmegaConf

    path, best = folder / "best.yaml", view.winner
    if best is None:
        path.unlink(missing_ok=True)  # of an earlier session, whose best trial has failed since
        return None
    values = {**changes, **best.best_config, "trial": best.id, "resource": best.best_resource}
    options = {group: values.pop(group, option) for group, option in choices.items()}
    defaults = [{f"override /{group}": option} for group, option in options.items()]
    content = OmegaConf.create({"defaults": defaults} if defaults else {})
    for name, value in values.items():
        OmegaConf.update(content, name, value)
    study = " ".join(str(view.header.get("name", "study")).split())
    value_text = repr(best.best(view.metric))
    head = (
        "# @package _global_\n"
        f"# study {study}: {view.metric} {value_text} (trial {best.id}, resource {best.best_resource})\n"
    )
    if (over := view.over_seeds(best)).n > 1:
        head += f"# With {over.n} seeds it comes to {over.mean!r}, standard error {over.standard_error!r}.\n"
    if best.changes:
        head += "# Its hyperparameters changed while it trained; these are the last ones before its best value.\n"
    # OmegaConf's dumper, not PyYAML's: OmegaConf reads 1e5 as a float, so the string "1e5" needs quotes.
    write_text(path, head + OmegaConf.to_yaml(content))
    return path
