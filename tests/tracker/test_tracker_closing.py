"""The end of a session: what is left is written as long as that goes on, and what is missing is said."""

from __future__ import annotations

import shlex
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from commands import FREE, journal, run
from studies import COMMANDS, CONFIG, MemoryStore, Study, carry, following

from hpo_pipeline.report.status import status_line
from hpo_pipeline.tracker import StoreDownError, tracking
from hpo_pipeline.tracker.follower import Closed, Follower
from hpo_pipeline.tracker.mlflow import MLflowTracker
from hpo_pipeline.tracker.mlflow.store import MLflowStore
from hpo_pipeline.tracker.tracking import Tracking


class Clock:
    """Seconds that pass while a thread is waited for: 40 each time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)


class Slow(Follower):
    """Writes something each time it is waited for, `times` times; then it has ended, or writes no more."""

    def __init__(self, study: Study, clock: Clock, times: int, *, ends: bool) -> None:
        super().__init__(following(study, MemoryStore)._writer, study.journal.path, "")
        self.clock, self.times, self.ends, self.joined = clock, times, ends, 0
        self.thread: Any = self

    def is_awaited(self) -> bool:
        return not self._given_up.is_set() and not (self.ends and self.joined >= self.times)

    def join(self, seconds: float) -> None:
        if seconds:
            self.clock.now += 40.0
            self.joined += 1
            self.progressed = self.clock.now if self.joined <= self.times else self.progressed

    def status(self) -> str:
        return f"MLflow: {self.joined} of 9 trials written"


def close(study: Study, *followers: Follower) -> tuple[Closed, list[str]]:
    shown: list[str] = []
    tracking = Tracking([], study.folder, {}, {})
    tracking._followers = list(followers)
    return tracking.close(60.0, shown.append), shown


def test_waiting_goes_on_as_long_as_something_is_written(study: Study, monkeypatch: pytest.MonkeyPatch):
    _, shown = close(study, Slow(study, Clock(monkeypatch), 9, ends=True))
    assert shown == [f"MLflow: {n} of 9 trials written; Ctrl-C leaves the rest for later" for n in range(1, 9)]


def test_waiting_ends_after_as_long_without_success_as_one_has_patience(study: Study, monkeypatch: pytest.MonkeyPatch):
    study.eventful()
    follower = Slow(study, Clock(monkeypatch), 3, ends=False)
    closed, shown = close(study, follower)
    assert "(nothing could be written for 60 s)" in closed.text
    assert len(shown) == 4  # the last success is at 120 s; 160 is too early to give up, 200 is not


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> MemoryStore:
    """A store that takes two trials, and then holds up."""

    class Gated(MemoryStore):
        reached, opened = threading.Event(), threading.Event()

        def create(self, experiment_id: str, name: str, tags: dict[str, str], time: int) -> str:
            if name == "trial-0002":
                self.reached.set()
                self.opened.wait()
            return super().create(experiment_id, name, tags, time)

    store = Gated()
    monkeypatch.setattr(MLflowTracker, "open", lambda self: store)
    monkeypatch.setattr(tracking, "_LAST_CALL_SECONDS", 0.0)
    yield store
    store.opened.set()


def test_ctrl_c_ends_the_waiting_and_tells_what_is_missing_and_how_to_complete_it(study: Study, gate: Any):
    study.eventful()
    tracking = Tracking([MLflowTracker("http://localhost:1")], study.folder, CONFIG, COMMANDS)
    gate.reached.wait()
    shown = []

    def show(line: str) -> None:
        shown.append(line)
        raise KeyboardInterrupt

    closed = tracking.close(60, show)
    assert shown == ["MLflow: 2 of 3 trials written; Ctrl-C leaves the rest for later"]
    assert not closed.complete
    assert closed.text == (
        "MLflow lacks 1 of 3 trials (stopped by Ctrl-C); the journal has everything. "
        "This writes it, and trains nothing:\n  python tune.py name=s resume=true"
    )


def test_a_study_that_goes_on_writes_the_rest_when_it_does(study: Study):
    study.begin()
    study.suggest(0)
    study.end("interrupted", "stopped by Ctrl-C")

    def away() -> MemoryStore:
        follower.give_up("")
        raise StoreDownError("connection refused")

    follower = following(study, away)
    follower.run()
    assert "(connection refused); the journal has everything. Going on with the study writes it:\n" in (
        follower.closed().text
    )


def test_nothing_is_missing_after_a_session_that_was_cut_short(study: Study):
    memory = MemoryStore()
    study.eventful()
    closed = carry(study, memory).closed()
    assert closed.complete
    assert closed.text.startswith("MLflow: ")


def test_without_a_terminal_how_far_it_is_is_a_line_every_ten_seconds(capsys: pytest.CaptureFixture[str]):
    now = [0.0]
    with status_line(clock=lambda: now[0]) as show:
        for second in range(0, 31, 3):
            now[0] = second
            show(f"at {second}")
    assert capsys.readouterr().out == "at 12\nat 24\n"


STUDY = (*FREE[:-1], "n_trials=4", "max_resource=2", "name=s")


@pytest.mark.slow
def test_the_printed_command_completes_the_tracker_and_trains_nothing(monkeypatch: pytest.MonkeyPatch):
    from hpo_pipeline import study

    uri = f"sqlite:///{Path.cwd()}/mlflow.db"
    with monkeypatch.context() as away:

        def refuse(self: MLflowTracker) -> MLflowStore:
            raise StoreDownError("connection refused")

        away.setattr(MLflowTracker, "open", refuse)
        away.setattr(study, "PATIENCE_SECONDS", 0.1)
        ended = run(*STUDY)
    assert ended.code == 3, "complete, but not in MLflow"
    assert "MLflow lacks 4 of 4 trials (nothing could be written for 0.1 s: connection refused)" in ended.out
    before = [record for record in journal("s") if record["event"] in ("submitted", "report", "suggested")]
    (command,) = {line.strip() for line in ended.out.splitlines() if "resume=true" in line}
    resumed = run(*shlex.split(command)[2:])
    assert resumed.code == 0, resumed.err
    assert [r for r in journal("s") if r["event"] in ("submitted", "report", "suggested")] == before
    store = MLflowStore(uri)
    (header,) = [record for record in journal("s") if record["event"] == "study"]
    assert store.trials(store.experiment("hpo"), header["id"]).keys() == {0, 1, 2, 3}


@pytest.mark.parametrize(("windows", "times"), [(1, 0), (2, 1), (4, 1)])
def test_what_a_model_takes_is_imported_once_and_only_while_the_study_goes_on(study: Study, windows: int, times: int):
    asked = []

    class Store(MemoryStore):
        def prepare_model(self) -> None:
            asked.append("prepare")

    writer = following(study, Store)._writer
    study.begin()
    first, *others = journal("s")
    writer.open(first)
    for record in (first, *others):
        writer.take(record, held=False)
    for position in range(windows):
        list(writer.write(str(position)))
    assert len(asked) == times
