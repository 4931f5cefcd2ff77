"""Studies written by hand: as records one second apart, and as folders that anybody may have written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from hpo_pipeline.analysis.job_log import JobLog
from hpo_pipeline.journal import Journal
from hpo_pipeline.records import Record
from hpo_pipeline.view import StudyView


class Written:
    """Applies records to a view and a job log, and keeps them."""

    def __init__(
        self, mode: str = "min", name: str = "written", metrics: Mapping[str, str] | None = None, seed: int = 0
    ) -> None:
        self.view, self.log = StudyView(), JobLog()
        self.records: list[Record] = []
        self.time = 0.0
        named = [{"name": key, "mode": value} for key, value in (metrics or {"loss": mode}).items()]
        self.add("study", version=3, id=f"id of {name}", name=name, seed=seed, metrics=named, unit="epoch")
        self.add("session", pid=1)

    def save(self, folder: str | Path, config: str = "") -> Path:
        """Writes its folder: the journal, and config.yaml where there is one; returns the folder."""
        place = Path(folder)
        place.mkdir(parents=True)
        with Journal(place / "journal.jsonl") as journal:
            journal.append(*self.records)
        if config:
            (place / "config.yaml").write_text(config)
        return place

    def add(self, event: str, **keys: Any) -> None:
        record = {"event": event, "time": self.time, "elapsed": self.time, **keys}
        self.time += 1.0
        self.records.append(record)
        self.view.apply(record)
        self.log.apply(record)

    def job(self, trial: int, resource: int, rung: int = 0, config: Mapping[str, Any] | None = None) -> None:
        if trial not in self.view.trials:
            self.add("suggested", trial=trial, config=dict({"x": 0.1 * trial} if config is None else config))
        self.add("submitted", trial=trial, resource=resource, rung=rung, bracket=0)

    def report(self, trial: int, resource: int, value: float, rung: int | None = None, **further: float) -> None:
        self.add("report", trial=trial, resource=resource, metrics={"loss": value, "seconds": 1.0, **further})
        if rung is not None:
            self.add("rung", trial=trial, rung=rung, bracket=0, resource=resource)

    def done(self, trial: int, state: str = "COMPLETED", reason: str = "") -> None:
        self.add("result", trial=trial, outcome="done", error="", traceback="")
        self.add("decision", trial=trial, state=state, reason=reason)

    def fail(self, trial: int, error: str = "ValueError: no") -> None:
        self.add("result", trial=trial, outcome="failed", error=error, traceback="")
        self.add("decision", trial=trial, state="FAILED", reason=error)

    def trial(self, trial: int, values: list[float], config: Mapping[str, Any], state: str = "COMPLETED") -> None:
        """A whole trial with one rung, at its last epoch."""
        self.job(trial, len(values), config=config)
        for resource, value in enumerate(values, start=1):
            self.report(trial, resource, value, 0 if resource == len(values) else None)
        self.done(trial, state)


def of_method(
    folder: str | Path,
    values: Sequence[float],
    *,
    seed: int = 0,
    choices: Mapping[str, str] = MappingProxyType({"scheduler": "asha", "searcher": "random"}),
    settings: str = "",
    mode: str = "min",
    end: str | None = "completed",
) -> Path:
    """A study with one trial that reports these values: the first after 4 s, the others 1 s apart each.

    Args:
        settings: further lines of its config.yaml.
        end: how it ended, 1 s after its last report; None: it was broken off.
    """
    study = Written(mode, name=Path(folder).name, seed=seed)
    study.job(0, len(values))
    for resource, value in enumerate(values, start=1):
        study.report(0, resource, value)
    if end is not None:
        study.add("end", state=end, reason="")
    chosen = ", ".join(f"{group}: {option}" for group, option in choices.items())
    return study.save(folder, f"name: {study.records[0]['name']}\nseed: {seed}\nchoices: {{{chosen}}}\n{settings}")


def written_folder(
    folder: str | Path,
    *,
    name: str = "s",
    loss: float = 0.5,
    error: str = "",
    configs: Sequence[Mapping[str, Any]] = ({"lr": 0.1},),
) -> Path:
    """A study that was broken off in the midst of its trials, or whose trials failed with an error."""
    place = Path(folder)
    place.mkdir(parents=True)
    metrics = [{"name": "loss", "mode": "min"}]
    with Journal(place / "journal.jsonl") as journal:
        journal.append({"event": "study", "version": 3, "name": name, "metrics": metrics, "time": 0.0})
        for trial, config in enumerate(configs):
            of: dict[str, Any] = {"trial": trial, "time": 1.0}
            journal.append({"event": "suggested", "config": config, **of})
            journal.append({"event": "submitted", "resource": 9, "rung": 0, "bracket": 0, **of})
            journal.append({"event": "report", "resource": 1, "metrics": {"loss": loss}, **of})
            if error:
                journal.append({"event": "result", "outcome": "failed", "error": error, "traceback": "", **of})
                journal.append({"event": "decision", "state": "FAILED", "reason": error, **of})
    return place
