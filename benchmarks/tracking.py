"""What MLflow costs a study: processor time of the tracker a trial, as the number of runs grows.

    python benchmarks/tracking.py                 2,000 trials of 9 rungs; about 2 minutes on a quiet core
    python benchmarks/tracking.py --trials 300    a glance

The records are those that two workers with trials of a second give: in each window of half a second one trial is
begun and ended, with 9 reports and rung evaluations. They go through the writer into a new SQLite store, window by
window as they would in a study, and the thread's processor time is taken. Two workers that keep two cores busy lose
that share of a second to it:

    overhead = processor seconds of the tracker a trial / 1 s
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from hpo_pipeline.records import VERSION, Record
from hpo_pipeline.tracker.follower import position
from hpo_pipeline.tracker.mlflow import MLflowTracker

RUNGS = 9
TRIAL_SECONDS = 1.0
MARKS = (100, 300, 1000, 2000)
AROUND = 50
"""Trials before each mark that are averaged."""
LR = {"type": "float", "low": 1e-5, "high": 1.0, "log": True}
CONFIG = {
    "model": {"_target_": "hpo_pipeline.model.mlp.MLP"},
    "search_space": {"optimizer": {"lr": LR}, "model": {f"n_units_{i}": {"type": "int"} for i in range(9)}},
}
COMMANDS = {"train": "python train.py model=mlp", "resume": "python tune.py name=s resume=true"}


def head() -> list[Record]:
    study = {"event": "study", "version": VERSION, "id": "bench", "name": "bench", "seed": 0, "unit": "epoch"}
    metrics = [{"name": "error", "mode": "min"}]
    return [{**study, "metrics": metrics, "time": 0.0}, {"event": "session", "time": 0.0}]


def trial_records(trial: int, numbers: random.Random) -> Iterator[Record]:
    """One whole trial: 10 hyperparameters, and 9 jobs with a report of 3 metrics each."""
    now = trial * TRIAL_SECONDS / 2
    config = {"optimizer.lr": 10 ** numbers.uniform(-5, 0)}
    config |= {f"model.n_units_{i}": numbers.randrange(4, 1024) for i in range(9)}
    yield {"event": "suggested", "trial": trial, "config": config, "time": now}
    for rung in range(RUNGS):
        now += TRIAL_SECONDS / RUNGS
        own = {"trial": trial, "time": now}
        error = 1 / (rung + 2) + numbers.random() / 100
        measured = {"error": error, "train_loss": numbers.random(), "seconds": TRIAL_SECONDS / RUNGS}
        yield {"event": "submitted", **own, "resource": rung + 1, "rung": rung, "bracket": 0}
        yield {"event": "report", **own, "resource": rung + 1, "metrics": measured}
        yield {"event": "rung", **own, "rung": rung, "bracket": 0, "resource": rung + 1}
        yield {"event": "result", **own, "outcome": "done", "error": "", "traceback": ""}
        state = "PAUSED" if rung < RUNGS - 1 else "COMPLETED"
        yield {"event": "decision", **own, "state": state, "reason": ""}


def measure(n_trials: int, folder: Path) -> list[float]:
    """Processor seconds of each trial."""
    writer = MLflowTracker(f"sqlite:///{folder}/mlflow.db").writer(folder, CONFIG, COMMANDS)
    writer.open(head()[0])
    for record in head():
        writer.take(record, held=False)
    numbers, costs = random.Random(0), []
    for trial in range(n_trials):
        began = time.thread_time()
        for record in trial_records(trial, numbers):
            writer.take(record, held=False)
        list(writer.write(position(record, trial)))
        costs.append(time.thread_time() - began)
    return costs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=MARKS[-1])
    arguments = parser.parse_args()
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    with tempfile.TemporaryDirectory() as folder:
        costs = measure(arguments.trials, Path(folder))
    print(f"{arguments.trials} trials of {RUNGS} rungs into a new SQLite store\n")
    print("after so many runs    ms of processor a trial (median)    overhead for trials of 1 s on 2 busy cores")
    for mark in [mark for mark in MARKS if mark < arguments.trials] + [arguments.trials]:
        typical = statistics.median(costs[max(0, mark - AROUND) : mark])
        print(f"{mark:18,}    {1e3 * typical:34.1f}    {100 * typical / TRIAL_SECONDS:41.1f} %")


if __name__ == "__main__":
    main()
