"""Journals of all kinds taken up again: damaged, malformed, of version 1, on a full disk; never a traceback."""

from __future__ import annotations

import errno
import json
import os
import random
from pathlib import Path
from typing import Any

import pytest
from sessions import MAKERS, RecordingExecutor, Session, by_number, fifo, halving, promotion

from hpo_pipeline.budget import Budget
from hpo_pipeline.errors import StudyError
from hpo_pipeline.journal import read
from hpo_pipeline.simulation import random_world
from hpo_pipeline.trial import Event, Job, State

PATH = Path("journal.jsonl")


# -- damage ----------------------------------------------------------------------------------------------------------


def damaged(content: bytes, rng: random.Random) -> bytes:
    """The content with a flipped bit, a cut, or lines lost, doubled or swapped."""
    kind = rng.choice(["flip", "flip", "flip", "cut", "lost", "doubled", "swapped", "zeros"])
    lines = content.splitlines(keepends=True)
    i, j = rng.randrange(len(lines)), rng.randrange(len(lines))
    at = rng.randrange(len(content))
    match kind:
        case "flip":
            return content[:at] + bytes([content[at] ^ 1 << rng.randrange(8)]) + content[at + 1 :]
        case "cut":
            return content[:at]
        case "zeros":
            end = min(at + 64, len(content))
            return content[:at] + bytes(end - at) + content[end:]
        case "lost":
            del lines[i]
        case "doubled":
            lines.insert(i, lines[i])
        case "swapped":
            lines[i], lines[j] = lines[j], lines[i]
    return b"".join(lines)


@pytest.mark.parametrize("name", ["asha promotion", "asha stopping", "successive_halving"])
def test_a_damaged_journal_leads_to_the_same_study_or_is_refused(name):
    curve, _ = random_world(2)
    whole = Session(MAKERS[name], curve, Budget(n_trials=4), max_failures=99)
    expected, content = whole.outcome(), PATH.read_bytes()
    errors = []
    rng = random.Random(name)
    for n in range(150):
        PATH.write_bytes(damaged(content, rng))
        try:
            resumed = Session(MAKERS[name], curve, Budget(n_trials=4), max_failures=99)
        except StudyError as error:
            errors.append(str(error))
        else:
            assert resumed.outcome() == expected, f"damage {n}"
    assert all(error.startswith("journal.jsonl: line ") and "\n" not in error for error in errors)
    assert len(errors) > 75  # what isn't found is what a crash leaves as well: an end that is missing


# -- records that don't follow from those before -----------------------------------------------------------------------


def unsealed(records: list[dict[str, Any]], version: int | None = 1) -> None:
    """Writes a journal of version 1, which has no checksums that a change could break."""
    plain = [{key: value for key, value in record.items() if key != "elapsed"} for record in records]
    PATH.write_text("".join(json.dumps({**r, "version": version} if i == 0 else r) + "\n" for i, r in enumerate(plain)))


SUGGESTED = {"event": "suggested", "trial": 0, "config": {"x": 0.5}, "time": 1.0}
SUBMITTED = {"event": "submitted", "trial": 0, "resource": 4, "rung": 0, "bracket": 0, "time": 1.0}
REPORT = {"event": "report", "trial": 0, "resource": 1, "metrics": {"loss": 0.5}, "time": 2.0}
RESULT = {"event": "result", "trial": 0, "outcome": "done", "error": "", "traceback": "", "time": 2.0}
DECISION = {"event": "decision", "trial": 0, "state": "COMPLETED", "reason": "", "time": 2.0}
OUT_OF_PLACE = {
    "a job of a trial that was never suggested": [SUBMITTED],
    "a report of a trial that was never suggested": [REPORT],
    "a result of a trial that was never suggested": [RESULT],
    "a decision on a trial that was never suggested": [DECISION],
    "a report without a job": [SUGGESTED, REPORT],
    "a result without a job": [SUGGESTED, RESULT],
    "another trial than the next": [{**SUGGESTED, "trial": 3}],
    "another job than the scheduler's": [SUGGESTED, {**SUBMITTED, "resource": 3}],
    "a report that goes beyond the job": [SUGGESTED, SUBMITTED, {**REPORT, "resource": 9}],
    "a report that was there": [SUGGESTED, SUBMITTED, REPORT, REPORT],
    "a report without the metric": [SUGGESTED, SUBMITTED, {**REPORT, "metrics": {"accuracy": 1.0}}],
    "a result twice": [SUGGESTED, SUBMITTED, RESULT, DECISION, RESULT],
    "a decision that nobody took": [SUGGESTED, SUBMITTED, DECISION],
    "another decision": [SUGGESTED, SUBMITTED, RESULT, {**DECISION, "state": "STOPPED"}],
    "a decision on another trial": [SUGGESTED, SUBMITTED, RESULT, {**DECISION, "trial": 1}],
    "a decision that is missing": [SUGGESTED, SUBMITTED, RESULT, {"event": "session", "time": 3.0}],
    "a configuration without its parameter": [{**SUGGESTED, "config": {"y": "z"}}, SUBMITTED, {**REPORT, "trial": 1}],
}


@pytest.mark.parametrize("records", OUT_OF_PLACE.values(), ids=OUT_OF_PLACE)
def test_a_record_out_of_place_is_one_error_with_its_line(records):
    header = {"event": "study", "name": "s", "metrics": [{"name": "loss", "mode": "min"}], "time": 0.0}
    unsealed([header, {"event": "session", "n_trials": 4, "time": 0.0}, *records])
    with pytest.raises(StudyError, match=rf"^journal.jsonl: can't go on: line {2 + len(records)}: ") as caught:
        Session(fifo, by_number, Budget(n_trials=4))
    assert "\n" not in str(caught.value)


def test_random_changes_of_a_journal_without_checksums_never_give_a_traceback():
    curve, _ = random_world(2)
    Session(halving, curve, Budget(n_trials=4), max_failures=99)
    records = [record for record, _ in read(PATH)]
    rng = random.Random(0)
    values: list[Any] = [None, -1, 0, 1, 7, 10**30, 1.5, "x", "nan", [], {}, True, "STOPPED", "failed", {"loss": 1.0}]
    errors = []
    for _ in range(400):
        changed = json.loads(json.dumps(records, allow_nan=True))
        record = rng.choice(changed)
        key = rng.choice(list(record))
        if rng.random() < 0.2:
            del record[key]
        else:
            record[key] = rng.choice(values)
        PATH.write_text("".join(json.dumps(r) + "\n" for r in changed))
        try:
            Session(halving, curve, Budget(n_trials=4), max_failures=99)
        except StudyError as error:
            errors.append(str(error))
    assert all(error.startswith("journal.jsonl: ") and "\n" not in error for error in errors)
    assert len(errors) > 200


# -- version 1, and studies that were copied --------------------------------------------------------------------------


@pytest.mark.parametrize("name", MAKERS)
def test_a_study_of_version_1_goes_on_after_any_record(name):
    curve, _ = random_world(1)
    whole = Session(MAKERS[name], curve, Budget(n_trials=4), max_failures=99)
    expected, records = whole.outcome(), whole.records
    for k in range(1, len(records) + 1):
        unsealed(records[:k])
        resumed = Session(MAKERS[name], curve, Budget(n_trials=4), max_failures=99)
        assert resumed.outcome() == expected, f"cut after record {k}"
        assert resumed.records[:k] == [
            {key: v for key, v in {**record, **({"version": 1} if i == 0 else {})}.items() if key != "elapsed"}
            for i, record in enumerate(records[:k])
        ]


def test_the_latest_study_record_is_the_header_and_nothing_else_changes():
    whole = Session(promotion, by_number, Budget(n_trials=4))
    expected, records = whole.outcome(), whole.records
    for k in range(1, len(records)):
        copied = {**records[0], "name": "copy", "time": 1e9}
        unsealed([*records[:k], copied])
        resumed = Session(promotion, by_number, Budget(n_trials=4))
        assert resumed.outcome() == expected, f"copied after record {k}"
        assert resumed.view.header["name"] == "copy"
        assert resumed.view.seconds < 1000


def test_a_trial_that_an_older_tuner_called_interrupted_after_it_was_stopped_is_stopped():
    session = Session(MAKERS["asha stopping"], by_number, Budget(n_trials=2))
    stopped = next(i for i, r in enumerate(session.records) if r.get("state") == "STOPPED")
    trial = session.records[stopped]["trial"]
    unsealed([*session.records[: stopped + 1], {**RESULT, "trial": trial, "outcome": "interrupted"}])
    resumed = Session(MAKERS["asha stopping"], by_number, Budget(n_trials=2))
    assert resumed.view.trials[trial].state is State.STOPPED


# -- a disk that fills up ----------------------------------------------------------------------------------------------


class Acts(RecordingExecutor):
    """Notes what it was asked to do, and whether it was closed."""

    closed = False

    def submit(self, job: Job, recorded: int) -> None:
        there = [record for record, _ in read(PATH)]
        assert any(r["event"] == "submitted" and r["trial"] == job.trial.id for r in there)
        super().submit(job, recorded)

    def wait(self, timeout: float | None = None) -> list[Event]:
        assert not self.closed
        return super().wait(timeout)

    def cancel(self, trial_id: int) -> None:
        there = [record for record, _ in read(PATH)]
        assert any(r.get("state") == "STOPPED" and r["trial"] == trial_id for r in there)
        super().cancel(trial_id)

    def discard(self, trial_id: int) -> None:
        there = [record for record, _ in read(PATH)]
        assert any(r["event"] == "decision" and r["trial"] == trial_id for r in there)
        super().discard(trial_id)

    def close(self) -> None:
        self.closed = Acts.closed = True
        super().close()


@pytest.mark.parametrize("name", ["asha stopping", "successive_halving"])
def test_a_full_disk_stops_a_study_that_has_done_nothing_but_what_is_recorded(name, monkeypatch):
    curve, _ = random_world(2)
    whole = Session(MAKERS[name], curve, Budget(n_trials=4), max_failures=99)
    expected, size = whole.outcome(), PATH.stat().st_size
    write = os.write
    stopped = 0
    for room in range(5, size, 61):
        PATH.unlink()
        left = room

        def limited(file: int, data: bytes) -> int:
            nonlocal left
            if not left:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            n = write(file, bytes(data)[:left])
            left -= n
            return n

        with monkeypatch.context() as patched:
            patched.setattr(os, "write", limited)
            Acts.closed = False
            with pytest.raises(StudyError, match=r"can't be written \(No space left on device\).*resume=true goes on"):
                Session(MAKERS[name], curve, Budget(n_trials=4), max_failures=99, executor=Acts)
        stopped += Acts.closed
        resumed = Session(MAKERS[name], curve, Budget(n_trials=4), max_failures=99)
        assert resumed.outcome() == expected, f"with room for {room} bytes"
    assert stopped > 10
