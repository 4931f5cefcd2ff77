"""What a study looks like in MLflow: each journal record as what it adds to a run.

The study is the parent run (key None), each trial a child run (key: trial id). What a record adds follows from the
journal up to that record alone, timestamps included; so it may be sent twice, and is in the store once.
"""

from __future__ import annotations

import getpass
import math
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from hpo_pipeline.records import Record
from hpo_pipeline.report.command import trial_overrides
from hpo_pipeline.report.text import counts
from hpo_pipeline.tracker.mlflow.links import runs_link
from hpo_pipeline.tracker.mlflow.naming import TAG_LENGTH, Keys, clipped, dimensions, domain_text, number, scalars, text
from hpo_pipeline.tracker.mlflow.study_page import note, saved_view, view_key
from hpo_pipeline.tracker.mlflow.update import Point, RunKey, Update, milliseconds
from hpo_pipeline.trial import FINAL, State
from hpo_pipeline.view import StudyView, TrialView

_CONFIG_PARAMS = 100
_ERROR_LENGTH = 500
# MLflow's own words for the state of a run. FAILED and KILLED look alike in its table, so a trial that was stopped
# early is FINISHED, with its state as a tag.
_RUN_STATUS = dict.fromkeys(State, "FINISHED") | {
    State.FAILED: "FAILED",
    State.INTERRUPTED: "KILLED",
    State.RUNNING: "KILLED",
}


class StudyRuns:
    """Turns a study's records into what they add to runs, in order.

    Args:
        study: the journal's latest `study` record: all that the journal holds is shown as this one's.
        config: the composed study config.
        commands: "train" -> the beginning of the command line that re-runs a trial; "resume" -> the one that goes on.

    Attributes:
        files: names in the folder of what is logged to the study's run.
        trials: those that have runs.
    """

    files = ("journal.jsonl", "config.yaml", "overrides.yaml", "best.yaml", "leaderboard.csv", "report.html")

    def __init__(self, study: Record, config: Mapping[str, Any], commands: Mapping[str, str]) -> None:
        self.view = StudyView()
        self.trials = self.view.trials.keys()
        self._source = _source_tags()
        self._study_id, self._name = str(study["id"]), str(study["name"])
        self._config = config
        self._commands = commands
        self._keys = Keys()
        self._log_scaled = {
            path for path, domain in dimensions(config.get("search_space")).items() if domain.get("log")
        }
        self._terminated: set[int] = set()
        self._now = 0

    def apply(self, record: Record) -> Iterator[tuple[RunKey, Update]]:
        """Takes in the next record; yields what it adds to which run."""
        known, known_fronts = len(self.view.best_history), len(self.view.front_history)
        known_study = bool(self.view.header)
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
        found, spent = counts(self.view.trials.values()), self.view.total_resource
        values = {f"hpo.trials.{state.value.lower()}": found.get(state, 0) for state in State}
        values["hpo.resource.total"] = spent
        content = note(self.view, experiment_id, trial_runs, self._commands.get("resume", ""))
        return Update(metrics=self._points(values, self._now, spent), tags={"mlflow.note.content": content})

    def saved_view(self, run_id: str) -> dict[str, str]:
        """The page of charts, as tags of the experiment."""
        return {f"mlflow.sharedViewState.{view_key(run_id)}": saved_view(self.view, self._config, run_id)}

    def link(self, experiment_id: str, run_id: str, *, with_view: bool) -> str:
        """Where to look in the UI."""
        return runs_link(experiment_id, view_key(run_id) if with_view else "")

    def _study(self, record: Record, now: int) -> Update:
        params = {"scheduler": self._component("scheduler"), "searcher": self._component("searcher")}
        metrics = self.view.metrics
        params |= {"seed": text(record["seed"]), "metric": ", ".join(metric.name for metric in metrics)}
        params |= {"mode": ", ".join(metric.mode for metric in metrics)}
        keys = Keys()
        for path, domain in dimensions(self._config.get("search_space")).items():
            params[keys(f"space.{path}")] = domain_text(domain)
        # The tracker's own settings may hold a password, and the search space is told above.
        rest = {key: value for key, value in self._config.items() if key not in ("search_space", "tracker")}
        plain = [(path, value) for path, value in scalars(rest) if not path.endswith(("_target_", "_partial_"))]
        for path, value in plain[:_CONFIG_PARAMS]:
            params.setdefault(keys(path), text(value))
        tags = {"hpo.role": "study", "hpo.study_id": self._study_id, "hpo.state": "RUNNING", **self._source}
        return Update(created=(self._name, now), params=params, tags=tags)

    def _component(self, group: str) -> str:
        node = self._config.get(group)
        return str(node.get("_target_", "")).rpartition(".")[2] if isinstance(node, Mapping) else text(node)

    def _suggested(self, trial: TrialView, now: int) -> Update:
        params = {self._keys(path): text(value) for path, value in trial.config.items()}
        for path, value in trial.config.items():
            # The UI's charts of parameters have no logarithmic axis.
            if path in self._log_scaled and isinstance(value, (int, float)) and value > 0:
                params[self._keys(f"log10.{path}")] = text(math.log10(value))
        tags = {
            "hpo.role": "trial",
            "hpo.uid": f"{self._study_id}:{trial.id}",
            "hpo.trial": str(trial.id),
            "hpo.origin": clipped(trial.origin, TAG_LENGTH),
            **({"hpo.repeats": str(trial.repeats)} if trial.repeats is not None else {}),
            **self._source,
            **self._standing(trial),
        }
        return Update(created=(f"trial-{trial.id:04d}", now), params=params, tags=tags)

    def _standing(self, trial: TrialView) -> dict[str, str]:
        goes_on = trial.state is State.INTERRUPTED and trial.id not in self._terminated
        words = trial_overrides(trial.id, trial.resource or trial.target_resource or 1, trial.config)
        return {
            "hpo.state": State.RUNNING.value if goes_on else trial.state.value,
            "hpo.stop_reason": clipped(trial.reason, TAG_LENGTH),
            "hpo.bracket": str(trial.bracket),
            "hpo.rung": str(trial.rung),
            "hpo.command": clipped(f"{self._commands.get('train', '')} {shlex.join(words)}".strip(), TAG_LENGTH),
        }

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
        """The run ends here, as far as is known. Its summary has the time of its last report: the same if repeated."""
        self._terminated.add(trial.id)
        update = Update(tags=self._standing(trial), status=(_RUN_STATUS[trial.state], now))
        if trial.curve:
            last = milliseconds(trial.curve[-1][2])
            summary = {"hpo.resource": trial.resource, "hpo.rung": trial.rung, "hpo.seconds": trial.seconds}
            if trial.is_usable:  # the UI sorts by them
                summary |= {f"best.{m.name}": trial.at(trial.best_resource)[m.name] for m in self.view.metrics}
                summary |= {"hpo.violation": trial.best_violation} if self.view.constraints else {}
            update.metrics = self._points(summary, last, trial.resource)
        return update

    def _end(self, record: Record, now: int) -> Iterator[tuple[RunKey, Update]]:
        for trial in self.view.trials.values():
            if trial.id not in self._terminated:
                update = self._terminate(trial, now)
                if trial.state is State.RUNNING:
                    update.tags["hpo.state"] = State.INTERRUPTED.value
                yield trial.id, update
        for trial_id in self.view.trials if self.view.has_front else ():
            members = [
                f"member {number}, at {point.resource}"
                for number, point in enumerate(self.view.front.points, start=1)
                if point.trial_id == trial_id
            ]
            yield trial_id, Update(tags={"hpo.front": clipped("; ".join(members), TAG_LENGTH)})
        state = {"interrupted": State.INTERRUPTED, "failed": State.FAILED}.get(record["state"], State.COMPLETED)
        tags = {"hpo.state": state.value, "hpo.end_reason": clipped(str(record["reason"]), TAG_LENGTH)}
        winner, metrics = self.view.winner, []
        if winner is not None:
            tags["hpo.winner"] = str(winner.id)
            if (over := self.view.over_seeds(winner)).n > 1:
                values = {"hpo.winner.mean": over.mean, "hpo.winner.standard_error": over.standard_error}
                metrics = self._points(values, now, self.view.total_resource)
        yield None, Update(tags=tags, metrics=metrics, status=(_RUN_STATUS[state], now))


def _source_tags() -> dict[str, str]:
    """MLflow's own tags on where a run comes from, shown in its table."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError, ImportError):
        user = "unknown"
    return {"mlflow.source.name": "tune.py", "mlflow.source.type": "LOCAL", "mlflow.user": user}
