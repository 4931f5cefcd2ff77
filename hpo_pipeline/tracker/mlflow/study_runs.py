"""What a study looks like in MLflow: each journal record as what it adds to a run.

The study is the parent run (key None), each trial a child run (key: trial id). What a record adds follows from the
journal up to that record alone, timestamps included; so it may be sent twice, and is in the store once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from hpo_pipeline.records import Record
from hpo_pipeline.report.rung_table import RungTable
from hpo_pipeline.report.text import counts, short
from hpo_pipeline.tracker.mlflow import trial_run
from hpo_pipeline.tracker.mlflow.links import study_routes
from hpo_pipeline.tracker.mlflow.naming import TAG_LENGTH, Keys, clipped, dimensions, number
from hpo_pipeline.tracker.mlflow.params import components, study_params
from hpo_pipeline.tracker.mlflow.saved_view import STUDIES, saved_view, studies_view, view_key
from hpo_pipeline.tracker.mlflow.source import source_tags
from hpo_pipeline.tracker.mlflow.study_page import note
from hpo_pipeline.tracker.mlflow.update import Point, RunKey, Update, milliseconds
from hpo_pipeline.trial import FINAL, State
from hpo_pipeline.view import StudyView, TrialView

_ERROR_LENGTH = 500


class StudyRuns:
    """Turns a study's records into what they add to runs, in order.

    Args:
        study: the journal's latest `study` record: all that the journal holds is shown as this one's.
        config: the composed study config.
        commands: "train" -> the beginning of the command line that re-runs a trial; "resume" -> the one that goes on.

    Attributes:
        files: names in the folder of what is logged to the study's run.
        trials: those that have runs.
        dataset: its name.
    """

    files = (
        "journal.jsonl",
        "config.yaml",
        "overrides.yaml",
        "environment.yaml",
        "data.json",
        "best.yaml",
        "leaderboard.csv",
        "report.html",
    )

    def __init__(self, study: Record, config: Mapping[str, Any], commands: Mapping[str, str]) -> None:
        self.view = StudyView()
        self.trials = self.view.trials.keys()
        self._rungs = RungTable()
        self._study_id, self._name = str(study["id"]), str(study["name"])
        self._config = config
        self._commands = commands
        self._source: dict[str, str] | None = None
        self.dataset = components(config).get("dataset", "data")
        self._keys = Keys()
        self._log_scaled = {
            path for path, domain in dimensions(config.get("search_space")).items() if domain.get("log")
        }
        self._terminated: set[int] = set()
        self._winner: TrialView | None = None
        self._members: set[int] = set()
        self._now = 0

    def apply(self, record: Record) -> Iterator[tuple[RunKey, Update]]:
        """Takes in the next record; yields what it adds to which run."""
        known, known_fronts = len(self.view.best_history), len(self.view.front_history)
        known_study = bool(self.view.header)
        known_best = self._best_resource(record)
        self.view.apply(record)
        self._now = now = milliseconds(record["time"])
        match record["event"]:
            case "study" if not known_study:
                yield None, self._study(record, now)
            case "session":
                clock = {"hpo.clock": "simulated"} if self.view.is_simulated else {}
                tags = {"hpo.state": "RUNNING", "hpo.end_reason": "", **clock}
                yield None, Update(tags=tags, status=("RUNNING", now))
            case "end":
                yield from self._end(record, now)
            case "suggested":
                yield record["trial"], self._suggested(self.view.trials[record["trial"]], now)
            case "submitted" | "report" | "rung" | "result" | "decision" as event:
                trial = self.view.trials[record["trial"]]
                if event in ("submitted", "report") and trial.id in self._terminated:
                    # An interrupted job goes on in the next session, with its next report.
                    self._terminated.discard(trial.id)
                    yield trial.id, Update(tags=self._standing(trial), status=("RUNNING", now))
                if self._best_resource(record) != known_best:
                    yield trial.id, Update(metrics=self._best(trial, now, trial.best_resource))
                yield trial.id, getattr(self, f"_{event}")(trial, record, now)
        for resource, value, time in self.view.best_history[known:]:
            yield None, Update(metrics=self._points({f"best.{self.view.metric}": value}, milliseconds(time), resource))
        for resource, volume, members, time in self.view.front_history[known_fronts:]:
            values = {"front.hypervolume": volume, "front.members": float(members)}
            yield None, Update(metrics=self._points(values, milliseconds(time), resource))

    @property
    def complete(self) -> bool:
        """Whether the study has come to its end."""
        return self.view.end is not None and self.view.end["state"] == "completed"

    def standing(self, experiment_id: str, trial_runs: Mapping[int, str]) -> Update:
        """Where the study stands, taken once a window: how many trials are in which state, and it in a few lines."""
        found = counts(self.view.trials.values())
        states = ", ".join(f"{n} {state.value.lower()}" for state, n in found.items())
        resume = self._commands.get("resume", "")
        tags = {
            "hpo.trials": f"{len(self.view.trials)} ({states})" if found else "0",
            "hpo.evaluations": str(self.view.evaluations),
            "hpo.resource": str(self.view.total_resource),
            "hpo.seconds": short(self.view.seconds, 4),
            "mlflow.note.content": note(self.view, self._rungs.rows(), experiment_id, trial_runs, resume),
        }
        return Update(tags=tags)

    def saved_view(self, run_id: str) -> dict[str, str]:
        """Pages of the study and of all studies, as tags of the experiment."""
        pages = {view_key(run_id): saved_view(self.view, self._config, run_id), STUDIES: studies_view(self.view)}
        return {f"mlflow.sharedViewState.{key}": page for key, page in pages.items()}

    def links(self, experiment_id: str, run_id: str, *, with_view: bool) -> dict[str, str]:
        """Where to look in the UI."""
        return study_routes(experiment_id, view_key(run_id) if with_view else "")

    def _best_resource(self, record: Record) -> int:
        """Where the best report of the record's trial is, 0 if there is none."""
        trial = self.view.trials.get(record.get("trial", -1))
        return trial.best_resource if trial else 0

    def _study(self, record: Record, now: int) -> Update:
        metrics = self.view.metrics
        names, modes = (", ".join(getattr(metric, key) for metric in metrics) for key in ("name", "mode"))
        params = study_params(self._config, names, modes, record["seed"])
        tags = {"hpo.role": "study", "hpo.study_id": self._study_id, "hpo.state": "RUNNING", **self._source_tags()}
        return Update(created=(self._name, now), params=params, tags=tags)

    def _source_tags(self) -> dict[str, str]:
        if self._source is None:
            self._source = source_tags(self._commands.get("resume", ""))
        return self._source

    def _suggested(self, trial: TrialView, now: int) -> Update:
        params = trial_run.params(trial, self._log_scaled, self._keys)
        tags = {**trial_run.created_tags(self._study_id, trial), **self._source_tags(), **self._standing(trial)}
        return Update(created=(f"trial-{trial.id:04d}", now), params=params, tags=tags)

    def _best(self, trial: TrialView, now: int, step: int) -> list[Point]:
        return self._points(trial_run.best_values(self.view, trial), now, step)

    def _standing(self, trial: TrialView) -> dict[str, str]:
        goes_on = trial.state is State.INTERRUPTED and trial.id not in self._terminated
        return trial_run.standing(self.view, trial, self._commands.get("train", ""), goes_on=goes_on)

    def _submitted(self, trial: TrialView, record: Record, now: int) -> Update:
        update = Update(tags=self._standing(trial))
        if record.get("finalist"):
            update.tags["hpo.finalist"] = "true"
        if "source" in record:
            # An MLflow parameter can't change; what does is a metric over the steps that it holds from.
            update.metrics += self._hyperparameters(trial.config, now, trial.resource)
            if len(trial.changes) == 1:
                update.metrics += self._hyperparameters(trial.first_config, milliseconds(trial.started), 0)
            origins = [f"{c.resource}: trial {c.source[0]} at {c.source[1]}" for c in trial.changes if c.source]
            update.tags["hpo.lineage"] = clipped("; ".join(origins), TAG_LENGTH)
        return update

    def _hyperparameters(self, config: Mapping[str, Any], now: int, step: int) -> list[Point]:
        numbers = {f"hyperparameter/{path}": x for path, x in config.items() if isinstance(x, (int, float))}
        return self._points(numbers, now, step)

    def _report(self, trial: TrialView, record: Record, now: int) -> Update:
        update = Update(metrics=self._points(record["metrics"], now, record["resource"]))
        for name, value in record["metrics"].items():
            if not math.isfinite(value):
                update.tags["hpo.diverged"] = f"{name} was {value} at {record['resource']}"
        return update

    def _rung(self, trial: TrialView, record: Record, now: int) -> Update:
        self._rungs.add(trial, self.view.metrics[0])
        reached = trial.rungs[-1].metrics
        values = {f"rung/{metric.name}": reached[metric.name] for metric in self.view.metrics}
        return Update(metrics=self._points(values, now, record["resource"]), tags=self._standing(trial))

    def _points(self, values: Mapping[str, float], now: int, step: int) -> list[Point]:
        return [Point(self._keys(name), number(value), now, step) for name, value in values.items()]

    def _result(self, trial: TrialView, record: Record, now: int) -> Update:
        if record["outcome"] == "interrupted":
            return self._terminate(trial, now)
        if record["outcome"] != "failed":
            return Update()
        tags = {"hpo.error": clipped(trial.error, _ERROR_LENGTH)}
        return Update(tags=tags, files={"traceback.txt": trial.traceback} if trial.traceback else {})

    def _decision(self, trial: TrialView, record: Record, now: int) -> Update:
        return self._terminate(trial, now) if trial.state in FINAL else Update(tags=self._standing(trial))

    def _terminate(self, trial: TrialView, now: int) -> Update:
        """The run ends here, as far as is known."""
        self._terminated.add(trial.id)
        status = trial_run.RUN_STATUS[trial.state]
        has_lost_its_best = trial.state is State.FAILED and trial.best_resource > 0
        metrics = self._best(trial, now, trial.resource) if has_lost_its_best else []
        return Update(tags=self._standing(trial), metrics=metrics, status=(status, now))

    def _end(self, record: Record, now: int) -> Iterator[tuple[RunKey, Update]]:
        for trial in self.view.trials.values():
            if trial.id not in self._terminated:
                update = self._terminate(trial, now)
                if trial.state is State.RUNNING:
                    update.tags["hpo.state"] = State.INTERRUPTED.value
                yield trial.id, update
        yield from self._front()
        state = {"interrupted": State.INTERRUPTED, "failed": State.FAILED}.get(record["state"], State.COMPLETED)
        tags = {"hpo.state": state.value, "hpo.end_reason": clipped(str(record["reason"]), TAG_LENGTH)}
        winner, before = self.view.winner, self._winner
        if winner is not None:
            self._winner = winner
            tags["hpo.winner"] = str(winner.id)
            if (over := self.view.over_seeds(winner)).n > 1:
                tags["hpo.winner.mean"] = short(over.mean, 6)
                tags["hpo.winner.standard_error"] = short(over.standard_error, 3)
            # The winner of an earlier session may be it no more.
            for one in (before, winner) if before is not None else (winner,):
                yield one.id, Update(tags=self._standing(one))
        yield None, Update(tags=tags, status=(trial_run.RUN_STATUS[state], now))

    def _front(self) -> Iterator[tuple[RunKey, Update]]:
        """Which members of the front a trial has; nothing more of one that had some when an earlier session ended."""
        members: dict[int, list[str]] = {trial_id: [] for trial_id in self._members}
        for rank, point in enumerate(self.view.front.points if self.view.has_front else (), start=1):
            members.setdefault(point.trial_id, []).append(f"member {rank}, at {point.resource}")
        for trial_id, texts in members.items():
            yield trial_id, Update(tags={"hpo.front": clipped("; ".join(texts), TAG_LENGTH)})
        self._members = {trial_id for trial_id, texts in members.items() if texts}
