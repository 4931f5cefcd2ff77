"""A composed config as plain data, and a trial's config made from it."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hpo_pipeline.config.command_line import CommandLine
from hpo_pipeline.config.containment import COMMAND, reached_places, written_places
from hpo_pipeline.errors import Problem
from hpo_pipeline.evaluation import Constraint, Metric, constraints_of, metrics_of
from hpo_pipeline.report.command import overrides, trial_overrides
from hpo_pipeline.tree import at, flatten
from hpo_pipeline.trial import Config

TRAINING_SETTINGS = ("metric", "mode", "constraints", "seed", "trial", "max_resource", "threads")
"""Root keys that the groups may refer to: `T_max: ${max_resource}`. Each is set as a whole, mappings too."""
TRAINING_KEYS = (
    *("model", "dataset", "loss", "metrics", "optimizer", "lr_schedule", "objective", "params"),
    *TRAINING_SETTINGS,
)
"""Root keys that a training depends on: what a sample may set, and what re-running a trial needs."""


@dataclass(frozen=True, slots=True)
class Composed:
    """What config.py hands on.

    Attributes:
        config: the whole composed config: nested, plain, resolved.
        merge: puts a sample into the training part and resolves again; None where no key refers to another.
        public: the same as it may be shown and saved: what comes from the environment as it is written, no passwords.
        typed: the overrides as they were typed, without passwords.
        line: the command line.
        changes: what was set besides the choice of groups, as far as training is concerned: path -> public value.
        options: config group that the search space chooses from -> option -> what it composes to.
        notes: lines that people should read before anything starts.
        log_levels: logger -> level, of what trials log.
        problems: what is wrong with the config as far as it was looked at; the preflight looks at the rest.
    """

    config: dict[str, Any]
    public: dict[str, Any]
    merge: Callable[[dict[str, Any]], dict[str, Any]] | None
    typed: list[str]
    line: CommandLine
    changes: dict[str, Any]
    options: dict[str, dict[str, Any]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    log_levels: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """What the study looks for the best values of."""
        return metrics_of(self.config["metric"], self.config["mode"])

    @property
    def constraints(self) -> tuple[Constraint, ...]:
        """What reported values have to be."""
        return constraints_of(self.config["constraints"])

    @property
    def training(self) -> dict[str, Any]:
        """The part of the config that trials are made from."""
        return {key: self.config[key] for key in TRAINING_KEYS}

    @property
    def public_training(self) -> dict[str, Any]:
        """`training` as it may be shown."""
        return {key: self.public.get(key) for key in TRAINING_KEYS}

    def trial_config(self, trial_id: int, sample: Config) -> dict[str, Any]:
        """The training config of one trial."""
        values: dict[str, Any] = {**sample, "trial": trial_id}
        for group, options in self.options.items():
            if group in sample:
                values[group] = options[str(sample[group])]
        return with_values(self.training, values) if self.merge is None else self.merge(values)

    def public_trial_config(self, trial_id: int, sample: Config) -> dict[str, Any]:
        """The same as it may be shown and saved."""
        shown, real = flatten(self.public_training), flatten(self.training)
        hidden = {path: value for path, value in shown.items() if path in real and real[path] != value}
        return with_values(self.trial_config(trial_id, sample), hidden)

    @property
    def training_choices(self) -> dict[str, str]:
        """Group -> option, for the groups that a training is made of."""
        return {group: option for group, option in self.config["choices"].items() if group in TRAINING_KEYS}

    def train_command(self, typed_behind: Iterable[str] = ()) -> str:
        """The beginning of the command that re-runs a trial of this study."""
        left_out = {"trial", "choices", *typed_behind}
        changes = {path: value for path, value in self.changes.items() if path not in left_out}
        fixed = {group: option for group, option in self.training_choices.items() if group not in self.options}
        return shlex.join([*self.line.other("train"), *overrides(fixed), *overrides(changes)])

    def rerun_command(self, trial_id: int, resource: int, sample: Config) -> str:
        """The command that trains a trial again, to the same numbers."""
        return f"{self.train_command(sample)} {shlex.join(trial_overrides(trial_id, resource, sample))}"

    def resume_command(self) -> str:
        """The command that goes on with this study."""
        where = {"name": self.config["name"], **self._elsewhere()}
        if any(path.count(".") > 1 for path in where):  # one of several trackers, which have to be chosen first
            where = {"tracker": self.config["choices"].get("tracker"), **where}
        if any(override.startswith(("folder=", "+folder=", "++folder=")) for override in self.line.overrides):
            where["folder"] = at(self.public, "folder")
        return shlex.join([*self.line.same("tune"), *overrides(where), "resume=true"])

    def again_command(self, program: str, folder: Path) -> str:
        """The command that runs the config.yaml in `folder` once more; `program` is "tune" or "train"."""
        words = self.line.other(program, config_path=str(folder))
        return shlex.join([*words, "name=another", *overrides(self._elsewhere(another=True))])

    def _elsewhere(self, *, another: bool = False) -> dict[str, Any]:
        """What has to be typed again, as no file may say it: where results go, if not below here; what is run."""
        places = [*written_places(self.config), *reached_places(self.config)]
        found = {path: at(self.public, path) for path in places}
        if any(override.lstrip("+").startswith(f"{COMMAND}=") for override in self.line.overrides):
            found[f"++{COMMAND}"] = at(self.public, COMMAND)
        if another and "folder" in found:
            found["folder"] = str(Path(found["folder"]).with_name("another"))
        return found


def training_values(config: Mapping[str, Any]) -> dict[str, Any]:
    """The training part by the paths that are typed: each setting is one value, whatever is in it."""
    groups = {key: config[key] for key in TRAINING_KEYS if key not in TRAINING_SETTINGS and key in config}
    return flatten(groups) | {key: config[key] for key in TRAINING_SETTINGS if key in config}


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
                node[key] = dict(node.get(key) or {})
            node = node[key]
        node[leaf] = value
    return copied
