"""Writes a study, or a training, into MLflow: one run for it, and one child run a trial.

Runs are known by the study's id that they bear, and how far the store has followed is noted in the store alone (the
tag hpo.journal of the study's run). What a record adds to a run is the same each time it is sent; only the making of
runs must not be repeated blindly: before it is, they are looked up.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpo_pipeline.records import Record
from hpo_pipeline.tracker import LostError, StoreDownError, UnusableStoreError
from hpo_pipeline.tracker.mlflow import uri as uris
from hpo_pipeline.tracker.mlflow.inputs import data_splits
from hpo_pipeline.tracker.mlflow.links import how_to_look
from hpo_pipeline.tracker.mlflow.logged_model import KeptModel
from hpo_pipeline.tracker.mlflow.store import RefusedError
from hpo_pipeline.tracker.mlflow.study_runs import StudyRuns
from hpo_pipeline.tracker.mlflow.training_run import TrainingRun
from hpo_pipeline.tracker.mlflow.update import RunKey, Update

if TYPE_CHECKING:
    from hpo_pipeline.tracker.mlflow import MLflowTracker

_log = logging.getLogger(__name__)
_BESIDE = ("plots/*", "best/[0-9]*.yaml")
"""Files of the folder that are logged to the run, by the name of their own folder."""
_ANALYZE_AT = 60
_REJECTED = "mlflow-rejected.jsonl"
_POSITION = "hpo.journal"


class MLflowWriter:
    """Implements `hpo_pipeline.tracker.Writer`, by the settings of `tracker`."""

    name = "MLflow"

    def __init__(
        self, tracker: MLflowTracker, folder: Path, config: Mapping[str, Any], commands: Mapping[str, str]
    ) -> None:
        self.window = tracker.window
        self._tracker = tracker
        self._folder = folder
        self._config = config
        self._commands = commands
        self._n_rejected = 0

    def open(self, study: Record) -> str:
        """Opens the store and finds what an earlier session has made there."""
        study_id = str(study["id"])
        if not re.fullmatch(r"[\w-]+", study_id):
            raise UnusableStoreError(f"the study's id in its journal is none: {study_id!r}")
        shown_as = TrainingRun if study.get("kind") == "training" else StudyRuns
        self._runs: StudyRuns | TrainingRun = shown_as(study, self._config, self._commands)
        self._study_id = study_id
        self._pending: dict[RunKey, Update] = {}
        self._uncertain: set[RunKey] = set()
        self._refused: set[RunKey] = set()
        self._presented, self._attached = False, ""
        self._prepared = False
        self._store = self._tracker.open()
        self._experiment_id = self._store.experiment(self._tracker.experiment)
        self._study_run = self._store.find(self._experiment_id, "hpo.study_id", study_id) or ""
        self._trial_runs = self._store.trials(self._experiment_id, study_id)
        self._position = self._store.tags(self._study_run).get(_POSITION, "") if self._study_run else ""
        return self._position

    def take(self, record: Record, *, held: bool) -> None:
        """Merges what the record adds to each run into what is pending there."""
        for key, update in self._runs.apply(record):
            if not held:
                self._pending.setdefault(key, Update()).add(update)

    def write(self, position: str) -> Iterator[int | None]:
        """Writes what is pending, run by run; that all of it is there is noted with the last of it."""
        before = len(self._trial_runs)
        self._run(None, self._pending.setdefault(None, Update()))  # trials are below it; what it has is written last
        for key in [key for key in self._pending if key is not None]:
            self._write_run(key, self._pending[key])
            del self._pending[key]
            yield key
        if self._pending[None].status:  # it is a call of its own, which has to come before the position is noted
            self._write_run(None, self._pending[None])
            self._pending[None] = Update()
        self._store.check()
        last = self._runs.standing(self._experiment_id, self._trial_runs)
        last.tags[_POSITION] = position
        self._pending[None].add(last)
        self._write_run(None, self._pending[None])
        del self._pending[None]
        self._position = position
        yield None
        if before < _ANALYZE_AT <= len(self._trial_runs):
            self._store.analyze()
        if not self._presented:
            self._present()
        elif self._tracker.log_model and not self._prepared:  # from the second window on: the study goes on
            self._prepared = True
            self._store.prepare_model()

    def close(self) -> str:
        """Makes sure of what was written, and adds the files that there are now."""
        self._store.check()
        if self._store.tags(self._study_run).get(_POSITION) != self._position:
            raise LostError("the study's run was deleted")
        there = self._store.trials(self._experiment_id, self._study_id)
        if gone := self._runs.trials - there.keys() - self._refused:
            raise LostError(f"{len(gone)} of its trials' runs were deleted")
        if self._attached and not self._store.has_file(self._study_run, self._attached):
            raise LostError("its artifacts were deleted")
        self._present()
        told = self._log_model()
        self._store.analyze()
        links = self._runs.links(self._experiment_id, self._study_run, with_view=self._tracker.saved_view)
        return "\n".join(filter(None, (how_to_look(self._tracker.uri, self._tracker.experiment, links), told)))

    def masked(self, text: str) -> str:
        return uris.masked(text, self._tracker.uri)

    # -- runs ------------------------------------------------------------------------------------------------------

    def _write_run(self, key: RunKey, update: Update) -> None:
        run_id = self._run(key, update)
        if not run_id:
            self._reject(key, ["the run was refused"])
            return
        lines = self._store.log(run_id, update)
        try:
            for name, content in update.files.items():
                self._store.text(run_id, name, content)
            if update.status:
                self._store.set_status(run_id, *update.status)
        except RefusedError as error:
            lines.append(str(error))
        if lines:
            self._reject(key, lines)

    def _run(self, key: RunKey, update: Update) -> str:
        """The id of the run, which is made if there is none yet; empty if MLflow has refused it."""
        if update.created and key is not None:  # also of a run that was made below one that is gone
            update.tags["mlflow.parentRunId"] = self._study_run
        run_id = self._study_run if key is None else self._trial_runs.get(key, "")
        if run_id or key in self._refused:
            return run_id
        if update.created is None:
            raise LostError("a run of this study was deleted")
        mark = "hpo.study_id" if key is None else "hpo.uid"
        found = self._store.find(self._experiment_id, mark, update.tags[mark]) if key in self._uncertain else None
        self._uncertain.add(key)
        try:
            run_id = found or self._store.create(self._experiment_id, update.created[0], update.tags, update.created[1])
        except RefusedError as error:
            if self._store.experiment(self._tracker.experiment) != self._experiment_id:
                raise LostError(f"the experiment {self._tracker.experiment!r} was deleted") from None
            self._refused.add(key)
            self._reject(key, [str(error)])
            return ""
        self._uncertain.discard(key)
        if not found:
            update.tags = {}  # they are there
        if key is None:
            self._study_run = run_id
        else:
            self._trial_runs[key] = run_id
        return run_id

    def _reject(self, key: RunKey, lines: list[str]) -> None:
        """Sets aside what the store will never take."""
        path = self._folder / _REJECTED
        if not self._n_rejected:
            _log.warning("MLflow refuses some values (the first: %s); they are set aside in %s", lines[0], path)
        self._n_rejected += len(lines)
        # Not through a link, which may lead out of the study's folder.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
        with open(os.open(path, flags, 0o644), "a", encoding="utf-8") as file:
            for line in lines:
                file.write(json.dumps({"trial": key, "refused": line}) + "\n")

    def _log_model(self) -> str:
        """Logs the best model of what has come to its end; a line on why that can't be done, which harms nobody."""
        if not (self._tracker.log_model and self._runs.complete):
            return ""
        try:
            if (kept := KeptModel.of(self._folder)) is not None:
                own = self._trial_runs.get(kept.trial)
                runs = [run_id for run_id in (own, self._study_run) if run_id]
                model = self._store.model(self._experiment_id, self._study_id, kept, self._folder, runs)
                return self._register(model, runs[0]) if self._tracker.register is not None else ""
        except LostError:
            raise
        except Exception as error:
            reason = self.masked(" ".join(str(error).split())[:300])
            return f"MLflow does not take the best model ({reason}); it is in {self._folder / 'best'}"
        return ""

    def _register(self, model: str | None, run_id: str) -> str:
        """Registers the logged model; a line that tells how to load it, or why there is nothing to register."""
        name, alias = str(self._tracker.register), self._tracker.alias
        if model is None:
            return f"Nothing is registered as {name!r}: it is not known which inputs the best model takes"
        tags = {"hpo.study_id": self._study_id, **self._store.tags(run_id)}
        told: dict[str, str] = {key: tags[key] for key in ("hpo.study_id", "hpo.trial", "hpo.command") if key in tags}
        version, uri = self._store.register(name, alias, model, run_id, told)
        return f"The best model is version {version} of {name!r}: mlflow.pyfunc.load_model({uri!r})"

    # -- beside the runs -------------------------------------------------------------------------------------------

    def _present(self) -> None:
        """The files and the page of charts: at the beginning, and at the end with all that there is then.

        Links are left out: they may lead to anything.
        """
        self._presented = True
        files: list[tuple[Path, str | None]] = [(self._folder / name, None) for name in self._runs.files]
        found = [path for pattern in _BESIDE for path in sorted(self._folder.glob(pattern)) if path.is_file()]
        files += [(path, path.parent.name) for path in found]
        files = [
            (path, at) for path, at in files if path.exists() and not path.is_symlink() and not path.parent.is_symlink()
        ]
        view = self._runs.saved_view(self._study_run) if self._tracker.saved_view else {}
        try:
            for path, at in files:
                self._store.file(self._study_run, path, at)
            self._attached = files[0][0].name if files else ""
        except (StoreDownError, RefusedError) as error:
            _log.warning("MLflow takes no files of this study (%s); they are in %s", error, self._folder)
            self._attached = ""
        with contextlib.suppress(StoreDownError, RefusedError):
            self._store.inputs(self._study_run, self._runs.dataset, data_splits(self._folder))
        with contextlib.suppress(StoreDownError, RefusedError):  # an MLflow of another version may not know it
            for key, value in view.items():
                self._store.tag_experiment(self._experiment_id, key, value)
