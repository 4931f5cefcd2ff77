"""Going on with a study: the config that it began with, and what was typed now."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from hpo_pipeline.config.composed import TRAINING_KEYS, Composed
from hpo_pipeline.config.composing import changes_of, merger, options_of
from hpo_pipeline.config.containment import containment_problems
from hpo_pipeline.config.layers import refuse_endless
from hpo_pipeline.config.older import brought_up_to_date
from hpo_pipeline.config.public import masked, resolved, shown
from hpo_pipeline.config.schema import root_problems
from hpo_pipeline.errors import ConfigError, Problem, StudyError
from hpo_pipeline.journal import read
from hpo_pipeline.plain_yaml import plain_yaml
from hpo_pipeline.saved_study import JOURNAL, OVERRIDES, studies_in
from hpo_pipeline.tree import at, flatten

MAY_CHANGE = frozenset(
    {
        *("name", "folder", "resume", "dry_run", "output", "max_failures", "finalists", "executor", "tracker"),
        *("n_trials", "max_total_resource", "max_seconds", "target"),
    }
)
"""Root keys that a resumed study may be given anew."""

NARROWING = frozenset({"search_around", "factor"})
"""Root keys that the search space came by; the study has the space itself."""
SEARCHED = frozenset({"dataset.search_path", "dataset.download"})
DATA = frozenset({"dataset.root", "dataset.path"})
"""Where data lie, or are looked for. Another machine may have them elsewhere; a place that it has is not changed."""


def resumed(composed: Composed) -> Composed:
    """The config that the study began with, with what was typed now on top.

    The folder in which it is found is the study: one that was copied or renamed is not the study that it came from.

    Raises:
        StudyError: there is no such study.
        ConfigError: something was typed that would make it another study, or its config can't be read.
    """
    folder = Path(composed.config["folder"])
    saved = folder / "config.yaml"
    if not saved.is_file():
        there = [path.name for path in studies_in(folder.parent) if _is_a_studys(path / JOURNAL)]
        raise StudyError(
            f"{folder}: there is no study to resume; "
            + (f"studies here: {', '.join(there)}" if there else f"none in {folder.parent} yet")
        )
    # A study of an older version has fewer keys.
    newer: dict[str, Any] = {**dict.fromkeys(TRAINING_KEYS), "params": {}}
    newer["max_failures"] = composed.config["max_failures"]
    newer["finalists"] = {"n": 0, "seeds": 0}
    cfg: Any = OmegaConf.merge(newer, _loaded(saved))
    notes = brought_up_to_date(cfg)
    typed = {override.lstrip("+~").partition("=")[0].partition("@")[0].replace("/", ".") for override in composed.typed}
    keys = {path.partition(".")[0] for path in typed}
    for key in keys & MAY_CHANGE - {"finalists"}:  # before anything is resolved: the old value may need what is gone
        OmegaConf.update(cfg, key, composed.config[key], merge=False)
    for path in typed:
        if path.startswith("finalists."):  # of the two, what is typed
            OmegaConf.update(cfg, path, at(composed.config, path), force_add=True)
    before: Any = OmegaConf.to_container(cfg, resolve=False)
    for path in typed:
        if path in SEARCHED or (path in DATA and _is_gone(at(before, path))):
            OmegaConf.update(cfg, path, at(composed.config, path), force_add=True)
    stored = resolved(cfg)
    public = shown(cfg, stored)
    now = {key: composed.config[key] for key in ("dry_run", "output")}
    now |= {"name": folder.name, "folder": str(folder), "resume": True, "search_around": None, "factor": 4.0}
    config = {**stored, **now}
    problems = [*composed.problems, *(Problem(str(saved), str(problem)) for problem in root_problems(config, "tune"))]
    if not isinstance(config["choices"], dict) or not config["choices"]:
        problems.append(Problem(str(saved), "choices: is missing; a study saves the options of its groups there"))
    problems += containment_problems(
        {**config, "folder": ""}, lambda path: path in typed or path.partition(".")[0] in keys
    )
    for path in sorted(typed):
        if path.partition(".")[0] in MAY_CHANGE or path == "experiment":
            continue
        if path in NARROWING:
            if not {word for word in composed.typed if word.lstrip("+").startswith(f"{path}=")} <= _began_with(folder):
                what = "a resumed study keeps the search space that it began with; leave it out"
                problems.append(Problem(path, what))
            continue
        if flatten(config).get(path, at(config, path)) != at(composed.config, path):
            what = f"a resumed study keeps what it began with, {at(config, path)!r}; got {at(composed.config, path)!r}"
            problems.append(Problem(path, f"{what}; leave it out, or start a new study with another name=…"))
    if problems:
        raise ConfigError(problems)
    return Composed(
        config=config,
        public=masked({**public, **now, **{key: composed.public[key] for key in keys & MAY_CHANGE}}),
        merge=merger(cfg, config),
        typed=composed.typed,
        line=composed.line,
        log_levels=composed.log_levels,
        changes=changes_of(config, public, config["choices"]),
        options=options_of(config, config["choices"]),
        notes=notes,
    )


def _began_with(folder: Path) -> set[str]:
    """What was typed when the study began, as far as that can be read."""
    try:
        found = plain_yaml((folder / OVERRIDES).read_text(encoding="utf-8"))
    except (OSError, ValueError, YAMLError):
        return set()
    return set(map(str, found)) if isinstance(found, list) else set()


def _is_gone(place: Any) -> bool:
    return isinstance(place, str) and not Path(place).exists()


def _is_a_studys(journal: Path) -> bool:
    """Whether a journal is that of a study, and not of a training."""
    try:
        header, _ = next(read(journal))
    except (StudyError, StopIteration):  # nothing that can be resumed, either
        return False
    return header.get("kind") != "training"


def _loaded(path: Path) -> DictConfig:
    refuse_endless(path)
    try:
        cfg = OmegaConf.load(path)
    except (OSError, YAMLError, OmegaConfBaseException, UnicodeDecodeError) as error:
        raise StudyError(f"{path}: can't be read ({' '.join(str(error).split())})") from None
    if not isinstance(cfg, DictConfig):
        raise StudyError(f"{path}: must be a mapping, as a study saves it")
    return OmegaConf.masked_copy(cfg, [str(key) for key in cfg if key not in ("defaults", "hydra")])
