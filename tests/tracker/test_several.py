"""Several trackers at once: chosen as Hydra's groups are, and none of them holds up another."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from commands import FREE, compose, journal, run
from studies import COMMANDS, CONFIG, MemoryStore, Study

from hpo_pipeline import study as study_module
from hpo_pipeline.preflight import check_study
from hpo_pipeline.records import Record
from hpo_pipeline.tracker import LostError, StoreDownError, UnusableStoreError, Writer
from hpo_pipeline.tracker.mlflow import MLflowTracker
from hpo_pipeline.tracker.tracking import Tracking


class Listing:
    """A tracker in memory: a list of events, and how far the journal was followed."""

    written: list[str]  # of the study that was last begun
    name, window = "list", 0.01

    def __init__(self, held_up: threading.Event | None = None, error: Exception | None = None) -> None:
        self._held_up, self._error = held_up, error
        self.store: tuple[str, list[str]] = ("", [])
        self.calls: list[str] = []

    def problems(self) -> list[str]:
        return []

    def writer(self, folder: Path, config: Any, commands: Any) -> Writer:
        return self

    def open(self, study: Record) -> str:
        if self._held_up:
            self._held_up.wait()
        self._new: list[str] = []
        self.calls.append("open")
        return self.store[0]

    def take(self, record: Record, *, held: bool) -> None:
        if not held:
            self._new.append(record["event"])

    def write(self, position: str) -> Iterable[None]:
        if self._error:
            raise self._error
        self.store = position, [*self.store[1], *self._new]
        self._new = []
        Listing.written = self.store[1]
        yield None

    def close(self) -> str:
        return "list: here"

    def masked(self, text: str) -> str:
        return text.replace("secret", "***")


@pytest.fixture
def over() -> Iterator[threading.Event]:
    """Set at the end of the test: what waits for it goes on then."""
    made = threading.Event()
    yield made
    made.set()


def events(study: Study) -> list[str]:
    from hpo_pipeline.journal import read

    return [record["event"] for record, _ in read(study.journal.path)]


def test_one_that_hangs_holds_up_no_other(study: Study, over: threading.Event):
    study.eventful()
    hanging, listing = Listing(held_up=over), Listing()
    closed = Tracking([hanging, listing], study.folder, CONFIG, COMMANDS).close(0.05, lambda text: None)
    assert listing.store[1] == events(study)
    assert not closed.complete
    first, _, last = closed.text.splitlines()
    assert first.startswith("list lacks 3 of 3 trials (nothing could be written for 0.05 s)")
    assert last == "list: here"


def test_one_that_fails_takes_no_other_with_it(study: Study, monkeypatch: pytest.MonkeyPatch):
    memory = MemoryStore()
    monkeypatch.setattr(MLflowTracker, "open", lambda self: memory)
    study.eventful()
    broken = Listing(error=ValueError("the secret is out"))
    trackers = [broken, MLflowTracker("http://localhost:1"), Listing(error=UnusableStoreError("buy a disk"))]
    closed = Tracking(trackers, study.folder, CONFIG, COMMANDS).close(60, lambda text: None)
    assert memory.named("s")["status"] == "FINISHED"
    assert not closed.complete
    lines = closed.text.splitlines()
    assert lines[0].startswith("list lacks 3 of 3 trials (ValueError: the *** is out)")
    assert lines[2] == "MLflow:"
    assert lines[3].startswith("  table   http://localhost:1/#/experiments/1/")
    assert lines[5].startswith("list lacks 3 of 3 trials (buy a disk)")


def test_ctrl_c_leaves_all_of_them(study: Study, over: threading.Event):
    study.eventful()
    shown = []

    def show(line: str) -> None:
        shown.append(line)
        raise KeyboardInterrupt

    tracking = Tracking([Listing(held_up=over), Listing(held_up=over)], study.folder, CONFIG, COMMANDS)
    closed = tracking.close(0.3, show)
    assert shown == ["list: 0 of 3 trials written; list: 0 of 3 trials written; Ctrl-C leaves the rest for later"]
    assert closed.text.count("(stopped by Ctrl-C)") == 2


def test_a_writer_that_is_away_or_has_lost_all_is_given_each_record_in_the_end(study: Study):
    study.eventful()
    listing = Listing()
    failures = [StoreDownError("away"), LostError("deleted"), StoreDownError("away")]

    def write(position: str) -> Iterable[None]:
        if failures:
            raise failures.pop(0)
        return Listing.write(listing, position)

    listing.write = write  # type: ignore[method-assign]
    assert Tracking([listing], study.folder, CONFIG, COMMANDS).close(60, lambda text: None).complete
    assert listing.store[1] == events(study)
    assert listing.calls == ["open", "open"]


def test_the_next_session_is_written_to_the_end_of_the_first(study: Study):
    study.begin()
    study.suggest(0)
    listing = Listing()
    for _ in range(2):
        assert Tracking([listing], study.folder, CONFIG, COMMANDS).close(60, lambda text: None).complete
        assert listing.store[1] == events(study)
        study.end("interrupted")


# -- as they are chosen ------------------------------------------------------------------------------------------------


def options(folder: Path, **content: str) -> str:
    """Makes options of the group in a folder of one's own; returns the override that finds it."""
    (folder / "tracker").mkdir(parents=True)
    for name, text in content.items():
        (folder / "tracker" / f"{name}.yaml").write_text(text, encoding="utf-8")
    return f"hydra.searchpath=[{folder}]"


def test_each_of_several_stands_at_its_own_key():
    made = compose("tracker=[mlflow,none]", "tracker.mlflow.uri=sqlite:///x.db")
    assert made.problems == []
    assert list(made.config["tracker"]) == ["mlflow", "none"]
    assert made.config["tracker"]["mlflow"]["uri"] == "sqlite:///x.db"
    assert made.config["choices"]["tracker"] == ["mlflow", "none"]
    assert [type(tracker).__name__ for tracker in check_study(made, data=False).trackers] == [
        *("MLflowTracker", "NoTracker")
    ]


def test_one_is_where_it_always_was():
    for choice in ("tracker=mlflow", "tracker=[mlflow]"):
        assert compose(choice, "tracker.uri=sqlite:///x.db").config["tracker"]["uri"] == "sqlite:///x.db"


def test_what_is_wrong_with_one_of_several_is_said_with_its_path():
    ended = run(*FREE, "tracker=[mlflow,none]", "tracker.mlflow.window=0", "+tracker.other.uri=x", "n_trials=1")
    assert ended.code == 2
    assert "tracker.mlflow.window: must be more than 0" in ended.err
    assert "tracker.other: must be a mapping with a _target_" in ended.err


def test_an_option_that_is_made_of_another_stays_one(tmp_path: Path):
    mine = options(tmp_path / "own", mine="defaults: [mlflow, _self_]\nexperiment: mine\n")
    alone = compose(mine, "tracker=mine").config["tracker"]
    assert (alone["experiment"], alone["window"]) == ("mine", 0.5)
    both = compose(mine, "tracker=[mine,none]").config["tracker"]
    assert list(both) == ["mine", "none"]
    assert both["mine"] == alone


def test_an_option_may_hold_several(tmp_path: Path):
    both = options(tmp_path / "own", both="defaults: [mlflow@here, mlflow@there]\nthere: {experiment: there}\n")
    node = compose(both, "tracker=both", "tracker.here.uri=sqlite:///x.db").config["tracker"]
    assert {key: each["experiment"] for key, each in node.items()} == {"here": "hpo", "there": "there"}


def test_a_file_that_leads_one_of_several_out_of_the_folder_is_refused(tmp_path: Path):
    text = "_target_: hpo_pipeline.tracker.mlflow.MLflowTracker\nuri: sqlite:////tmp/outside.db\n"
    (problem,) = compose(options(tmp_path / "own", out=text), "tracker=[out,none]").problems
    assert str(problem).startswith("tracker.out.uri: 'sqlite:////tmp/outside.db' comes from a file")


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The override that makes the list a tracker to choose."""
    monkeypatch.setenv("HPO_TRUST", f"{__name__}.Listing")
    return options(tmp_path / "own", listing=f"_target_: {__name__}.Listing\n")


@pytest.mark.slow
def test_a_study_in_two_places_is_saved_run_again_and_resumed_as_such(own: str, monkeypatch: pytest.MonkeyPatch):
    memories: dict[str, MemoryStore] = {}
    monkeypatch.setattr(MLflowTracker, "open", lambda self: memories.setdefault(self.uri, MemoryStore()))
    places = ("tracker=[mlflow,listing]", "tracker.mlflow.uri=null")
    study = (*FREE[:-1], "n_trials=2", "max_resource=2", "name=s", *places)
    ended = run(own, *study)
    assert ended.code == 0, ended.err
    assert "MLflow: " in ended.out
    assert "list: here" in ended.out
    (memory,) = memories.values()
    assert memory.children().keys() == {0, 1}
    assert Listing.written.count("suggested") == 2
    saved = yaml.safe_load(Path("runs/s/config.yaml").read_text())
    assert saved["choices"]["tracker"] == ["mlflow", "listing"]
    again = ("--config-path", "runs/s", "--config-name", "config", "name=again", "n_trials=1")
    assert run(*again, own).code == 0
    assert len(memory.runs) == 3 + 2
    assert run(*again, own, "name=alone", "tracker=listing").code == 0
    assert len(memory.runs) == 5, "MLflow wasn't chosen any more"
    assert run("name=s", "resume=true", "n_trials=3").code == 0
    assert memory.trials("1", str(journal("s")[0]["id"])).keys() == {0, 1, 2}
    assert Listing.written.count("suggested") == 3


@pytest.mark.slow
def test_where_one_of_two_lacks_something_the_exit_code_says_so(own: str, monkeypatch: pytest.MonkeyPatch):
    def refuse(self: MLflowTracker) -> MemoryStore:
        raise StoreDownError("connection refused")

    monkeypatch.setattr(MLflowTracker, "open", refuse)
    monkeypatch.setattr(study_module, "PATIENCE_SECONDS", 0.1)
    ended = run(own, *FREE[:-1], "n_trials=2", "max_resource=2", "name=s", "tracker=[mlflow,listing]")
    assert ended.code == 3
    assert "MLflow lacks 2 of 2 trials (nothing could be written for 0.1 s: connection refused)" in ended.out
    assert "list: here" in ended.out
