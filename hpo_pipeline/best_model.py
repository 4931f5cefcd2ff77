"""What a study or a training leaves of its best model, and how to take it up again.

    <folder>/best/model.pt       the weights as of the best report (`SupportsModel`)
                  config.yaml    the config that it was trained with, as it may be shown
                  metrics.json   which trial and report that was, and what was measured

The folder may come from a stranger: its config chooses code like any other config, within the trust list, and nothing
in the weights is executed.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from hpo_pipeline.atomic import beside, remove
from hpo_pipeline.build import build
from hpo_pipeline.config.composed import Composed
from hpo_pipeline.errors import ConfigError, Problem, StudyError, nearest
from hpo_pipeline.executor.best_models import BestModels
from hpo_pipeline.objective import Objective, SupportsModel
from hpo_pipeline.view import StudyView

FOLDER = "best"
_DEEPEST = 50
WEIGHTS, CONFIG, METRICS = "model.pt", "config.yaml", "metrics.json"


def keep_winner(composed: Composed, view: StudyView, folder: Path, objective: Objective) -> list[str]:
    """Writes `best/` of a study; returns lines for people, if there is something to say of it."""
    winner, place = view.winner, folder / FOLDER
    if winner is None or not isinstance(objective, SupportsModel):
        remove(place)  # of an earlier session, whose best trial has failed since
        return []
    weights = BestModels(folder / "trials").find(winner.id, winner.best_resource)
    if weights is None:
        remove(place)
        if view.end is None or view.end["state"] != "completed":  # it may be at work, and goes on
            return []
        what = f"The model of trial {winner.id} at {objective.unit} {winner.best_resource}"
        return [f"{what} wasn't kept: it was stopped in the middle of a job, or its file is gone; train it again"]
    metrics: dict[str, Any] = {"study": str(view.header.get("name", "")), "trial": winner.id}
    metrics |= {"resource": winner.best_resource, "metrics": winner.at(winner.best_resource)}
    over = view.over_seeds(winner)
    if over.n > 1:
        seeds = {"n": over.n, "values": list(over.values), "mean": over.mean, "standard_error": over.standard_error}
        metrics["seeds"] = {"metric": view.metric, **seeds}
    config = composed.public_trial_config(winner.id, winner.best_config)
    _write(place, config, metrics, lambda path: shutil.copyfile(weights, path))
    return [how_to_load(folder)]


def keep_training(
    folder: Path, config: Mapping[str, Any], metrics: Mapping[str, Any], write: Callable[[Path], object]
) -> str:
    """Writes `best/` of a training; `write` writes the weights. Returns the line that says how to load it."""
    _write(folder / FOLDER, config, metrics, write)
    return how_to_load(folder)


def how_to_load(folder: Path) -> str:
    return f"The best model is in {folder / FOLDER}: hpo_pipeline.load_model({str(folder)!r})"


def _write(place: Path, config: Mapping[str, Any], metrics: Mapping[str, Any], write: Callable[[Path], object]) -> None:
    with beside(place) as aside:
        aside.mkdir()
        write(aside / WEIGHTS)
        (aside / CONFIG).write_text(_yaml(config), encoding="utf-8")
        text = json.dumps(_plain(metrics), indent=2, allow_nan=False) + "\n"
        (aside / METRICS).write_text(text, encoding="utf-8")
        remove(place)
        aside.rename(place)


def _yaml(config: Mapping[str, Any]) -> str:
    from omegaconf import OmegaConf

    # OmegaConf's dumper: it knows which strings OmegaConf would read as numbers.
    return OmegaConf.to_yaml(OmegaConf.create(dict(config)))


def _plain(value: Any) -> Any:
    """Numbers that JSON can't hold as text, as in the journal."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def load(folder: str | Path) -> Any:
    """The best model of a study or a training, in eval mode, on the CPU; see `hpo_pipeline.load_model`."""
    objective, config, weights = opened(folder)
    try:
        return objective.load_model(config, weights)
    except ConfigError as error:
        raise _refused(weights.parent / CONFIG, error) from None


def opened(folder: str | Path) -> tuple[SupportsModel, dict[str, Any], Path]:
    """What the model of a study or a training is made from: its objective, its config, the file with its weights.

    Raises:
        StudyError: there is none, or its config is none that could be run.
    """
    place = _found(Path(folder))
    config = _config(place / CONFIG)
    try:
        objective = build(config["objective"], "objective", threads=None, final=False)
    except ConfigError as error:
        raise _refused(place / CONFIG, error.under("objective")) from None
    except Exception as error:  # whatever somebody's own code may raise
        what = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise StudyError(f"{place / CONFIG}: objective can't be made ({what})") from None
    if not isinstance(objective, SupportsModel):
        raise StudyError(f"{place / CONFIG}: {type(objective).__name__} is no objective that keeps models")
    return objective, config, place / WEIGHTS


def _found(folder: Path) -> Path:
    """The folder `best`, with all that is needed in it, and no link."""
    place = folder / FOLDER
    if not folder.is_dir():
        beside_it = [path.name for path in folder.parent.glob("*/") if (path / FOLDER).is_dir()]
        raise StudyError(f"{folder}: there is no such folder{nearest(folder.name, beside_it)}")
    if not place.is_dir():
        what = "holds no model: it is not over, or its objective keeps none (it is no SupportsModel)"
        raise StudyError(f"{folder}: {what}" if (folder / "journal.jsonl").exists() else f"{folder}: is no study")
    for path in (place, place / CONFIG, place / WEIGHTS):
        if path.is_symlink():
            raise StudyError(f"{path}: is a link, which isn't followed")
        if not path.exists():
            raise StudyError(f"{path}: is missing; resume=true writes it anew, and so does train.py")
    return place


def _config(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
        _refuse_endless(text)
        config = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError, ValueError) as error:
        raise StudyError(f"{path}: can't be read ({' '.join(str(error).split())[:200]})") from None
    if not isinstance(config, dict) or not isinstance(config.get("objective"), dict):
        raise StudyError(f"{path}: is no config that a study has saved")
    return config


def _refuse_endless(text: str) -> None:
    """Aliases of aliases hold more than any memory, and what is nested too deeply takes longer than anybody waits."""
    depth = 0
    for event in yaml.parse(text, yaml.SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if isinstance(event, yaml.AliasEvent) or depth > _DEEPEST:
            raise ValueError("aliases, or lists in lists: a study writes neither")


def _refused(path: Path, error: ConfigError) -> StudyError:
    problems: list[Problem] = error.problems
    return StudyError(f"{path}: {'; '.join(map(str, problems))}")
