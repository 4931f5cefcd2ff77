"""What `--help` and `--version` answer: the groups with their options, useful overrides, examples; on one screen."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

import hydra
import yaml

from hpo_pipeline import __version__
from hpo_pipeline.config.command_line import CommandLine
from hpo_pipeline.config.options import installed_options

WIDTH = 80
_FIRST = ("experiment", "model", "dataset", "search_space", "searcher", "scheduler", "executor", "objective")
_ABOUT = {
    "tune": "Tunes: runs a study and leaves everything in runs/<name>.",
    "train": "Trains once: the default configuration, or any trial of a study again.",
}
_OVERRIDES = {
    "tune": {
        "name=first": "name of the study; runs/first is its folder",
        "resume=true": "go on with the study of this name",
        "dry_run=true": "show space, plan and cost; start nothing",
        "n_trials=50": "when to end; max_seconds=, target= … too",
        "max_resource=81": "what a whole trial gets: epochs",
        "executor.n_workers=4": "trials at once",
        "optimizer.lr=0.01": "pins what the search space would tune",
        "search_space.optimizer.lr.low=1e-5": "changes a range",
        "finalists.seeds=4": "the winner by its mean over seeds",
        "output=json": "a line of JSON for each event",
    },
    "train": {
        "experiment=best": "a best.yaml of a study, copied to conf/experiment/",
        "optimizer.lr=0.01": "any value of the config",
        "trial=17": "whose initial weights: those of a study's trial",
        "resource=9": "train so far; less than max_resource: as it was there",
        "max_resource=81": "what a whole training gets: epochs",
        "final=true": "on training and validation data; scores the test set",
        "seed=1": "every random number follows from it",
        "threads=4": "threads of the training; numbers depend on it",
        "name=first": "name of the run; runs/first is its folder",
        "tracker=none": "nothing is logged to MLflow",
    },
}
_EXAMPLES = {
    "tune": (
        "model=softmax dataset=digits n_trials=20",
        "experiment=bohb name=first executor.n_workers=4",
        "-m scheduler=asha,hyperband seed=0,1,2",
    ),
    "train": (
        "model=softmax dataset=digits optimizer.lr=0.01 max_resource=9",
        "experiment=best final=true",
        "-m seed=0,1,2",
    ),
}
_FLAGS = (
    "-m: a run for each combination of a=1,2; --config-dir DIR: your own options, DIR/<group>/<option>.yaml; "
    "--cfg job: the composed config; --hydra-help: Hydra's own flags; --version"
)


def version_text() -> str:
    """`hpo_pipeline 0.1.0 (Hydra 1.3.4)`."""
    return f"hpo_pipeline {__version__} (Hydra {hydra.__version__})"


def help_text(program: str, line: CommandLine) -> str:
    """The screen that `--help` shows."""
    command = shlex.join(line.program_words(program))
    chosen = _defaults("base") | _defaults(program)
    lines = [_ABOUT[program], f"Usage: {command} [key=value ...] [flags]", "", "Groups (* is the default):"]
    for group, options in _groups(line).items():
        if program == "tune" or group not in ("search_space", "searcher", "scheduler", "executor"):
            marked = [f"{option}*" if option == chosen.get(group) else option for option in options]
            lines += _folded(f"{group}=", "the model's*" if group == "search_space" else "", marked)
    useful = _OVERRIDES[program]
    width = max(map(len, useful))
    lines += ["", "Useful overrides:", *(f"  {what:<{width}} {meaning}" for what, meaning in useful.items())]
    lines += [
        "",
        *textwrap.wrap(_FLAGS, WIDTH, initial_indent="Flags: ", subsequent_indent="  ", break_on_hyphens=False),
    ]
    lines += ["", "Examples:", *(f"  {command} {example}" for example in _EXAMPLES[program])]
    return "\n".join(lines)


def _folded(group: str, default: str, options: Sequence[str]) -> list[str]:
    text = ", ".join([default, *options] if default else options)
    begin, further = f"  {group:<13} ", " " * 16
    return textwrap.wrap(text, WIDTH, initial_indent=begin, subsequent_indent=further, break_on_hyphens=False)


def _groups(line: CommandLine) -> dict[str, list[str]]:
    """Group -> options, ours and those in folders that were named; the groups that are chosen most come first."""
    found = installed_options()
    for folder in map(Path, line.folders()):
        for file in sorted(folder.glob("*/*.yaml")):
            options = found.setdefault(file.parent.name, [])
            options += [] if file.stem in options else [file.stem]
    first = [group for group in _FIRST if group in found]
    return {group: found[group] for group in [*first, *(group for group in found if group not in first)]}


def _defaults(name: str) -> dict[str, str]:
    """Group -> the option that one of our primary configs chooses."""
    text = resources.files("hpo_pipeline.conf").joinpath(f"{name}.yaml").read_text(encoding="utf-8")
    listed = [entry for entry in yaml.safe_load(text)["defaults"] if isinstance(entry, dict)]
    return {str(group): str(option) for entry in listed for group, option in entry.items() if option is not None}
