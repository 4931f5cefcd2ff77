"""One job: where it begins, which checkpoints it leaves, and that a break changes no number."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trouble
from commands import DIGITS, compose
from pools import curve_of, job, setup

from hpo_pipeline import trust
from hpo_pipeline.executor.pack import Pack
from hpo_pipeline.executor.runner import StudySetup
from hpo_pipeline.executor.serial import SerialExecutor
from hpo_pipeline.preflight import check_study
from hpo_pipeline.seeding import trial_seed
from hpo_pipeline.trial import Event, Job, Report, Trial

TRIALS = Path("trials")


def pack(checkpoint_seconds: float = 1e9) -> Pack:
    return Pack(setup().pack(threads=1, checkpoint_seconds=checkpoint_seconds))


def events(at_work: Pack, resource: int, recorded: int, trial_id: int = 0) -> list[Event]:
    at_work.submit(setup().task(job(trial_id, resource), recorded))
    return list(advanced(at_work))


def advanced(at_work: Pack) -> Iterator[Event]:
    while at_work.n_jobs:
        yield from at_work.advance()


def resources(given: Iterable[Event]) -> list[int]:
    return [at for at, _ in curve_of(given)]


def checkpoints(trial_id: int = 0) -> list[int]:
    return sorted(int(path.name.partition(".")[0]) for path in (TRIALS / str(trial_id)).glob("*.ckpt"))


def only_checkpoint() -> str:
    (path,) = (TRIALS / "0").glob("*.ckpt")
    return path.name


def test_the_checkpoint_before_the_newest_stays_until_the_next_job():
    # Whether the newest one's report was recorded is known only when the next job comes.
    same = pack()
    for resource, recorded, left in ((1, 0, [1]), (3, 1, [1, 3]), (9, 3, [3, 9]), (10, 9, [9, 10])):
        events(same, resource, recorded)
        assert checkpoints() == left


def test_a_checkpoint_is_written_in_the_middle_of_a_long_job():
    at_work = pack(checkpoint_seconds=0)
    at_work.submit(setup().task(job(0, 5), 0))
    for _ in range(3):
        at_work.advance()
    assert checkpoints() == [2, 3]


def test_a_job_of_short_epochs_is_checkpointed_at_its_end_only():
    events(pack(), 5, 0)
    assert checkpoints() == [5]


def test_another_process_goes_on_from_the_checkpoint():
    events(pack(), 2, 0)
    assert resources(events(pack(), 4, 2)) == [3, 4]


def test_a_checkpoint_that_was_saved_but_not_recorded_is_not_gone_on_from():
    # Saved at 2, recorded up to 1: a crash came between. Only what is recorded counts.
    first = pack()
    events(first, 1, 0)
    events(first, 2, 1)
    assert checkpoints() == [1, 2]
    assert resources(events(pack(), 2, 1)) == [2]


def test_without_a_checkpoint_at_the_recorded_resource_it_reports_again_from_an_earlier_one():
    events(pack(), 2, 0)
    assert resources(events(pack(), 5, 4)) == [3, 4, 5]


def test_without_any_checkpoint_it_begins_at_zero():
    assert resources(events(pack(), 3, 2)) == [1, 2, 3]


def test_what_is_held_in_memory_is_not_loaded_again():
    same = pack()
    events(same, 2, 0)
    (TRIALS / "0" / only_checkpoint()).write_text("broken")
    assert resources(events(same, 3, 2)) == [3]


def test_what_is_held_in_memory_is_left_when_the_records_end_earlier():
    same = pack()
    events(same, 1, 0)
    events(same, 3, 1)
    assert resources(events(same, 3, 1)) == [2, 3]


def test_another_trial_in_between_changes_nothing():
    same = pack()
    events(same, 1, 0, trial_id=0)
    events(same, 1, 0, trial_id=1)
    assert resources(events(same, 2, 1, trial_id=0)) == [2]


def closed() -> list[str]:
    return Path("closed.txt").read_text().splitlines() if Path("closed.txt").exists() else []


def test_a_trial_writes_to_a_directory_of_its_own_which_a_later_process_finds_again():
    for resource, recorded in ((2, 0), (5, 2)):
        at_work = Pack(setup("Writes").pack(threads=1, checkpoint_seconds=1e9))
        at_work.submit(setup("Writes").task(job(0, resource), recorded))
        assert resources(advanced(at_work)) == list(range(recorded + 1, resource + 1))
    assert (TRIALS / "0" / "files" / "units.txt").read_text() == "xxxxx"


def test_a_state_is_closed_when_its_trial_is_stopped_forgotten_failed_or_crowded_out():
    at_work = Pack(setup("Writes").pack(threads=1, checkpoint_seconds=1e9))

    def train(trial_id: int, resource: int, recorded: int = 0, x: float = 0.5) -> None:
        at_work.submit(setup("Writes").task(job(trial_id, resource, x), recorded))
        list(advanced(at_work))

    train(0, 1)
    assert closed() == []
    train(0, 2, recorded=1)
    assert closed() == []  # it was in memory
    train(1, 1, x=0.25)
    assert closed() == ["0.5 at -1.0"]  # one place, which trial 1 has taken
    at_work.forget(1)
    assert closed()[1:] == ["0.25 at -0.25"]
    train(2, 1, x=-1)
    assert closed()[2:] == ["-1 at -0.0"]
    at_work.submit(setup("Writes").task(job(3, 9, x=0.75), 0))
    at_work.advance()
    at_work.stop(3)
    assert closed()[3:] == ["0.75 at -0.75"]
    list(advanced(at_work))
    train(4, 1, x=0.125)
    at_work.clear()
    assert closed()[4:] == ["0.125 at -0.125"]


def test_a_state_in_the_tuner_s_process_is_closed_at_the_end_of_the_session():
    executor = SerialExecutor(setup("Writes"))
    executor.submit(job(0, 1), 0)
    executor.wait()
    assert closed() == []
    executor.close()
    executor.close()
    assert closed() == ["0.5 at -0.5"]


def test_what_goes_wrong_when_a_state_is_closed_is_in_the_trial_s_log(monkeypatch):
    monkeypatch.setattr(trouble.Writes, "close", lambda self, state: 1 / 0)
    at_work = Pack(setup("Writes").pack(threads=1, checkpoint_seconds=1e9))
    at_work.submit(setup("Writes").task(job(0, 1), 0))
    assert resources(advanced(at_work)) == [1]
    at_work.clear()
    assert "ZeroDivisionError" in (TRIALS / "0" / "log.txt").read_text()


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("breaks", [[1, 2, 3, 4], [2, 4], [3, 4]])
def test_a_promoted_trial_reaches_what_an_uninterrupted_one_reaches_bit_for_bit(optimizer, breaks):
    composed = compose(
        *(o for o in DIGITS if "model" not in o), f"optimizer={optimizer}", "model.dropout_1=0.3", "name=s"
    )
    check_study(composed)
    sample = {"optimizer.lr": 0.01, "model.n_units_1": 16, "model.n_units_2": 8}
    curves: list[list[Any]] = []
    for stops in ([4], breaks):
        made = StudySetup(
            composed.config["objective"],
            ("validation_error",),
            Path(f"trials-{len(curves)}"),
            composed.trial_config,
            lambda trial_id: trial_seed(0, trial_id),
        )
        curves.append([])
        for start, end in zip([0, *stops], stops, strict=False):
            fresh = Pack(made.pack(threads=1, checkpoint_seconds=1e9))
            fresh.submit(made.task(Job(Trial(3, sample), end), start))
            curves[-1] += [
                (e.resource, {n: repr(v) for n, v in e.metrics.items() if n != "seconds"})
                for e in advanced(fresh)
                if isinstance(e, Report)
            ]
    assert [at for at, _ in curves[0]] == [1, 2, 3, 4]
    assert curves[0] == curves[1]


def test_an_objective_that_asks_for_it_is_told_how_far_each_job_goes():
    aimed = setup("Aimed")
    trust.trust(("trouble",))
    at_work = Pack(aimed.pack(threads=1, checkpoint_seconds=1e9))
    targets = []
    for resource, recorded in ((2, 0), (9, 2)):  # the second one goes on in memory
        at_work.submit(aimed.task(job(0, resource), recorded))
        targets += curve_of(advanced(at_work))
    at_work = Pack(aimed.pack(threads=1, checkpoint_seconds=1e9))
    at_work.submit(aimed.task(job(0, 10), 9))  # and the third from its checkpoint
    targets += curve_of(advanced(at_work))
    assert targets == [(1, 2.0), (2, 2.0), *((at, 7.0) for at in range(3, 10)), (10, 1.0)]
