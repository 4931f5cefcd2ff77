"""The end of a session: what is left is written as long as that goes on, and what is missing is said."""

from __future__ import annotations

import shlex
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from commands import FREE, journal, run
from studies import COMMANDS, CONFIG, MemoryStore, Study, carry

from hpo_pipeline.report.status import status_line
from hpo_pipeline.tracker import mlflow as tracker_module
from hpo_pipeline.tracker.mlflow import MLflowTracker
from hpo_pipeline.tracker.mlflow.mlflow_store import MLflowStore
from hpo_pipeline.tracker.mlflow.store import StoreDownError
from hpo_pipeline.tracker.mlflow.writer import Writer


class Clock:
    """Seconds that pass while a thread is waited for; the writer has so many successes meanwhile."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, successes: int, ends_after: int = 1000) -> None:
        self.now, self.joined, self.successes, self.total, self.ends_after = 0.0, 0, 0, successes, ends_after
        monkeypatch.setattr(time, "monotonic", lambda: self.now)

    def join(self, timeout: float) -> None:
        self.now += 40.0
        self.joined += 1
        self.successes = min(self.joined, self.total)

    def is_alive(self) -> bool:
        return self.joined < self.ends_after

    def standing(self) -> str:
        return f"{self.successes} of 9 trials"


def wait(clock: Any) -> tuple[str, list[str]]:
    shown: list[str] = []
    return tracker_module._wait(clock, clock, 60.0, shown.append), shown


def test_waiting_goes_on_as_long_as_something_is_written(monkeypatch: pytest.MonkeyPatch):
    why, shown = wait(Clock(monkeypatch, successes=9, ends_after=9))
    assert why == ""
    assert [line.partition(";")[0] for line in shown] == [
        f"MLflow: {n} of 9 trials written" for n in range(1, 9)
    ]  # 8 looks, 40 seconds apart


def test_waiting_ends_after_as_long_without_success_as_one_has_patience(monkeypatch: pytest.MonkeyPatch):
    clock = Clock(monkeypatch, successes=3)
    why, _ = wait(clock)
    assert why == "nothing could be written for 60 s"
    assert clock.now == 5 * 40  # the last success is seen at 120 s; 160 is too early to give up, 200 is not


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
    monkeypatch.setattr(tracker_module, "_LAST_CALL_SECONDS", 0.0)
    yield store
    store.opened.set()


def test_ctrl_c_ends_the_waiting_and_tells_what_is_missing_and_how_to_complete_it(study: Study, gate: Any):
    study.eventful()
    tracker = MLflowTracker("http://localhost:1")
    tracker.start(study.folder, CONFIG, COMMANDS)
    gate.reached.wait()
    shown = []

    def show(line: str) -> None:
        shown.append(line)
        raise KeyboardInterrupt

    closed = tracker.close(60, show)
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
        writer.abandoned.set()
        raise StoreDownError("connection refused")

    writer = Writer(away, "http://localhost:1", "e", study.folder, CONFIG, COMMANDS)
    writer.run()
    assert "(connection refused); the journal has everything. Going on with the study writes it:\n" in (
        writer.closed().text
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


STUDY = (*FREE[:2], "n_trials=4", "max_resource=2", "name=s")


@pytest.mark.slow
def test_the_printed_command_completes_the_tracker_and_trains_nothing(monkeypatch: pytest.MonkeyPatch):
    from hpo_pipeline import study

    uri = f"sqlite:///{Path.cwd()}/mlflow.db"
    with monkeypatch.context() as away:

        def refuse(self: MLflowTracker) -> MLflowStore:
            raise StoreDownError("connection refused")

        away.setattr(MLflowTracker, "open", refuse)
        away.setattr(study, "_PATIENCE_SECONDS", 0.1)
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
