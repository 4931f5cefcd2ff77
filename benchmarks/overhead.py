"""What the pipeline costs: a whole trial through it, against the bare loop over the same tensors.

    python benchmarks/overhead.py            about 3 minutes on a quiet core
    python benchmarks/overhead.py --quick    softmax alone, fewer epochs

pipeline    a trial on a warm worker process, from the end of the last trial to the record that it is completed:
            suggestion, journal, a job and a checkpoint for each rung, a report each epoch, MLflow in a fresh store
bare loop   objective/epoch.py's train and evaluate, same model, optimizer and order of the data, same number of
            epochs, in a process that does nothing else

They take turns, one thread each. The start of the worker (importing torch, reading the data) is measured by itself, as
is that of a job on a warm worker: from the record that it is submitted to its first report, less that epoch's seconds.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
import uuid
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from composing import composed

from hpo_pipeline.executor.process import start_method
from hpo_pipeline.journal import VERSION, Journal, Record
from hpo_pipeline.preflight import check_study
from hpo_pipeline.seeding import trial_seed
from hpo_pipeline.tracker.tracking import Tracking
from hpo_pipeline.tuner import Tuner
from hpo_pipeline.view import StudyView

ROOT = Path(__file__).resolve().parent.parent
SOFTMAX = ("model=softmax", "dataset.batch_size=32")
MLP = (  # the mid-point of conf/search_space/mlp.yaml
    *("model=mlp", "model.n_units_1=514", "model.n_units_2=514", "model.dropout_1=0.495", "model.dropout_2=0.495"),
    *("optimizer.lr=1e-3", "dataset.batch_size=68"),
)
# A space that changes nothing about the cost; one trial a bracket, so that each rung is a job of its own.
STUDY = (
    *("points_to_evaluate=[]", "scheduler=successive_halving", "scheduler.bracket_size=1", "scheduler.eta=2"),
    *("executor.n_workers=1", f"dataset.root={ROOT / 'data'}"),
)
SPACE = {"optimizer": {"weight_decay": {"type": "float", "low": 1e-6, "high": 1e-5}}}
SETTLE_SECONDS = 1.5
"""Pause before the bare loop: MLflow's thread has written what is left of the trial."""


def bare_loop(pipe: Connection, config: dict[str, Any], epochs: int) -> None:
    """Main function of a process: runs the loop each time that it is asked to, and sends back the seconds."""
    from hpo_pipeline.objective import TrialSpec
    from hpo_pipeline.objective.epoch import data_order, evaluate, in_memory, train, whole
    from hpo_pipeline.objective.step import Step
    from hpo_pipeline.objective.training import Training

    objective = Training(threads=1)
    config = {**config, "optimizer": {**config["optimizer"], "weight_decay": 1e-6}}
    trial = TrialSpec(config, trial_seed(0, 0), Path())
    objective.start(trial)  # reads the data
    while pipe.recv() is not None:
        state = objective.start(trial)
        data = state.data
        began = time.perf_counter()
        for epoch in range(epochs):
            order = data_order(len(data.y_train), 0, epoch)
            state.model.train()
            train(state.model, Step(state.optimizer), in_memory(data.x_train, data.y_train, order, state.batch_size))
            state.model.eval()
            evaluate(state.model, whole(data.x_validation, data.y_validation), state.scores())
        pipe.send(time.perf_counter() - began)


@dataclass
class Turns:
    """Listens to the study's records: measures each trial, then lets the bare loop have its turn.

    Attributes:
        pipeline, bare: seconds, a pair for each trial but the first, which warms up.
        worker: seconds until the first job of the first worker trains.
        starts: rung -> seconds that the start of a job took, besides its training.
    """

    pipe: Connection
    pipeline: list[float] = field(default_factory=list)
    bare: list[float] = field(default_factory=list)
    worker: float = 0.0
    starts: dict[int, list[float]] = field(default_factory=dict)
    _began: float | None = None
    _submitted: Record | None = None

    def update(self, record: Record) -> None:
        if record["event"] == "submitted":
            self._submitted = record
        elif record["event"] == "report" and self._submitted is not None:
            start = record["time"] - record["metrics"]["seconds"] - self._submitted["time"]
            if not self.worker:
                self.worker = start
            else:
                self.starts.setdefault(self._submitted["rung"], []).append(start)
            self._submitted = None
        elif record["event"] == "decision" and record["state"] == "COMPLETED":
            seconds = time.perf_counter() - self._began if self._began else None
            time.sleep(SETTLE_SECONDS)
            self.pipe.send("go")
            bare = self.pipe.recv()
            if seconds is not None:
                self.pipeline.append(seconds)
                self.bare.append(bare)
            self._began = time.perf_counter()

    def say(self, notice: str) -> None:
        print(notice, flush=True)


def measure(title: str, overrides: tuple[str, ...], epochs: int, trials: int) -> None:
    made = composed(
        *STUDY, *overrides, f"max_resource={epochs}", f"n_trials={trials + 1}", "tracker.uri=sqlite:///mlflow.db"
    )
    made.config["search_space"] = SPACE
    context = start_method(made.config["objective"])
    here, there = context.Pipe()
    process = context.Process(target=bare_loop, args=(there, made.training, epochs), daemon=True)
    process.start()
    turns = Turns(here)
    run(made, turns)
    here.send(None)
    process.join()
    show(title, turns, epochs)


def show(title: str, turns: Turns, epochs: int) -> None:
    ratios = [ours / bare for ours, bare in zip(turns.pipeline, turns.bare, strict=True)]
    pipeline, bare, ratio = map(statistics.median, (turns.pipeline, turns.bare, ratios))
    new, later = turns.starts.pop(0), [start for rung in turns.starts.values() for start in rung]
    print(f"\n{title}: {len(ratios)} trials of {epochs} epochs, medians")
    print(f"  a trial      pipeline {pipeline:.2f} s, bare loop {bare:.2f} s")
    print(f"  fastest      pipeline {min(turns.pipeline):.2f} s, bare loop {min(turns.bare):.2f} s")
    print(f"  ratio        {ratio:.3f} (each: {', '.join(f'{each:.3f}' for each in ratios)})")
    print(f"  worker       {turns.worker:.2f} s to start, import torch and read the data")
    print(f"  a new trial  starts in {statistics.median(new) * 1e3:.1f} ms, besides its training")
    print(f"  a promotion  starts in {statistics.median(later) * 1e3:.1f} ms, besides its training", flush=True)


def run(made: Any, turns: Turns) -> None:
    """The study, as hpo_pipeline/study.py runs it, without its folder's views."""
    parts = check_study(made)
    folder = Path(made.config["folder"])
    folder.mkdir(parents=True)
    with Journal(folder / "journal.jsonl") as journal:
        keys = ("name", "seed")
        header = {"event": "study", "version": VERSION, "id": uuid.uuid4().hex, "unit": "epoch", "time": time.time()}
        header |= {key: made.config[key] for key in keys}
        header["metrics"] = [{"name": made.config["metric"], "mode": made.config["mode"]}]
        journal.append(header)
        tuner = Tuner(
            parts.scheduler, parts.trials, parts.executor, journal, StudyView(), parts.budget, listeners=[turns]
        )
        tuner.replay([header])
        tracking = Tracking(parts.trackers, folder, made.config, {"resume": "", "train": ""})
        end = tuner.run()
        tracking.close(60, lambda text: None)
    if end.state != "completed":
        raise SystemExit(f"the study {end.state}: {end.reason}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="softmax alone, fewer epochs")
    quick = parser.parse_args().quick
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        measure(
            "softmax, SGD, batch 32", (*SOFTMAX, "name=softmax"), epochs=4 if quick else 8, trials=3 if quick else 5
        )
        if not quick:
            measure("MLP 514-514, Adam, batch 68", (*MLP, "name=mlp"), epochs=2, trials=3)


if __name__ == "__main__":
    main()
