"""The thread that carries a journal into MLflow: each record once, whatever fails in between.

    open store -> find or make the runs -> (read a window, merge it per run, write, acknowledge) ... -> last touches

Nothing is read while something is unwritten, so the journal itself is the queue: memory stays bounded, and a store
that is away for hours costs nothing but the delay. What a record adds to a run is the same each time it is sent
(schema.py), so only the making of runs must not be repeated blindly: before it is, they are looked up by their tags.
"""

from __future__ import annotations

import getpass
import itertools
import json
import logging
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from hpo_pipeline.journal import Record, read
from hpo_pipeline.tracker import uri as uris
from hpo_pipeline.tracker.naming import clipped
from hpo_pipeline.tracker.people import how_to_look, note, runs_link
from hpo_pipeline.tracker.progress import Progress
from hpo_pipeline.tracker.saved_view import saved_view, view_key
from hpo_pipeline.tracker.schema import RunKey, Schema, Update
from hpo_pipeline.tracker.store import RefusedError, RunStore, StoreDownError, UnusableStoreError

_log = logging.getLogger(__name__)
_RECORDS_AT_ONCE = 5000
_BACKOFF_SECONDS = (0.2, 5.0)
_ANALYZE_AT = 60
_TROUBLE_LENGTH = 200
_ARTIFACTS = ("config.yaml", "overrides.yaml", "best.yaml", "leaderboard.csv", "journal.jsonl")
_REJECTED = "mlflow-rejected.jsonl"
T = TypeVar("T")


class _DeadlineError(Exception):
    """The deadline has passed."""


class Writer:
    """Follows one study's journal. `run` is the thread; it ends after `closing` is set, and never raises.

    Args:
        open_store: may take seconds, and raise StoreDownError or UnusableStoreError.
        uri, experiment: what open_store opens, and the experiment's name in it.
        folder, config, commands: as `Tracker.start` gets them.
    """

    window = 0.5
    saved_view = True

    def __init__(
        self,
        open_store: Callable[[], RunStore],
        uri: str,
        experiment: str,
        folder: Path,
        config: Mapping[str, Any],
        commands: Mapping[str, str],
    ) -> None:
        self.closing = threading.Event()
        self.abandoned = threading.Event()
        self.trouble = ""
        self._open_store = open_store
        self._uri = uri
        self._folder = folder
        self._journal = folder / "journal.jsonl"
        self._config = config
        self._commands = commands
        self._schema = Schema(config, commands.get("train", ""))
        self._progress = Progress.load(folder / "mlflow.json", uris.shown(uri), experiment)
        self._pending: dict[RunKey, Update] = {}
        self._read_to = 0
        self._uncertain: set[RunKey] = set()
        self._refused: set[RunKey] = set()
        self._noted = -1
        self._rejected = 0
        self._finished = False

    def run(self) -> None:
        try:
            self._follow()
        except _DeadlineError:
            self._progress.save()
        except UnusableStoreError as error:
            self.trouble = str(error)
            _log.warning("MLflow is off, the study goes on: %s", error)
        except Exception as error:
            self.trouble = f"{type(error).__name__}: {error}"
            _log.warning("MLflow is off, the study goes on: %s", error, exc_info=True)

    def _follow(self) -> None:
        self._store = self._persistently(self._open_store)
        self._progress.experiment_id = self._persistently(lambda: self._store.experiment(self._progress.experiment))
        while (header := self._first_record()) is None:
            if self.closing.wait(self.window):
                return
        self._persistently(lambda: self._find_runs(str(header["id"])))
        self._replay()
        first = True
        while True:
            closing = self.closing.is_set()
            more = self._read_window()
            if self._pending:
                self._persistently(self._write)
                if first:
                    self._dress()
                    first = False
            if closing and not more:
                break
            if not more:
                self.closing.wait(self.window)
        if self._progress.study:
            self._dress()
        self._store.analyze()
        self._finished = True

    def _persistently(self, action: Callable[[], T]) -> T:
        """Does `action` until it succeeds, with growing pauses."""
        pause, longest = _BACKOFF_SECONDS
        warned = False
        while True:
            if self.abandoned.is_set():
                raise _DeadlineError
            try:
                result = action()
            except StoreDownError as error:
                self.trouble = clipped(str(error), _TROUBLE_LENGTH)
                if not warned:
                    _log.warning("MLflow does not answer (%s); the study goes on, and it is tried again", self.trouble)
                    warned = True
                # While the study runs its end cuts the pause short; after that only the deadline does.
                (self.abandoned if self.closing.is_set() else self.closing).wait(pause)
                pause = min(2 * pause, longest)
            else:
                self.trouble = ""
                if warned:
                    _log.warning("MLflow answers again; nothing was lost")
                return result

    def _first_record(self) -> Record | None:
        if not self._journal.exists():
            return None
        return next((record for record, _ in read(self._journal)), None)

    def _find_runs(self, study_id: str) -> None:
        """Takes up what an earlier session has written, whether or not it lived to note it."""
        progress = self._progress
        if progress.study and not self._store.exists(progress.study):
            progress.restart()
        if not progress.study:
            progress.offset = 0
            progress.study = self._store.find(progress.experiment_id, "hpo.study_id", study_id) or ""
        unacknowledged = (record for record, _ in read(self._journal, progress.offset))
        if progress.study and any(record["event"] == "suggested" for record in unacknowledged):
            progress.trials |= self._store.children(progress.experiment_id, progress.study)

    def _replay(self) -> None:
        """Folds what the store holds already."""
        for record, offset in read(self._journal):
            if offset > self._progress.offset:
                return
            for _ in self._schema.apply(record):
                pass
            self._read_to = offset

    def _read_window(self) -> bool:
        """Takes in the new records, merged per run. Returns whether more of them are waiting."""
        count = 0
        for record, offset in itertools.islice(read(self._journal, self._read_to), _RECORDS_AT_ONCE):
            for key, update in self._schema.apply(record):
                self._pending.setdefault(key, Update()).add(update)
            self._read_to = offset
            count += 1
            last = record
        if count:
            self._pending.setdefault(None, Update()).add(self._schema.counters(float(last["time"])))
        return count == _RECORDS_AT_ONCE

    def _write(self) -> None:
        """Writes what is pending, run by run, and acknowledges it when all of it is there."""
        before = len(self._progress.trials)
        self._create(None)
        # The study comes last: its note links to the trials.
        for key in [*(key for key in self._pending if key is not None), None]:
            if self.abandoned.is_set():
                raise _DeadlineError
            if key in self._pending:
                if key is None:
                    self._renew_note(self._pending[key])
                self._write_run(key, self._pending[key])
                del self._pending[key]
        self._progress.offset = self._read_to
        self._progress.save()
        if before < _ANALYZE_AT <= len(self._progress.trials):
            self._store.analyze()

    def _write_run(self, key: RunKey, update: Update) -> None:
        created = self._create(key)
        run_id = self._progress.study if key is None else self._progress.trials.get(key, "")
        if key in self._refused or not run_id:
            self._reject(key, ["the run was refused"])
            return
        tags = {} if created else update.tags
        lines = self._store.log(run_id, Update(params=update.params, metrics=update.metrics, tags=tags))
        try:
            for name, content in update.files.items():
                self._store.text(run_id, name, content)
            if update.status and not (created and update.status[0] == "RUNNING"):
                self._store.set_status(run_id, *update.status)
        except RefusedError as error:
            lines.append(str(error))
        if lines:
            self._reject(key, lines)

    def _create(self, key: RunKey) -> bool:
        """Makes the run if there is none yet; returns whether it did, with all the tags that are pending."""
        progress, update = self._progress, self._pending.get(key)
        if update is None or update.created is None or key in self._refused:
            return False
        if progress.study if key is None else key in progress.trials:
            return False
        tags = update.tags | self._source()
        if key is not None:
            tags["mlflow.parentRunId"] = progress.study
        mark = "hpo.study_id" if key is None else "hpo.uid"
        found = self._store.find(progress.experiment_id, mark, tags[mark]) if key in self._uncertain else None
        self._uncertain.add(key)
        try:
            run_id = found or self._store.create(progress.experiment_id, update.created[0], tags, update.created[1])
        except RefusedError as error:
            self._refused.add(key)
            self._reject(key, [str(error)])
            return False
        self._uncertain.discard(key)
        if key is None:
            progress.study = run_id
        else:
            progress.trials[key] = run_id
        return found is None

    def _source(self) -> dict[str, str]:
        try:
            user = getpass.getuser()
        except (OSError, KeyError, ImportError):
            user = "unknown"
        return {"mlflow.source.name": "tune.py", "mlflow.source.type": "LOCAL", "mlflow.user": user}

    def _reject(self, key: RunKey, lines: list[str]) -> None:
        """Sets aside what the store will never take."""
        path = self._folder / _REJECTED
        if not self._rejected:
            _log.warning("MLflow refuses some values (the first: %s); they are set aside in %s", lines[0], path)
        self._rejected += len(lines)
        with path.open("a", encoding="utf-8") as file:
            for line in lines:
                file.write(json.dumps({"trial": key, "refused": line}) + "\n")

    def _renew_note(self, update: Update) -> None:
        view = self._schema.view
        if self._noted != len(view.best_history) or view.end:
            self._noted = len(view.best_history)
            update.tags["mlflow.note.content"] = note(view, self._progress, self._commands)

    def _dress(self) -> None:
        """What makes the study easier to look at, at its beginning and its end; nobody misses it if it fails."""
        progress, view = self._progress, self._schema.view
        self._attach_files()
        if self.saved_view and progress.study:
            key, value = view_key(progress.study), saved_view(view, self._config, progress.study)
            try:
                self._store.tag_experiment(progress.experiment_id, f"mlflow.sharedViewState.{key}", value)
            except (StoreDownError, RefusedError) as error:
                _log.debug("no saved view: %s", error)

    def _attach_files(self) -> None:
        """The study's files as they are now, as artifacts of its run."""
        plots = sorted(path for path in (self._folder / "plots").glob("*") if path.is_file())
        files = [(self._folder / name, None) for name in _ARTIFACTS] + [(path, "plots") for path in plots]
        try:
            for path, folder in files:
                if path.exists():
                    self._store.file(self._progress.study, path, folder)
        except (StoreDownError, RefusedError) as error:
            _log.warning("MLflow takes no files of this study (%s); they are in %s", error, self._folder)

    def text(self) -> str:
        """For people, when it is over: how to look at the runs, or what is missing."""
        if self._finished:
            view = view_key(self._progress.study) if self.saved_view else ""
            return how_to_look(self._uri, self._progress.experiment, runs_link(self._progress.experiment_id, view))
        missing = sum(1 for _ in read(self._journal, self._progress.offset)) if self._journal.exists() else 0
        why = f" ({self.trouble})" if self.trouble else ""
        return f"{missing} records not yet in MLflow{why}; they are written at the next resume."
