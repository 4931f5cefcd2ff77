"""Checkpoints at a URL: as those in the study's folder, for whoever goes on elsewhere."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from pools import curve_of, job, setup, until_results

from hpo_pipeline.errors import StudyError
from hpo_pipeline.executor.pool import Pool
from hpo_pipeline.executor.serial import OwnProcess
from hpo_pipeline.executor.url_checkpoints import UrlCheckpoints, checkpoints_in


@pytest.fixture(params=["file", "memory"])
def store(request, tmp_path) -> UrlCheckpoints:
    url = f"file://{tmp_path}/there" if request.param == "file" else f"memory://{tmp_path.name}"
    return UrlCheckpoints(tmp_path / "trials", url)


def text(content: str):
    return lambda path: path.write_text(content)


def names(store: UrlCheckpoints, trial_id: int = 0) -> list[str]:
    return [path.name.split(".")[0] for path in store.paths(trial_id)]


def test_what_is_saved_is_loaded_a_file_or_a_folder(store):
    def folder(path: Path) -> None:
        (path / "inner").mkdir(parents=True)
        (path / "inner" / "weights").write_bytes(b"\0\1")

    store.save(0, 1, text("one"), midway=False)
    assert store.load(0, 5, Path.read_text).state == "one"
    store.save(0, 2, folder, midway=True)
    found = store.load(0, 2, lambda path: (path / "inner" / "weights").read_bytes())
    assert (found.resource, found.state, found.problems) == (2, b"\0\1", [])
    assert store.load(0, 1, Path.read_text).state == "one"
    assert store.load(1, 9, Path.read_text).resource == 0


def test_the_last_end_and_the_newest_before_stay(store):
    for resource, midway in ((1, False), (2, True), (3, True), (4, False), (5, True)):
        store.save(0, resource, text(str(resource)), midway=midway)
    assert names(store) == ["5", "4"]
    store.save(0, 6, text("6"), midway=True)
    assert names(store) == ["6", "5", "4"]


def test_another_s_checkpoint_is_taken_over_once(store):
    store.save(0, 3, text("other"), midway=False)
    store.save(1, 3, text("own"), midway=False)
    assert store.adopt(1, 3, (0, 3), until=6) == ""
    store.save(0, 3, text("changed"), midway=False)
    assert store.adopt(1, 3, (0, 3), until=6) == ""
    assert store.load(1, 3, Path.read_text).state == "other"


def test_what_is_damaged_is_passed_over(store):
    store.save(0, 1, text("one"), midway=False)
    store.save(0, 2, text("two"), midway=False)
    newest = store.paths(0)[0]
    with store._files.open(newest.as_posix(), "wb") as stream:
        stream.write(b"cut short")
    found = store.load(0, 2, Path.read_text)
    assert (found.resource, found.state, len(found.problems)) == (1, "one", 1)
    store.discard(0)
    assert store.paths(0) == []
    store.discard(0)


def test_a_pool_s_trials_go_on_from_there_and_leave_nothing_in_the_study(tmp_path):
    made = replace(setup(), checkpoints_url=f"file://{tmp_path}/there")
    curves = []
    for resource, recorded in ((2, 0), (5, 2)):
        pool = Pool(made, made.pack(1, 30.0), OwnProcess(None))
        pool.submit(job(0, resource), recorded)
        curves.append([at for at, _ in curve_of(until_results(pool))])
        pool.close()
    assert curves == [[1, 2], [3, 4, 5]]
    assert not list(Path("trials").rglob("*.ckpt"))
    made.checkpoints.discard(0)
    assert not list((tmp_path / "there").rglob("*.ckpt"))


def test_a_kind_of_url_that_nothing_opens_is_named():
    with pytest.raises(StudyError, match="nowhere://bucket can't be opened"):
        checkpoints_in(Path("trials"), "nowhere://bucket")
