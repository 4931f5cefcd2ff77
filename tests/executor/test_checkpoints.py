"""The store of checkpoints: what is damaged is not gone on from, and what others may need stays."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from pools import curve_of, job, outcomes, packs, setup, until_results

from hpo_pipeline.errors import StudyError
from hpo_pipeline.executor.checkpoints import Checkpoints, Loaded
from hpo_pipeline.executor.pack import Pack
from hpo_pipeline.trial import Event, Notice, Outcome

TRIALS = Path("trials")


def write(text: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(text)


def saved(*at: int, trial: int = 0, midway: tuple[int, ...] = ()) -> Checkpoints:
    store = Checkpoints(TRIALS)
    for resource in at:
        store.save(trial, resource, write(f"trial {trial} at {resource}"), midway=resource in midway)
    return store


def resources(trial: int = 0) -> list[int]:
    return sorted(int(path.name.partition(".")[0]) for path in (TRIALS / str(trial)).glob("*.ckpt"))


def file_of(resource: int, trial: int = 0) -> Path:
    (path,) = (TRIALS / str(trial)).glob(f"{resource}.*ckpt")
    return path


def loaded(store: Checkpoints, at_most: int = 9, trial: int = 0) -> tuple[int, str | None, int]:
    """(resource, content, number of problems)."""
    found = store.load(trial, at_most, Path.read_text)
    return found.resource, found.state, len(found.problems)


def folder(text: str) -> Callable[[Path], object]:
    """Writes a checkpoint that is a folder."""

    def write(path: Path) -> None:
        (path / "weights").mkdir(parents=True)
        (path / "weights" / "1.txt").write_text(text)
        (path / "empty").mkdir()

    return write


def read_folder(path: Path) -> str:
    assert sorted(part.name for part in path.rglob("*")) == ["1.txt", "empty", "weights"]
    return (path / "weights" / "1.txt").read_text()


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "flipped": damage,
    "cut short": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "empty": lambda path: path.write_bytes(b""),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"\0"),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
    "a link": lambda path: path.rename(TRIALS / "kept") and path.symlink_to(TRIALS.absolute() / "kept"),
    "gone": Path.unlink,
}


def test_what_was_saved_is_loaded_and_nothing_beyond_the_records():
    store = saved(2, 5)
    assert loaded(store) == (5, "trial 0 at 5", 0)
    assert loaded(store, at_most=4) == (2, "trial 0 at 2", 0)
    assert loaded(store, at_most=1) == (0, None, 0)


@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_checkpoint_is_passed_over_for_the_next_older_one_and_then_for_the_beginning(how):
    store = saved(2, 5)
    DAMAGES[how](file_of(5))
    assert loaded(store) == (2, "trial 0 at 2", how != "gone")
    DAMAGES[how](file_of(2))
    assert loaded(store) == (0, None, 2 * (how != "gone"))


def test_a_copy_of_another_trial_s_checkpoint_or_of_another_resource_s_is_not_taken():
    store = saved(2)
    other = saved(5, trial=1) and file_of(5, trial=1)
    (TRIALS / "0" / other.name).write_bytes(other.read_bytes())
    assert loaded(store) == (2, "trial 0 at 2", 1)
    name = file_of(2).name
    (TRIALS / "0" / name.replace("2.", "4.", 1)).write_bytes(file_of(2).read_bytes())
    assert loaded(store) == (2, "trial 0 at 2", 2)


def test_a_whole_checkpoint_that_the_objective_does_not_take_is_an_error():
    def refuse(path: Path) -> None:
        raise ValueError("of another model")

    with pytest.raises(ValueError, match="of another model"):
        saved(2).load(0, 2, refuse)


def test_checkpoints_of_older_versions_are_loaded_and_passed_over_if_they_can_not_be():
    store = saved(1)
    for resource, text in ((2, "as it was"), (3, "broken")):
        (TRIALS / "0" / f"{resource}.ckpt").write_text(text)

    def read(path: Path) -> str:
        if path.read_text() == "broken":
            raise ValueError("not whole")
        return path.read_text()

    found = store.load(0, 3, read)
    assert (found.resource, found.state) == (2, "as it was")
    assert found.problems == ["3.ckpt: ValueError: not whole"]


@pytest.mark.parametrize(
    ("at", "midway", "left"),
    [
        ((3, 4, 5), (4, 5), [3, 4, 5]),  # the job's beginning, the one before the newest, the newest
        ((3, 4, 5, 6), (4, 5), [3, 5, 6]),
        ((3, 4, 5, 6, 7), (4, 5, 7), [6, 7]),
        ((1, 2, 3), (1, 2, 3), [2, 3]),
    ],
)
def test_the_last_job_s_end_stays_until_the_next_job_goes_on_from_its_own(at, midway, left):
    saved(*at, midway=midway)
    assert resources() == left


def test_a_failed_save_leaves_the_older_checkpoint_and_no_other_file():
    store = saved(1)

    def breaks(path: Path) -> None:
        path.write_text("half a check")
        raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space"):
        store.save(0, 2, breaks, midway=False)
    assert len(os.listdir(TRIALS / "0")) == 1
    assert loaded(store) == (1, "trial 0 at 1", 0)


@pytest.mark.parametrize("write", [lambda path: None, lambda path: path.symlink_to("/tmp"), os.mkfifo])
def test_an_objective_that_writes_no_file_is_told_so(write):
    with pytest.raises(StudyError, match="save wrote no file or folder"):
        Checkpoints(TRIALS).save(0, 1, write, midway=False)
    assert os.listdir(TRIALS / "0") == []


# -- checkpoints that are folders --------------------------------------------------------------------------------------


def test_a_folder_is_a_checkpoint_as_well():
    store = saved(1)
    for resource in (2, 3):
        store.save(0, resource, folder(f"at {resource}"), midway=False)
    assert resources() == [2, 3]
    assert store.load(0, 3, read_folder).state == "at 3"
    assert store.adopt(1, 5, (0, 3), until=7) == ""
    assert store.load(1, 5, read_folder).state == "at 3"
    store.discard(0)
    assert os.listdir(TRIALS / "0") == []


FOLDER_DAMAGES: dict[str, Callable[[Path], object]] = {
    "flipped": lambda path: damage(path / "weights" / "1.txt"),
    "one more": lambda path: (path / "2.txt").touch(),
    "one fewer": lambda path: (path / "weights" / "1.txt").unlink(),
    "renamed": lambda path: (path / "weights").rename(path / "weight"),
    "a folder fewer": lambda path: (path / "empty").rmdir(),
    "a file for a folder": lambda path: ((path / "empty").rmdir(), (path / "empty").touch()),
    "a link in it": lambda path: (path / "empty" / "link").symlink_to("/"),
    "a pipe in it": lambda path: os.mkfifo(path / "pipe"),
    "a link": lambda path: path.rename(TRIALS / "kept") and path.symlink_to(TRIALS.absolute() / "kept"),
    "a file": lambda path: (shutil.rmtree(path), path.touch()),
}


@pytest.mark.parametrize("how", FOLDER_DAMAGES)
def test_a_folder_that_is_damaged_is_passed_over(how):
    store = Checkpoints(TRIALS)
    for resource in (2, 5):
        store.save(0, resource, folder(f"at {resource}"), midway=False)
    FOLDER_DAMAGES[how](file_of(5))
    found = store.load(0, 9, read_folder)
    assert (found.resource, found.state, len(found.problems)) == (2, "at 2", 1)


def test_where_a_damaged_folder_is_written_again_it_is_whole():
    store = Checkpoints(TRIALS)
    for _ in range(2):
        store.save(0, 1, folder("same"), midway=False)
        assert store.load(0, 1, read_folder).state == "same"
        damaged = file_of(1) / "weights" / "1.txt"
        damaged.write_text("other")
    store.save(0, 1, folder("same"), midway=False)
    assert store.load(0, 1, read_folder) == Loaded(1, "same", [])


def test_what_a_killed_process_left_of_a_folder_is_in_nobody_s_way():
    store = Checkpoints(TRIALS)
    folder("half")(TRIALS / "0" / ".1.ckpt.tmp")
    assert store.load(0, 1, read_folder).resource == 0
    store.save(0, 1, folder("whole"), midway=False)
    assert store.load(0, 1, read_folder).state == "whole"
    assert len(os.listdir(TRIALS / "0")) == 1


# -- order, links ------------------------------------------------------------------------------------------------------


def test_it_is_on_the_disk_under_its_name_before_an_older_one_is_removed(monkeypatch):
    saved(1, 2)
    done: list[str] = []
    replace, unlink = os.replace, Path.unlink

    def synced(file: int) -> None:
        done.append(f"sync {Path(os.readlink(f'/proc/self/fd/{file}')).name}")

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", lambda a, b: done.append("rename") or replace(a, b))
    monkeypatch.setattr(Path, "unlink", lambda p, **k: done.append(f"remove {p.name[0]}") or unlink(p, **k))
    saved(3)
    assert [what for what in done if what != "remove ."] == ["sync .3.ckpt.tmp", "rename", "sync 0", "remove 1"]


def test_nothing_is_written_or_removed_through_a_link(tmp_path):
    victim = tmp_path / "outside"
    victim.mkdir()
    (victim / "precious").write_text("kept")
    TRIALS.mkdir()
    (TRIALS / "0").symlink_to(victim)
    saved(2, trial=1)
    (TRIALS / "1" / ".3.ckpt.tmp").symlink_to(victim / "precious")
    (TRIALS / "1" / "4.ckpt").symlink_to(victim / "precious")
    with pytest.raises(StudyError, match="no link to one"):
        saved(1)
    (victim / "1.ckpt").write_text("kept")
    Checkpoints(TRIALS).discard(0)
    store = saved(3, trial=1)
    assert loaded(store, trial=1) == (3, "trial 1 at 3", 1)
    store.discard(1)
    assert sorted(path.name for path in victim.iterdir()) == ["1.ckpt", "precious"]
    assert (victim / "precious").read_text() == "kept"


def test_a_log_that_is_a_link_is_not_written_through(tmp_path):
    (TRIALS / "0").mkdir(parents=True)
    (tmp_path / "precious").write_text("kept")
    (TRIALS / "0" / "log.txt").symlink_to(tmp_path / "precious")
    events = advanced(Pack(setup().pack(1, 30.0)), 0, 2, x=-1)
    assert outcomes(events)[0][0] is Outcome.FAILED
    assert (tmp_path / "precious").read_text() == "kept"


def test_a_trial_whose_folder_is_a_link_fails_and_nothing_is_written_there(tmp_path):
    (tmp_path / "outside").mkdir()
    TRIALS.mkdir()
    (TRIALS / "0").symlink_to(tmp_path / "outside")
    executor = packs(n_workers=1, size=1)
    executor.submit(job(0, 1), 0)
    ((outcome, error),) = outcomes(until_results(executor)).values()
    executor.close()
    assert outcome is Outcome.FAILED
    assert "no link to one; remove it" in error
    assert list((tmp_path / "outside").iterdir()) == []


def advanced(pack: Pack, recorded: int, resource: int, x: float = 0.5) -> list[Event]:
    pack.submit(setup().task(job(0, resource, x), recorded))
    events: list[Event] = []
    while pack.n_jobs:
        events += pack.advance()
    return events


@pytest.mark.parametrize(("broken", "expected"), [([4], [3, 4, 5]), ([2, 4], [1, 2, 3, 4, 5])])
def test_a_trial_with_damaged_checkpoints_goes_on_from_what_it_has_and_people_are_told(broken, expected):
    for recorded, resource in ((0, 2), (2, 4)):
        advanced(Pack(setup().pack(1, 30.0)), recorded, resource)
    for resource in broken:
        damage(file_of(resource))
    events = advanced(Pack(setup().pack(1, 30.0)), 4, 5)
    assert [at for at, _ in curve_of(events)] == expected
    (notice,) = [event.text for event in events if isinstance(event, Notice)]
    where = "from 2" if broken == [4] else "from the beginning"
    assert notice.startswith(f"trial 0 has records to 4 and goes on {where}: 4.")
    assert notice.count("doesn't match the checksum in its name") == len(broken)
    assert notice.removeprefix("trial 0 ") in Path("trials/0/log.txt").read_text()


def test_of_many_trials_that_begin_again_people_are_told_in_few_lines():
    pack = Pack(setup().pack(1, 30.0, 8))
    for trial in range(8):
        pack.submit(setup().task(job(trial, 3), 2))
    told = [event.text for event in pack.advance() if isinstance(event, Notice)]
    assert len(told) == 4
    assert told[0] == "trial 0 has records to 2 and goes on from the beginning: there is no later checkpoint"
    assert told[3] == "5 more such lines are in the trials' logs"
    assert all("there is no later" in Path(f"trials/{trial}/log.txt").read_text() for trial in range(8))


def test_another_trial_s_checkpoint_is_taken_over_once():
    store = saved(3, trial=1)
    saved(3)
    assert store.adopt(0, 3, (1, 3), until=6) == ""
    assert loaded(store) == (3, "trial 1 at 3", 0)
    store.discard(1)
    assert store.adopt(0, 3, (1, 3), until=6) == ""
    assert loaded(store) == (3, "trial 1 at 3", 0)


def test_where_it_is_damaged_the_one_before_it_is_taken_over():
    store = saved(3, 6, trial=1)
    saved(6)
    damage(file_of(6, trial=1))
    told = store.adopt(0, 6, (1, 6), until=9)
    assert told.startswith("takes over trial 1 at 3 instead of 6 (6.")
    assert loaded(store) == (6, "trial 1 at 3", 0)


def test_where_there_is_none_a_trial_keeps_its_own_also_when_it_is_handed_out_again():
    store = saved(6)
    told = "goes on with its own weights: trial 1 has no usable checkpoint"
    assert store.adopt(0, 6, (1, 6), until=9) == told
    saved(6, trial=1)
    assert store.adopt(0, 6, (1, 6), until=9) == ""
    assert loaded(store) == (6, "trial 0 at 6", 0)


def test_discarding_leaves_files_that_are_no_checkpoints():
    store = saved(1)
    for name in ("best.ckpt", "log.txt", ".2.ckpt.tmp", "1.5.ckpt"):
        (TRIALS / "0" / name).write_text("kept")
    store.discard(0)
    assert sorted(os.listdir(TRIALS / "0")) == ["1.5.ckpt", "best.ckpt", "log.txt"]
