from __future__ import annotations

import json
from pathlib import Path

import pytest
from studies import Faulty, Killed, MemoryStore, Study, carry, following

from hpo_pipeline.tracker import StoreDownError, UnusableStoreError
from hpo_pipeline.tracker.mlflow.store import RefusedError


def undisturbed(tmp_path: Path) -> tuple[str, int]:
    """What the eventful study looks like in a store, and how many calls that took."""
    study, memory = Study(tmp_path / "undisturbed"), MemoryStore()
    study.eventful()
    counting = Faulty(memory, at=-1, after=False)
    carry(study, counting)
    study.journal.close()
    return memory.content(), counting.count


@pytest.mark.parametrize("after", [False, True], ids=["before its effect", "after its effect"])
def test_killed_at_any_call_nothing_is_lost_and_nothing_is_twice(study: Study, tmp_path: Path, after: bool):
    expected, calls = undisturbed(tmp_path)
    study.eventful()
    assert calls > 12
    for at in range(calls):
        memory = MemoryStore()
        with pytest.raises(Killed):
            carry(study, Faulty(memory, at, after))
        carry(study, memory)
        assert memory.content() == expected, f"killed at call {at}"


@pytest.mark.parametrize("after", [False, True], ids=["before its effect", "after its effect"])
def test_an_outage_at_any_call_loses_and_doubles_nothing(study: Study, tmp_path: Path, after: bool):
    expected, calls = undisturbed(tmp_path)
    study.eventful()
    best_effort = 4  # artifacts and the view, twice: tried once
    for at in range(calls - best_effort):
        memory = MemoryStore()
        carry(study, Faulty(memory, at, after, lambda: StoreDownError("away"), times=3))
        kept, wanted = json.loads(memory.content()), json.loads(expected)
        for run in (*kept, *wanted):
            run["files"] = [file for file in run["files"] if file != "journal.jsonl"]
        assert kept == wanted, f"away from call {at} on"


def test_cut_after_any_record_and_resumed_the_runs_are_the_same(study: Study, tmp_path: Path):
    expected, _ = undisturbed(tmp_path)
    study.eventful()
    journal = study.folder / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    for cut in range(1, len(lines)):
        memory = MemoryStore()
        journal.write_bytes(b"".join(lines[:cut]))
        carry(study, memory)
        journal.write_bytes(b"".join(lines))
        carry(study, memory)
        assert memory.content() == expected, f"cut after record {cut}"


def test_a_store_that_was_emptied_is_filled_again(study: Study, memory: MemoryStore):
    study.eventful()
    carry(study, memory)
    before = memory.content()
    memory.runs.clear()
    carry(study, memory)
    assert memory.content() == before


def test_what_was_acknowledged_is_not_sent_again(study: Study, memory: MemoryStore):
    study.eventful()
    carry(study, memory)
    again = Faulty(memory, at=-1, after=False)
    carry(study, again)
    assert again.called.isdisjoint({"create", "log", "set_status", "text"})


def test_what_the_store_refuses_is_set_aside_once_and_the_rest_goes_on(
    study: Study, memory: MemoryStore, caplog: pytest.LogCaptureFixture
):
    class Choosy(MemoryStore):
        def log(self, run_id, update):
            return super().log(run_id, update) + [f"{p.key}: no" for p in update.metrics if p.key == "seconds"]

    store = Choosy()
    study.eventful()
    assert carry(study, store).closed().text.startswith("MLflow: ")
    lines = [json.loads(line) for line in (study.folder / "mlflow-rejected.jsonl").read_text().splitlines()]
    assert {"trial": 1, "refused": "seconds: no"} in lines
    assert len([record for record in caplog.records if "refuses" in record.message]) == 1


def test_a_run_that_is_refused_takes_no_other_with_it(study: Study):
    class Choosy(MemoryStore):
        def create(self, experiment_id, name, tags, time):
            if name == "trial-0001":
                raise RefusedError("no")
            return super().create(experiment_id, name, tags, time)

    store = Choosy()
    study.eventful()
    carry(study, store)
    assert sorted(run["name"] for run in store.runs.values()) == ["s", "trial-0000", "trial-0002"]


def test_when_time_is_up_people_are_told_how_much_is_missing(study: Study):
    study.begin()
    study.suggest(0)

    def away() -> MemoryStore:
        follower.give_up("")  # while the store is away
        raise StoreDownError("connection refused")

    follower = following(study, away, commands={})
    follower.ended.set()
    follower.run()
    told = follower.closed().text
    assert told == "MLflow lacks 1 of 1 trials (connection refused); the journal has everything."


def test_a_store_that_needs_a_person_turns_tracking_off_with_its_advice(study: Study, caplog: pytest.LogCaptureFixture):
    study.begin()

    def old() -> MemoryStore:
        raise UnusableStoreError("run `mlflow db upgrade`")

    follower = following(study, old)
    follower.run()
    assert "lacks the end of the study (run `mlflow db upgrade`)" in follower.closed().text
    assert len([record for record in caplog.records if "MLflow is off, the study goes on" in record.message]) == 1
