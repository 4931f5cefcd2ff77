"""A composed config as plain data, and a trial's config made from it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hpo_pipeline.report.command import command_line, overrides, trial_overrides
from hpo_pipeline.trial import Config

TRAINING_SETTINGS = ("metric", "mode", "seed", "trial", "max_resource", "threads")
"""Root keys with one value each, which the groups may refer to: `T_max: ${max_resource}`."""
TRAINING_KEYS = ("model", "dataset", "optimizer", "lr_schedule", "objective", *TRAINING_SETTINGS)
"""Root keys that a training depends on: what a sample may set, and what re-running a trial needs."""


@dataclass(frozen=True, slots=True)
class Composed:
    """What config.py hands on.

    Attributes:
        config: the whole composed config: nested, plain, resolved.
        merge: puts a sample into the training part and resolves again; None where no key refers to another.
        typed: the overrides as they were typed.
        config_dir: the user's own `--config-dir`, absolute.
        changes: what was set besides the choice of groups, as far as training is concerned: path -> value.
        options: config group that the search space chooses from -> option -> what it composes to.
    """

    config: dict[str, Any]
    merge: Callable[[dict[str, Any]], dict[str, Any]] | None
    typed: list[str]
    config_dir: str | None
    changes: dict[str, Any]
    options: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def training(self) -> dict[str, Any]:
        """The part of the config that trials are made from."""
        return {key: self.config[key] for key in TRAINING_KEYS}

    def trial_config(self, trial_id: int, sample: Config) -> dict[str, Any]:
        """The training config of one trial."""
        values: dict[str, Any] = {**sample, "trial": trial_id}
        for group, options in self.options.items():
            if group in sample:
                values[group] = options[str(sample[group])]
        return with_values(self.training, values) if self.merge is None else self.merge(values)

    @property
    def training_choices(self) -> dict[str, str]:
        """Group -> option, for the groups that a training is made of."""
        return {group: option for group, option in self.config["choices"].items() if group in TRAINING_KEYS}

    def train_command(self) -> str:
        """The beginning of the command that re-runs a trial of this study."""
        changes = {path: value for path, value in self.changes.items() if path != "trial"}
        fixed = {group: option for group, option in self.training_choices.items() if group not in self.options}
        return command_line([*self._program("train"), *overrides(fixed), *overrides(changes)])

    def rerun_command(self, trial_id: int, resource: int, sample: Config) -> str:
        """The command that trains a trial again, to the same numbers."""
        return f"{self.train_command()} {command_line(trial_overrides(trial_id, resource, sample))}"

    def resume_command(self) -> str:
        """The command that goes on with this study."""
        return command_line([*self._program("tune"), *overrides({"name": self.config["name"]}), "resume=true"])

    def again_command(self, program: str, folder: Path) -> str:
        """The command that runs the config.yaml in `folder` once more; `program` is "tune" or "train"."""
        words = [*self._program(program), "--config-path", str(folder), "--config-name", "config"]
        return command_line([*words, "name=another"])

    def _program(self, name: str) -> list[str]:
        """`python tune.py` in a checkout; `hpo-tune` where the package is installed."""
        own = Path(sys.argv[0]).name in ("tune.py", "train.py")
        words = ["python", f"{name}.py"] if own else [f"hpo-{name}"]
        return [*words, "--config-dir", self.config_dir] if self.config_dir else words


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """`{"a": {"b": 1}}` -> `{"a.b": 1}`; lists and empty mappings are leaves."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def with_values(tree: dict[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of `tree` with values at dotted paths; what isn't on a path is shared, not copied."""
    copied = dict(tree)
    own: set[str] = set()
    for path, value in values.items():
        node, above = copied, ""
        *parents, leaf = path.split(".")
        for key in parents:
            above += f"{key}."
            if above not in own:
                own.add(above)
                node[key] = dict(node[key])
            node = node[key]
        node[leaf] = value
    return copied
