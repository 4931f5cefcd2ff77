"""What a study leaves in its folder for people and for version control: `leaderboard.csv`, and `best.yaml` or `best/`.

best.yaml is the best trial; best/1.yaml, best/2.yaml, … are the members of a Pareto front, by the first metric.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hpo_pipeline.atomic import write_text
from hpo_pipeline.report.leaderboard import columns, rows
from hpo_pipeline.report.text import point_text
from hpo_pipeline.trial import Value
from hpo_pipeline.view import StudyView, TrialView

FRONT = "best"
"""The folder of what the members of a front are composed from."""
MODEL = "model.ckpt"
"""What a training saves in its folder."""
DATA = "data.json"
"""Which data were used: a list of parts with `context`, `digest` and `source`."""


def write_data(splits: Iterable[Any], folder: Path) -> None:
    """Writes `data.json`, from dataclasses."""
    write_text(folder / DATA, json.dumps([asdict(split) for split in splits], indent=2) + "\n")


def write_leaderboard(view: StudyView, folder: Path) -> Path:
    """Writes `leaderboard.csv`: one row a trial, best first; empty cells where a hyperparameter wasn't active."""
    sampled = dict.fromkeys(path for trial in view.trials.values() for path in trial.config)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys([*columns(view), *sampled])), restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows(view))
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
        The file, or None if no trial has a finite value, or all that have one failed; or if there are several metrics.
    """
    path, best = folder / "best.yaml", view.winner
    if best is None or view.has_front:
        path.unlink(missing_ok=True)  # of an earlier session, whose best trial has failed since
        return None
    write_text(path, _experiment(view, best, best.best_resource, choices, changes))
    return path


def write_front(view: StudyView, folder: Path, choices: Mapping[str, str], changes: Mapping[str, Value]) -> list[Path]:
    """Writes `best/1.yaml`, … as `write_best` writes best.yaml, one for each member of the front."""
    paths = [folder / FRONT / f"{number}.yaml" for number in range(1, len(view.front.points) + 1)]
    for path in (folder / FRONT).glob("*.yaml"):
        if path.stem.isdecimal() and path not in paths:  # of an earlier session
            path.unlink()
    for path, point in zip(paths, view.front.points, strict=True):
        path.parent.mkdir(exist_ok=True)
        which = f"member {path.stem} of the front of {len(paths)}, "
        write_text(path, _experiment(view, view.trials[point.trial_id], point.resource, choices, changes, which))
    return paths


def _experiment(
    view: StudyView,
    trial: TrialView,
    resource: int,
    choices: Mapping[str, str],
    changes: Mapping[str, Value],
    which: str = "",
) -> str:
    """What `train.py experiment=…` composes to the trial at `resource`; `which` one it is, for people."""
    from omegaconf import OmegaConf

    values = {**changes, **trial.config_at(resource), "trial": trial.id, "resource": resource}
    sampled = {group: values.pop(group) for group in choices if not isinstance(values.get(group, {}), Mapping)}
    options = {**choices, **sampled}
    defaults = [{f"override /{group}": option} for group, option in sorted(options.items())]
    content = OmegaConf.create({"defaults": defaults} if defaults else {})
    # In an order that doesn't depend on what was changed or sampled: two of these files differ in what differs.
    # A component that was typed as a whole comes before the values that were sampled of it.
    for name in sorted(values, key=lambda path: ("." not in path and path not in choices, path)):
        OmegaConf.update(content, name, values[name])
    study = " ".join(str(view.header.get("name", "study")).split())
    value = point_text(view, trial, resource, repr)
    head = f"# @package _global_\n# study {study}: {value} ({which}trial {trial.id}, resource {resource})\n"
    if not trial.is_feasible:
        head += f"# It is outside the constraints ({', '.join(map(str, view.constraints))}): no trial is within them.\n"
    if (over := view.over_seeds(trial)).n > 1:
        head += f"# With {over.n} seeds it comes to {over.mean!r}, standard error {over.standard_error!r}.\n"
    if trial.changes:
        head += "# Its hyperparameters changed while it trained; these are the last ones before its best value.\n"
    # OmegaConf's dumper, not PyYAML's: OmegaConf reads 1e5 as a float, so the string "1e5" needs quotes.
    return head + OmegaConf.to_yaml(content)
