"""The config and the commands: how to train it again, go on, or run another one."""

from __future__ import annotations

import shlex
from pathlib import Path

from hpo_pipeline.report.page.material import Material
from hpo_pipeline.report.page.section import Section
from hpo_pipeline.report.page.trials import overrides_of

MOST_CONFIG = 40_000
"""Characters of config.yaml on the page."""


def settings(material: Material) -> Section:
    """The composed config as it was saved, what was typed, and the commands that the journal has."""
    folder = material.study.folder
    config = _text(folder / "config.yaml")
    commands = commands_of(material)
    says = "The composed config, what was typed for it, and the commands that go on from here."
    sure = (
        "The config is the study's own copy, without secrets: with the same code, data and packages it gives the same "
        "trials, to the last digit where the scheduler is synchronous."
        if config
        else "The study's folder has no config.yaml: what is known is in its journal."
    )
    return Section("settings", "Config and commands", says, sure, extra={"config": config, "commands": commands})


def commands_of(material: Material) -> dict[str, str]:
    """What to do -> its command line."""
    folder = material.study.folder
    known = _known(material)
    winner = material.view.winner
    commands = {}
    if winner is not None and "train" in known and not material.view.has_front:
        commands["Train the best trial again"] = f"{known['train']} {overrides_of(winner)}"
    if "resume" in known:
        commands["Go on with the study"] = known["resume"]
    again = next((line[4:] for line in _text(folder / "config.yaml").splitlines()[1:3] if line.startswith("#   ")), "")
    if again:
        commands["Run the same study under another name"] = again
    if material.typed:
        commands["What was typed"] = shlex.join(material.typed)
    return commands


def train_command(material: Material) -> str:
    """The beginning of the command that trains a trial again; empty if nothing says it."""
    return _known(material).get("train", "")


def _known(material: Material) -> dict[str, str]:
    found = material.view.header.get("commands")
    return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}


def _text(path: Path) -> str:
    """A small text file of the folder; links aren't followed."""
    try:
        if path.is_symlink() or not path.is_file():
            return ""
        with open(path, encoding="utf-8", errors="replace") as file:
            text = file.read(MOST_CONFIG + 1)
    except OSError:
        return ""
    return text if len(text) <= MOST_CONFIG else f"{text[:MOST_CONFIG]}\n# … and so on: config.yaml has all of it"
