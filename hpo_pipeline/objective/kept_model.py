"""Takes up the model that a study or a training has kept in its folder `best` (best_model.py writes it).

The folder may come from a stranger: its config chooses code like any other config, within the trust list, and nothing
in the weights is executed.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml

from hpo_pipeline.build import build
from hpo_pipeline.errors import ConfigError, StudyError
from hpo_pipeline.objective import SupportsModel
from hpo_pipeline.plain_yaml import plain_yaml
from hpo_pipeline.saved_study import journal_of

FOLDER = "best"
WEIGHTS, CONFIG, METRICS = "model.pt", "config.yaml", "metrics.json"


def load_model(folder: str | os.PathLike[str]) -> Any:
    """The best model of a study or a training, ready to predict.

        model = hpo_pipeline.load_model("runs/x")
        with torch.no_grad():
            scores = model(x)

    Its weights are those of its best epoch, its place the CPU, its mode `eval`. Nothing is trained, and nothing that
    the files hold is executed: the model is built as a study builds it, from this project, torch, torchvision, and
    what the environment variable HPO_TRUST names.

    Args:
        folder: of the study or the training, which holds `best/`; or what `load_study` gives.

    Raises:
        StudyError: there is no such folder, or no model in it, or none that can be built here.
    """
    objective, config, weights = opened(folder)
    try:
        return objective.load_model(config, weights)
    except ConfigError as error:
        raise _refused(weights.parent / CONFIG, error) from None


def opened(folder: str | os.PathLike[str]) -> tuple[SupportsModel, dict[str, Any], Path]:
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
    if not place.is_dir():
        journal_of(folder)  # says it if this is no study
        raise StudyError(f"{folder}: holds no model: it is not over, or its objective keeps none (no SupportsModel)")
    for path in (place, place / CONFIG, place / WEIGHTS):
        if path.is_symlink():
            raise StudyError(f"{path}: is a link, which isn't followed")
        if not path.exists():
            raise StudyError(f"{path}: is missing; resume=true writes it anew, and so does train.py")
        if path != place and not path.is_file():  # a pipe would keep whoever reads it waiting
            raise StudyError(f"{path}: is no file")
    return place


def _config(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
        config = plain_yaml(text)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValueError) as error:
        raise StudyError(f"{path}: can't be read ({' '.join(str(error).split())[:200]})") from None
    if not isinstance(config, dict) or not isinstance(config.get("objective"), dict):
        raise StudyError(f"{path}: is no config that a study has saved")
    return config


def _refused(path: Path, error: ConfigError) -> StudyError:
    return StudyError(f"{path}: {'; '.join(map(str, error.problems))}")
