"""The thread that carries a journal into one tracker: each record once, whatever fails in between.

    open -> (read a window, take its records, write) ... -> close

Nothing is read while something is unwritten, so the journal itself is the queue: memory stays bounded, and a store
that is away for hours costs nothing but the delay. How far a tracker has followed is noted where it writes, and there
alone: a store that was deleted, replaced or restored from a backup gets what it lacks, and nothing that lies in a
study's folder leads to what another study has written.
"""

from __future__ import annotations

import itertools
import json
import logging
import threading
import time
import traceback
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from hpo_pipeline.journal import Record, read
from hpo_pipeline.tracker import LostError, StoreDownError, UnusableStoreError, Writer

_log = logging.getLogger(__name__)
_RECORDS_AT_ONCE = 5000
_BACKOFF_SECONDS = (0.2, 5.0)
_REASON_LENGTH = 200
_LOSSES = 3
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Closed:
    """What is said of a tracker at the end.

    Attributes:
        complete: it shows everything that the journal has.
        text: lines for people: where to look, or what is missing and the command that completes it.
    """

    complete: bool
    text: str = ""


class _GivenUpError(Exception):
    """Nobody waits any longer."""


class Follower:
    """Follows one journal for one writer, until the session has ended and everything is written.

    Args:
        writer: what the records are handed to.
        journal: may not be there yet.
        resume: the command that goes on with the study; empty if there is none.

    Attributes:
        ended: set when the session has ended: what is in the journal then is all.
        thread: ends when all is written, or when its writer comes back after `give_up`.
        progressed: when the writer got on, by time.monotonic().
    """

    def __init__(self, writer: Writer, journal: Path, resume: str) -> None:
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.run, name=f"tracker-{writer.name}", daemon=True)
        self.progressed = time.monotonic()
        self._writer = writer
        self._journal = journal
        self._resume = resume
        self._given_up = threading.Event()
        self._why_given_up = self._trouble = ""
        self._text: str | None = None
        self._contents: _Contents | None = None
        self._forget()

    def _forget(self) -> None:
        """Nothing is known of what is written."""
        self._written_to = self._read_to = 0
        self._unwritten: set[int | None] = set()

    # -- for whoever waits for it ----------------------------------------------------------------------------------

    def give_up(self, why: str) -> None:
        """Nobody waits any longer."""
        self._why_given_up = why
        self._given_up.set()

    def is_awaited(self) -> bool:
        return self.thread.is_alive() and not self._given_up.is_set()

    def status(self) -> str:
        """How much of what the journal has is written, once the session has ended."""
        written, contents = self._written()
        how_far = "not yet" if contents.training else f"{written} of {len(contents.ends)} trials"
        return f"{self._writer.name}: {how_far} written"

    def closed(self) -> Closed:
        """How it ended, for people."""
        if self._text is not None:
            return Closed(True, self._text)
        name, (written, contents) = self._writer.name, self._written()
        reason = ": ".join(filter(None, (self._why_given_up, self._trouble)))
        why = f" ({reason})" if reason else ""
        if contents.training:
            return Closed(False, f"{name} has not taken this training{why}; it is in {self._journal.parent}")
        total = len(contents.ends)
        what = f"{total - written} of {total} trials" if written < total else "the end of the study"
        line = f"{name} lacks {what}{why}; the journal has everything."
        if not self._resume:
            return Closed(False, line)
        how = "Going on with the study writes it" if contents.interrupted else "This writes it, and trains nothing"
        return Closed(False, f"{line} {how}:\n  {self._resume}")

    def _written(self) -> tuple[int, _Contents]:
        """Of how many trials every record is written, and what there is."""
        self._contents = contents = self._contents or _Contents(self._journal)
        written = sum(
            end <= self._written_to or (end <= self._read_to and trial not in self._unwritten)
            for trial, end in contents.ends.items()
        )
        return written, contents

    # -- the thread --------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """What the thread does; it raises nothing that a person could mend."""
        name = self._writer.name
        try:
            for attempt in range(_LOSSES):
                try:
                    return self._follow(anew=attempt > 0)
                except LostError as error:
                    self._forget()
                    self._trouble = str(error)
                    _log.warning("%s: %s; it is written again", name, error)
            _log.warning("%s is off, the study goes on: %s again and again", name, self._trouble)
        except _GivenUpError:
            pass
        except UnusableStoreError as error:
            self._forget()
            self._trouble = str(error)
            _log.warning("%s is off, the study goes on: %s", name, error)
        except Exception as error:
            self._trouble = self._writer.masked(f"{type(error).__name__}: {error}")
            _log.warning("%s is off, the study goes on: %s", name, self._writer.masked(traceback.format_exc()))

    def _follow(self, *, anew: bool) -> None:
        writer, study = self._writer, _Contents(self._journal).study
        noted = self._persistently(lambda: writer.open(study))
        held = 0 if anew else _offset_of(self._journal, noted)
        for record, offset in read(self._journal) if held else ():
            writer.take(record, held=True)
            self._written_to = self._read_to = offset
            if offset == held:
                break
        while True:
            ended = self.ended.is_set()
            count = 0
            for record, offset in itertools.islice(read(self._journal, self._read_to), _RECORDS_AT_ONCE):
                writer.take(record, held=False)
                self._unwritten.add(record.get("trial"))
                self._read_to, count = offset, count + 1
            if count:
                self._write(position(record, offset))
            if count < _RECORDS_AT_ONCE:
                if ended:
                    break
                self.ended.wait(writer.window)
        self._text = self._persistently(writer.close)

    def _write(self, to: str) -> None:
        def write() -> None:
            for trial in self._writer.write(to):
                self._unwritten.discard(trial)
                self.progressed = time.monotonic()
                self._stop_if_given_up()

        self._persistently(write)
        self._written_to = self._read_to

    def _stop_if_given_up(self) -> None:
        if self._given_up.is_set():
            raise _GivenUpError

    def _persistently(self, action: Callable[[], T]) -> T:
        """Does `action` until it succeeds, with growing pauses."""
        name = self._writer.name
        pause, longest = _BACKOFF_SECONDS
        warned = False
        while True:
            self._stop_if_given_up()
            try:
                result = action()
            except StoreDownError as error:
                self._trouble = why = str(error)[:_REASON_LENGTH]
                if not warned:
                    _log.warning("%s does not answer (%s); the study goes on, and it is tried again", name, why)
                    warned = True
                # While the study runs its end cuts the pause short; after that only who waits does.
                (self._given_up if self.ended.is_set() else self.ended).wait(pause)
                pause = min(2 * pause, longest)
            else:
                self._trouble, self.progressed = "", time.monotonic()
                if warned:
                    _log.warning("%s answers again; nothing was lost", name)
                return result


class _Contents:
    """What a journal holds now.

    Attributes:
        study: the latest `study` record, what the study is, though it may have been copied from another.
        ends: trial -> the byte after its last record.
        interrupted: whether the study hasn't come to its end.
    """

    def __init__(self, journal: Path) -> None:
        self.study: Record = {}
        self.ends: dict[int, int] = {}
        self.interrupted = True
        for record, offset in read(journal) if journal.exists() else ():
            if record["event"] == "study":
                self.study = record
            if "trial" in record:
                self.ends[record["trial"]] = offset
            self.interrupted = record["event"] != "end" or record["state"] == "interrupted"

    @property
    def training(self) -> bool:
        """Whether it is a training's (train.py), not a study's."""
        return self.study.get("kind") == "training"


def position(record: Record, offset: int) -> str:
    """Marks the end of a record in a journal: the bytes up to it, and a checksum of what the record says."""
    content = json.dumps(record, sort_keys=True, default=str)
    return f"{offset}:{zlib.crc32(content.encode()):08x}"


def _offset_of(journal: Path, mark: str) -> int:
    """The offset of a position, if it is one of this journal's; else 0."""
    wanted, _, checksum = mark.partition(":")
    if not wanted.isdecimal():
        return 0
    found = next(((r, end) for r, end in read(journal) if end >= int(wanted)), None)
    return int(wanted) if found and position(*found) == f"{int(wanted)}:{checksum}" else 0
