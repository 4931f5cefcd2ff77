"""The thread that carries a journal into MLflow: each record once, whatever fails in between.

    open store -> find the runs -> (read a window, merge it per run, write) ... -> make sure that all is there

Nothing is read while something is unwritten, so the journal itself is the queue: memory stays bounded, and a store
that is away for hours costs nothing but the delay. How far the store has followed is noted in the store alone, with
the last write of each window (the tag hpo.journal of the study's run); runs are known by the study's id that they
bear. So a store that was deleted, replaced or restored from a backup, and a study that was copied, are what they are,
and nothing that lies in a study's folder leads to another study's runs. What a record adds to a run is the same each
time it is sent (schema.py); only the making of runs must not be repeated blindly: before it is, they are looked up.
"""

from __future__ import annotations

import itertools
import json
import logging
import os
import re
import threading
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from hpo_pipeline.journal import Record, read
from hpo_pipeline.tracker import Closed
from hpo_pipeline.tracker.mlflow import uri as uris
from hpo_pipeline.tracker.mlflow.naming import clipped
from hpo_pipeline.tracker.mlflow.people import how_to_look, missing, note, runs_link
from hpo_pipeline.tracker.mlflow.position import Remaining, position, study_record
from hpo_pipeline.tracker.mlflow.presentation import JOURNAL, attach_files, keep_view, source_tags
from hpo_pipeline.tracker.mlflow.saved_view import view_key
from hpo_pipeline.tracker.mlflow.schema import RunKey, Schema, Update
from hpo_pipeline.tracker.mlflow.store import LostError, RefusedError, RunStore, StoreDownError, UnusableStoreError

_log = logging.getLogger(__name__)
_RECORDS_AT_ONCE = 5000
_BACKOFF_SECONDS = (0.2, 5.0)
_ANALYZE_AT = 60
_TROUBLE_LENGTH = 200
_LOSSES = 3
_REJECTED = "mlflow-rejected.jsonl"
_POSITION = "hpo.journal"
T = TypeVar("T")


class _DeadlineError(Exception):
    """Nobody waits any longer."""


class Writer:
    """Follows one study's journal. `run` is the thread; it ends after `closing` is set, and never raises.

    Args:
        open_store: may take seconds, and raise StoreDownError or UnusableStoreError.
        uri, experiment: what open_store opens, and the experiment's name in it.
        folder, config, commands: as `Tracker.start` gets them.

    Attributes:
        closing: set when the session has ended: what is in the journal then is all.
        abandoned: set when nobody waits any longer.
        successes: how often something was written; grows as long as there is progress.
        trouble: what is wrong now, or why the end was not reached.
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
        self.successes = 0
        self.trouble = ""
        self._open_store = open_store
        self._uri = uri
        self._experiment = experiment
        self._folder = folder
        self._journal = folder / JOURNAL
        self._config = config
        self._commands = commands
        self._rejected = 0
        self._lost = False
        self._finished = False
        self._remaining: Remaining | None = None
        self._begin()

    def _begin(self) -> None:
        """Nothing is known of the store."""
        self._experiment_id = ""
        self._study_run = ""
        self._trial_runs: dict[int, str] = {}
        self._pending: dict[RunKey, Update] = {}
        self._read_to = self._held = 0
        self._last: Record = {}
        self._uncertain: set[RunKey] = set()
        self._refused: set[RunKey] = set()
        self._noted = -1
        self._attached = False

    def run(self) -> None:
        try:
            for _ in range(_LOSSES):
                try:
                    self._follow()
                    return
                except LostError as error:
                    self.trouble = str(error)
                    _log.warning("MLflow: %s while the study runs; it is written again", error)
                    self._begin()
                    self._lost = True
            _log.warning("MLflow is off, the study goes on: %s again and again", self.trouble)
        except _DeadlineError:
            pass
        except UnusableStoreError as error:
            self._begin()
            self.trouble = str(error)
            _log.warning("MLflow is off, the study goes on: %s", error)
        except Exception as error:
            self.trouble = uris.masked(f"{type(error).__name__}: {error}", self._uri)
            _log.warning("MLflow is off, the study goes on: %s", uris.masked(traceback.format_exc(), self._uri))

    def _follow(self) -> None:
        self._store = self._persistently(self._open_store)
        self._experiment_id = self._persistently(lambda: self._store.experiment(self._experiment))
        while not (study := study_record(self._journal)):
            if self.closing.wait(self.window):
                return
        self._study_id = str(study["id"])
        if not re.fullmatch(r"[\w-]+", self._study_id):
            raise UnusableStoreError(f"the study's id in its journal is none: {self._study_id!r}")
        self._schema = Schema(study, self._config, self._commands.get("train", ""))
        held = self._persistently(self._find_runs)
        if self._lost or not self._replay(held):
            self._schema = Schema(study, self._config, self._commands.get("train", ""))
            self._read_to = self._held = 0
        first = True
        while True:
            closing = self.closing.is_set()
            more = self._read_window()
            if self._pending:
                self._persistently(self._write)
                if first:
                    self._present()
                    first = False
            if closing and not more:
                break
            if not more:
                self.closing.wait(self.window)
        if self._study_run:
            self._persistently(self._make_sure)
            self._present()
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
                self.successes += 1
                if warned:
                    _log.warning("MLflow answers again; nothing was lost")
                return result

    # -- taking up what is there -----------------------------------------------------------------------------------

    def _find_runs(self) -> str:
        """Finds what an earlier session has written; returns how far that is, as the store has noted it."""
        self._study_run = self._store.find(self._experiment_id, "hpo.study_id", self._study_id) or ""
        self._trial_runs = self._store.trials(self._experiment_id, self._study_id)
        return self._store.tags(self._study_run).get(_POSITION, "") if self._study_run else ""

    def _replay(self, held: str) -> bool:
        """Folds what the store holds already; returns whether that is the beginning of this journal, and all there."""
        if not held:
            return False
        for record, offset in read(self._journal):
            for _ in self._schema.apply(record):
                pass
            if position(record, offset) == held:
                self._read_to = self._held = offset
                self._last = record
                return self._schema.view.trials.keys() <= self._trial_runs.keys()
        return False

    # -- window by window ------------------------------------------------------------------------------------------

    def _read_window(self) -> bool:
        """Takes in the new records, merged per run. Returns whether more of them are waiting."""
        count = 0
        for record, offset in itertools.islice(read(self._journal, self._read_to), _RECORDS_AT_ONCE):
            if record["event"] == "study" and str(record["id"]) != self._study_id and self._held:
                raise LostError("the study has become another one")
            for key, update in self._schema.apply(record):
                self._pending.setdefault(key, Update()).add(update)
            self._read_to, self._last = offset, record
            count += 1
        if count:
            self._pending.setdefault(None, Update()).add(self._schema.counters(float(self._last["time"])))
        return count == _RECORDS_AT_ONCE

    def _write(self) -> None:
        """Writes what is pending, run by run; that all of it is there is noted with the last of it."""
        before = len(self._trial_runs)
        self._create(None)
        # The study comes last: its note links to the trials.
        for key in [*(key for key in self._pending if key is not None), None]:
            if self.abandoned.is_set():
                raise _DeadlineError
            if key in self._pending:
                if key is None:
                    self._store.check()
                    self._renew_note(self._pending[key])
                self._write_run(key, self._pending[key])
                del self._pending[key]
                self.successes += 1
        self._store.log(self._study_run, Update(tags={_POSITION: position(self._last, self._read_to)}))
        self._held = self._read_to
        if before < _ANALYZE_AT <= len(self._trial_runs):
            self._store.analyze()

    def _write_run(self, key: RunKey, update: Update) -> None:
        created = self._create(key)
        run_id = self._study_run if key is None else self._trial_runs.get(key, "")
        if key in self._refused or not run_id:
            self._reject(key, ["the run was refused"])
            return
        tags = {} if created else update.tags
        if (
            update.created and not created and key is not None
        ):  # made by an earlier session, under a run that may be gone since
            tags = {**tags, "mlflow.parentRunId": self._study_run}
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
        update = self._pending.get(key)
        if update is None or update.created is None or key in self._refused:
            return False
        if self._study_run if key is None else key in self._trial_runs:
            return False
        tags = update.tags | source_tags()
        if key is not None:
            tags["mlflow.parentRunId"] = self._study_run
        mark = "hpo.study_id" if key is None else "hpo.uid"
        found = self._store.find(self._experiment_id, mark, tags[mark]) if key in self._uncertain else None
        self._uncertain.add(key)
        try:
            run_id = found or self._store.create(self._experiment_id, update.created[0], tags, update.created[1])
        except RefusedError as error:
            if self._store.experiment(self._experiment) != self._experiment_id:
                raise LostError(f"the experiment {self._experiment!r} was deleted") from None
            self._refused.add(key)
            self._reject(key, [str(error)])
            return False
        self._uncertain.discard(key)
        if key is None:
            self._study_run = run_id
        else:
            self._trial_runs[key] = run_id
        return found is None

    def _reject(self, key: RunKey, lines: list[str]) -> None:
        """Sets aside what the store will never take."""
        path = self._folder / _REJECTED
        if not self._rejected:
            _log.warning("MLflow refuses some values (the first: %s); they are set aside in %s", lines[0], path)
        self._rejected += len(lines)
        # Not through a link, which may lead out of the study's folder.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
        with open(os.open(path, flags, 0o644), "a", encoding="utf-8") as file:
            for line in lines:
                file.write(json.dumps({"trial": key, "refused": line}) + "\n")

    def _renew_note(self, update: Update) -> None:
        view = self._schema.view
        if self._noted != len(view.best_history) or view.end:
            self._noted = len(view.best_history)
            text = note(view, self._experiment_id, self._trial_runs, self._commands)
            update.tags["mlflow.note.content"] = text

    def _present(self) -> None:
        """At the beginning, and at the end with all that there is then."""
        self._attached = attach_files(self._store, self._study_run, self._folder)
        if self.saved_view:
            keep_view(self._store, self._experiment_id, self._study_run, self._schema.view, self._config)

    # -- the end -----------------------------------------------------------------------------------------------------

    def _make_sure(self) -> None:
        """Raises LostError if what was written is no longer there."""
        self._store.check()
        if self._store.tags(self._study_run).get(_POSITION) != position(self._last, self._held):
            raise LostError("the study's run was deleted")
        there = self._store.trials(self._experiment_id, self._study_id)
        if gone := self._schema.view.trials.keys() - there.keys() - self._refused:
            raise LostError(f"{len(gone)} of its trials' runs were deleted")
        if self._attached and not self._store.has_file(self._study_run, JOURNAL):
            raise LostError("its artifacts were deleted")

    def standing(self) -> str:
        """How much of what the journal has is written, once the session has ended."""
        if self._remaining is None:
            self._remaining = Remaining(self._journal)
        written = self._remaining.written(self._held, self._read_to, set(self._pending))
        return f"{written} of {self._remaining.total} trials"

    def closed(self, why: str = "") -> Closed:
        """For people, when it is over: how to look at the runs, or what is missing, and why if it isn't known here."""
        if self._finished:
            view = view_key(self._study_run) if self.saved_view else ""
            return Closed(True, how_to_look(self._uri, self._experiment, runs_link(self._experiment_id, view)))
        remaining = self._remaining or Remaining(self._journal)
        written = remaining.written(self._held, self._read_to, set(self._pending))
        resume = self._commands.get("resume", "")
        reason = ": ".join(filter(None, (why, self.trouble)))
        return Closed(False, missing(written, remaining.total, reason, remaining.interrupted, resume))
