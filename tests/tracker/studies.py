"""Studies written by hand, and stores of runs to carry them into."""

from __future__ import annotations

import itertools
import json
import math
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from hpo_pipeline.dataset.fingerprint import DataSplit
from hpo_pipeline.journal import Journal
from hpo_pipeline.tracker import LostError
from hpo_pipeline.tracker.follower import Follower
from hpo_pipeline.tracker.mlflow import MLflowTracker
from hpo_pipeline.tracker.mlflow.store import RefusedError
from hpo_pipeline.tracker.mlflow.update import Update

CONFIG: dict[str, Any] = {
    "seed": 7,
    "n_trials": 16,
    "model": {"_target_": "hpo_pipeline.model.mlp.MLP", "layers": [1, 2]},
    "scheduler": {"_target_": "hpo_pipeline.scheduler.asha.ASHA", "eta": 2},
    "searcher": {"_target_": "hpo_pipeline.searcher.random.RandomSearch"},
    "search_space": {
        "optimizer": {"lr": {"type": "float", "low": 1e-6, "high": 1.0, "log": True}},
        "model": {"n_units": {"type": "int", "low": 4, "high": 1024}},
    },
}
COMMANDS = {"train": "python train.py model=mlp", "resume": "python tune.py name=s resume=true"}


class Study:
    """Writes a study's journal; each record is a second after the one before."""

    def __init__(self, folder: Path, study_id: str = "study-1") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.study_id = study_id
        self.journal = Journal(folder / "journal.jsonl")
        self.now = 1_700_000_000.0

    def record(self, event: str, **keys: Any) -> None:
        self.now += 1.0
        self.journal.append({"event": event, **keys, "time": self.now})

    def begin(self) -> None:
        head = {"version": 1, "id": self.study_id, "name": "s", "seed": 7, "unit": "epoch"}
        self.record("study", **head, metrics=[{"name": "error", "mode": "min"}])
        self.session()

    def session(self) -> None:
        self.record("session", pid=1)

    def suggest(self, trial: int, lr: float = 0.001, n_units: int = 64) -> None:
        self.record("suggested", trial=trial, config={"optimizer.lr": lr, "model.n_units": n_units})

    def submit(self, trial: int, resource: int, rung: int = 0) -> None:
        self.record("submitted", trial=trial, resource=resource, rung=rung, bracket=0)

    def report(self, trial: int, resource: int, **metrics: float) -> None:
        self.record("report", trial=trial, resource=resource, metrics=metrics)

    def rung(self, trial: int, resource: int, rung: int) -> None:
        self.record("rung", trial=trial, rung=rung, bracket=0, resource=resource)

    def result(self, trial: int, outcome: str = "done", error: str = "", traceback: str = "") -> None:
        self.record("result", trial=trial, outcome=outcome, error=error, traceback=traceback)

    def decide(self, trial: int, state: str, reason: str = "") -> None:
        self.record("decision", trial=trial, state=state, reason=reason)

    def end(self, state: str = "completed", reason: str = "n_trials=16 are done") -> None:
        self.record("end", state=state, reason=reason)

    def job(self, trial: int, begin: int, resource: int, rung: int, value: float) -> None:
        """One job that goes well: every epoch reports `value`."""
        self.submit(trial, resource, rung)
        for epoch in range(begin + 1, resource + 1):
            self.report(trial, epoch, error=value, seconds=2.0)
        self.rung(trial, resource, rung)
        self.result(trial)

    def successive_halving(self) -> None:
        """16, 8, 4, 2, 1 trials at 1, 2, 4, 8, 16 epochs: 31 rung evaluations. Trial 0 is the best."""
        self.begin()
        for trial in range(16):
            self.suggest(trial)
        size, resource, before, rung = 16, 1, 0, 0
        while size:
            for trial in range(size):
                self.job(trial, before, resource, rung, value=0.1 + trial / 100)
                self.decide(trial, "PAUSED" if size > 1 else "COMPLETED")
            for trial in range(size // 2, size) if size > 1 else ():
                self.decide(trial, "STOPPED", f"rung {rung}: kept {size // 2}")
            size, before, resource, rung = size // 2, resource, 2 * resource, rung + 1
        self.end()

    def eventful(self) -> None:
        """A short study with everything in it: two sessions, pauses, a promotion, a failure, a NaN."""
        self.begin()
        for trial, lr in enumerate((0.1, 0.01, 0.001)):
            self.suggest(trial, lr=lr)
        self.job(0, 0, 1, 0, value=0.5)
        self.decide(0, "PAUSED")
        self.job(1, 0, 1, 0, value=math.nan)
        self.decide(1, "STOPPED", "rung 0: rank 2 of 2, kept 1")
        self.submit(2, 1)
        self.result(2, "failed", "ValueError: no", "Traceback: no")
        self.decide(2, "FAILED")
        self.submit(0, 3, rung=1)
        self.report(0, 2, error=0.4, seconds=2.0)
        self.result(0, "interrupted")
        self.end("interrupted", "stopped by Ctrl-C")
        self.session()
        self.report(0, 3, error=0.3, seconds=2.0)
        self.rung(0, 3, 1)
        self.result(0)
        self.decide(0, "COMPLETED")
        self.end()


class MemoryStore:
    """A store in memory that keeps MLflow's promises, and no others: runs are made anew by every call of `create`,
    params can't change, and a metric record that is sent twice is there once."""

    def __init__(self) -> None:
        self.runs: dict[str, dict[str, Any]] = {}
        self.experiment_tags: dict[str, str] = {}
        self._numbers = itertools.count()

    def experiment(self, name: str) -> str:
        return "1"

    def tag_experiment(self, experiment_id: str, key: str, value: str) -> None:
        self.experiment_tags[key] = value

    def check(self) -> None: ...

    def tags(self, run_id: str) -> dict[str, str]:
        return dict(self.runs[run_id]["tags"]) if run_id in self.runs else {}

    def find(self, experiment_id: str, tag: str, value: str) -> str | None:
        return next((run_id for run_id, run in self.runs.items() if run["tags"].get(tag) == value), None)

    def trials(self, experiment_id: str, study_id: str) -> dict[int, str]:
        uids = {run_id: run["tags"].get("hpo.uid", "").rpartition(":") for run_id, run in self.runs.items()}
        return {int(trial): run_id for run_id, (study, _, trial) in uids.items() if study and study == study_id}

    def create(self, experiment_id: str, name: str, tags: dict[str, str], time: int) -> str:
        run_id = f"run{next(self._numbers)}"
        new = {"name": name, "status": "RUNNING", "tags": dict(tags), "params": {}, "metrics": set(), "files": {}}
        self.runs[run_id] = new
        return run_id

    def log(self, run_id: str, update: Update) -> list[str]:
        run = self._there(run_id)
        changed = {key for key, value in update.params.items() if run["params"].get(key, value) != value}
        run["params"] = update.params | run["params"]
        run["tags"] |= update.tags
        # NaN is unequal to itself: its text stands for it.
        run["metrics"] |= {(p.key, repr(p.value), p.time, p.step) for p in update.metrics}
        return sorted(changed)

    def set_status(self, run_id: str, status: str, time: int) -> None:
        self._there(run_id)["status"] = status

    def _there(self, run_id: str) -> dict[str, Any]:
        if run_id not in self.runs:
            raise LostError(f"a run of this study ({run_id}) was deleted")
        return self.runs[run_id]

    def text(self, run_id: str, name: str, content: str) -> None:
        self._there(run_id)["files"][name] = content

    def file(self, run_id: str, path: Path, folder: str | None = None) -> None:
        if run_id not in self.runs:
            raise RefusedError("there is no such run")
        self.runs[run_id]["files"][f"{folder or ''}{path.name}"] = "file"

    def has_file(self, run_id: str, name: str) -> bool:
        return run_id in self.runs and name in self.runs[run_id]["files"]

    def inputs(self, run_id: str, name: str, splits: list[DataSplit]) -> None:
        self._there(run_id)["inputs"] = [(name, split.context, split.digest) for split in splits]

    def analyze(self) -> None: ...

    def prepare_model(self) -> None: ...

    def children(self) -> dict[int, str]:
        """Trial id -> run id, of the only study."""
        (parent,) = (run_id for run_id, run in self.runs.items() if run["tags"]["hpo.role"] == "study")
        mine = {i: run["tags"] for i, run in self.runs.items() if run["tags"].get("mlflow.parentRunId") == parent}
        return {int(tags["hpo.trial"]): run_id for run_id, tags in mine.items()}

    def named(self, name: str) -> dict[str, Any]:
        found = [run for run in self.runs.values() if run["name"] == name]
        assert len(found) == 1
        return found[0]

    def content(self) -> str:
        """What no crash may change: all runs by name, without ids, notes and what is only sampled."""
        runs = [
            {
                "name": run["name"],
                "status": run["status"],
                "params": run["params"],
                "tags": {
                    k: v
                    for k, v in run["tags"].items()
                    if k not in ("mlflow.parentRunId", "mlflow.note.content", "hpo.journal")
                },
                "metrics": sorted(run["metrics"]),
                "files": sorted(run["files"]),
            }
            for run in self.runs.values()
        ]
        return json.dumps(sorted(runs, key=lambda run: str(run["name"])), indent=1, sort_keys=True)


class Killed(BaseException):
    """The process dies here."""


class Faulty:
    """A store in which the calls from number `at` on (`times` of them) go wrong, before or after their effect."""

    def __init__(
        self, store: Any, at: int, after: bool, error: Callable[[], BaseException] = Killed, times: int = 1
    ) -> None:
        self.store, self.at, self.after, self.error, self.times = store, at, after, error, times
        self.count = 0
        self.called: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.store, name)

        def call(*arguments: Any) -> Any:
            number, self.count = self.count, self.count + 1
            self.called.add(name)
            fails = self.at <= number < self.at + self.times
            if fails and not self.after:
                raise self.error()
            answer = method(*arguments)
            if fails:
                raise self.error()
            return answer

        return call


def following(
    study: Study,
    open_store: Callable[[], Any],
    config: dict[str, Any] = CONFIG,
    commands: dict[str, str] = COMMANDS,
    uri: str = "sqlite:////store.db",
    experiment: str = "test",
) -> Follower:
    """What follows the study for MLflow."""
    tracker = MLflowTracker(uri, experiment)
    tracker.open = open_store  # type: ignore[method-assign]
    return Follower(tracker.writer(study.folder, config, commands), study.journal.path, commands.get("resume", ""))


def carry(study: Study, store: Any, config: dict[str, Any] = CONFIG, **of_store: str) -> Follower:
    """One session's follower, run to its end in this thread."""
    follower = following(study, lambda: store, config, **of_store)
    follower.ended.set()
    follower.run()
    return follower


def execute(path: Path, statement: str) -> list[Any]:
    """One SQL statement in a database of its own connection."""
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute(statement).fetchall()
        connection.commit()
        return found
