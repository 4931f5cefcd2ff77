"""What a study or a training leaves of its best model; objective/kept_model.py takes it up again.

<folder>/best/model.pt       the weights as of the best report (`SupportsModel`)
              config.yaml    the config that it was trained with, as it may be shown
              metrics.json   which trial and report that was, and what was measured
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from hpo_pipeline.atomic import beside, remove
from hpo_pipeline.config.composed import Composed
from hpo_pipeline.executor.best_models import BestModels
from hpo_pipeline.objective import Objective, SupportsModel
from hpo_pipeline.objective.kept_model import CONFIG, FOLDER, METRICS, WEIGHTS
from hpo_pipeline.view import StudyView


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
        if view.is_simulated:
            return [f"{what} wasn't kept: executor=simulated keeps none; train it again"]
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
