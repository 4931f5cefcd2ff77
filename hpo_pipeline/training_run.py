"""One training, as train.py does it: the default configuration, or a trial of a study to the same numbers again."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from hpo_pipeline.atomic import replacing
from hpo_pipeline.build import build
from hpo_pipeline.config.composed import Composed
from hpo_pipeline.errors import StudyError
from hpo_pipeline.objective import Objective
from hpo_pipeline.preflight import check_training
from hpo_pipeline.report.text import metric_text
from hpo_pipeline.seeding import trial_seed
from hpo_pipeline.study import UNTRACKED, said_of, write_configs
from hpo_pipeline.tracker.mlflow.training import log_training

MODEL = "model.ckpt"


def run_training(composed: Composed) -> int:
    """Trains once, shows each unit of resource, saves the model, logs the run; returns the exit code.

    Raises:
        ConfigError: the config is wrong; nothing was started.
        StudyError: the run exists, or the data isn't there.
    """
    config = composed.config
    folder = Path(config["folder"])
    if not composed.problems and folder.exists():
        raise StudyError(f"{folder}: this run exists; choose another name=…")
    objective = check_training(composed)
    for note in composed.notes:
        print(note)
    with said_of(folder):
        folder.mkdir(parents=True)
        write_configs(composed, folder, "train")
    unit, resource, whole = objective.unit, config["resource"], config["max_resource"]
    if resource < whole:
        print(f"to {unit} {resource} of {whole}; resource={whole} trains it to the end", flush=True)
    state = objective.start(composed.training, trial_seed(config["seed"], config["trial"]))
    curve: list[tuple[int, dict[str, float], float]] = []
    for at in range(1, resource + 1):
        metrics = _advance(objective, state)
        curve.append((at, metrics, time.time()))
        _show(f"{unit} {at}/{resource}", metrics)
    with replacing(folder / MODEL) as aside:
        objective.save(state, aside)
    final = _test(objective, state) if config["final"] else {}
    print(f"The model is in {folder / MODEL}")
    tags = {"hpo.command": composed.rerun_command(config["trial"], resource, {})}
    tracked = log_training(
        build(config["tracker"], "tracker"),
        folder,
        composed.public_training,
        config["name"],
        curve,
        tags,
        folder / MODEL,
        final,
    )
    if tracked.text:
        print(tracked.text)
    return 0 if tracked.complete else UNTRACKED


def _advance(objective: Objective, state: Any) -> dict[str, float]:
    began = time.perf_counter()
    metrics = {name: float(value) for name, value in objective.advance(state).items()}
    return {**metrics, "seconds": time.perf_counter() - began}


def _test(objective: Any, state: Any) -> dict[str, float]:
    metrics: dict[str, float] = objective.test(state)
    _show("test set", metrics)
    return metrics


def _show(what: str, metrics: dict[str, float]) -> None:
    print(f"{what}  " + "  ".join(f"{name} {metric_text(value)}" for name, value in metrics.items()), flush=True)
