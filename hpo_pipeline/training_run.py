"""One training, as train.py does it: the default configuration, or a trial of a study to the same numbers again."""

from __future__ import annotations

import contextlib
import math
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hpo_pipeline.atomic import replacing
from hpo_pipeline.best_model import keep_training
from hpo_pipeline.config.composed import Composed
from hpo_pipeline.errors import StudyError
from hpo_pipeline.evaluation import Metric
from hpo_pipeline.executor.runner import finished
from hpo_pipeline.journal import Journal
from hpo_pipeline.objective import (
    Finished,
    Objective,
    SupportsClose,
    SupportsModel,
    SupportsTarget,
    SupportsTest,
    TrialSpec,
)
from hpo_pipeline.preflight import check_training
from hpo_pipeline.report.files import MODEL
from hpo_pipeline.report.status import status_line
from hpo_pipeline.report.text import metric_text
from hpo_pipeline.seeding import trial_seed
from hpo_pipeline.study import PATIENCE_SECONDS, UNTRACKED, header, keep_data, said_of, write_configs
from hpo_pipeline.tracker.tracking import Tracking


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
    objective, trackers = check_training(composed)
    for note in composed.notes:
        print(note)
    with said_of(folder):
        folder.mkdir(parents=True)
        write_configs(composed, folder, "train")
        keep_data(composed, objective, folder)
    unit, trial, resource, whole = objective.unit, config["trial"], config["resource"], config["max_resource"]
    if resource < whole:
        print(f"to {unit} {resource} of {whole}; resource={whole} trains it to the end", flush=True)
    state = objective.start(TrialSpec(composed.training, trial_seed(config["seed"], trial), folder))
    with Journal(folder / "journal.jsonl") as journal, contextlib.ExitStack() as left:
        if isinstance(objective, SupportsClose):
            left.callback(objective.close, state)
        if isinstance(objective, SupportsTarget):
            objective.set_target(state, resource)

        def record(event: str, **keys: Any) -> None:
            journal.append({"event": event, "trial": trial, **keys, "time": time.time()})

        journal.append({**header(composed, unit), "kind": "training"})
        record("suggested", config={})
        record("submitted", resource=resource, rung=0, bracket=0)
        best = _Best(composed.metrics[0])
        why, reached = "", 0
        for at in range(1, resource + 1):
            try:
                metrics = _advance(objective, state)
            except Finished as through:
                why = str(through)
                print(f"It ends here: {why}", flush=True)
                break
            best.note(objective, state, at, metrics)
            why = finished(objective, state)
            reached = at
            record("report", resource=at, metrics=metrics, **({"finished": why} if why else {}))
            _show(f"{unit} {at}/{resource}", metrics)
            if why:
                print(f"It ends here: {why}", flush=True)
                break
        with replacing(folder / MODEL) as aside:
            objective.save(state, aside)
        test: dict[str, float] = {}
        if config["final"] and isinstance(objective, SupportsTest):
            test = objective.test(state)
            _show("test set", test)
            record("test", resource=reached, metrics=test)
        record("result", outcome="done", error="", traceback="", **({"finished": why} if why else {}))
        record("decision", state="COMPLETED", reason="")
        journal.append({"event": "end", "state": "completed", "reason": "", "time": time.time()})
    print(f"The model is in {folder / MODEL}")
    if isinstance(objective, SupportsModel) and best.snapshot is not None:
        keeper, snapshot = objective, best.snapshot
        measured = {"trial": trial, "resource": best.resource, "metrics": {**best.metrics, **test}}
        config = composed.public_trial_config(trial, {})
        print(keep_training(folder, config, measured, lambda path: keeper.save_model(snapshot, path)))
    command = composed.rerun_command(trial, resource, {})
    shown = {**composed.public_training, "choices": composed.training_choices}
    tracking = Tracking(trackers, folder, shown, {"train": command})
    with status_line() as show:
        tracked = tracking.close(PATIENCE_SECONDS, show)
    if tracked.text:
        print(tracked.text)
    return 0 if tracked.complete else UNTRACKED


@dataclass(slots=True)
class _Best:
    """The best report so far, and the model then; where nothing is measured to go by (`final=true`), the last one."""

    metric: Metric
    score: float = math.inf
    resource: int = 0
    metrics: dict[str, float] = field(default_factory=dict)
    snapshot: Any = None

    def note(self, objective: Objective, state: Any, resource: int, metrics: dict[str, float]) -> None:
        if not isinstance(objective, SupportsModel):
            return
        score = self.metric.score(metrics[self.metric.name]) if self.metric.name in metrics else -math.inf
        if score < self.score or score == -math.inf or self.snapshot is None:
            self.score, self.resource, self.metrics = score, resource, metrics
            self.snapshot = objective.snapshot(state)


def _advance(objective: Objective, state: Any) -> dict[str, float]:
    began = time.perf_counter()
    metrics = {name: float(value) for name, value in objective.advance(state).items()}
    return {**metrics, "seconds": time.perf_counter() - began}


def _show(what: str, metrics: dict[str, float]) -> None:
    print(f"{what}  " + "  ".join(f"{name} {metric_text(value)}" for name, value in metrics.items()), flush=True)
