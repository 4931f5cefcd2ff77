"""Studies from the command line on images in files and with random changes to them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from commands import journal, run
from PIL import Image

CROP = "{_target_: torchvision.transforms.v2.RandomCrop, size: 8, padding: 1}"
SMALL = ("model=softmax", "executor=serial", "tracker=none", "scheduler=fifo", "n_trials=2", "threads=1")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)


def photographs() -> None:
    random = np.random.default_rng(0)
    for kind in ("day", "night"):
        folder = Path("photos", kind)
        folder.mkdir(parents=True)
        for i in range(12):
            pixels = random.integers(0, 150, (9, 9, 3)) + (100 if kind == "day" else 0)
            Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{i}.png")


def reports(name: str) -> list[tuple[int, int, float, float]]:
    metrics = [(r["trial"], r["resource"], r["metrics"]) for r in journal(name) if r["event"] == "report"]
    return [(trial, at, found["validation_loss"], found["train_loss"]) for trial, at, found in metrics]


def test_images_read_by_two_workers_give_the_numbers_of_images_read_by_none():
    photographs()
    data = ("dataset=image_folder", "dataset.root=photos", "dataset.size=8", f"dataset.transform=[{CROP}]")
    for n_workers in (0, 2):
        ended = run(*SMALL, *data, f"name=by{n_workers}", "max_resource=2", f"dataset.n_workers={n_workers}")
        assert ended.code == 0, ended.err
    assert len(reports("by0")) == 4
    assert reports("by0") == reports("by2")


def test_a_trial_without_progress_ends_by_its_patience_and_the_next_one_begins():
    keys = ("dataset=digits", "search_space.optimizer.lr=0.0", "max_resource=9", "objective.patience=2")
    ended = run(*SMALL, *keys, "name=still")
    assert ended.code == 0, ended.err
    assert [report[:2] for report in reports("still")] == [(0, 1), (0, 2), (0, 3), (1, 1), (1, 2), (1, 3)]
    over = [record for record in journal("still") if record["event"] == "decision"]
    told = "no better validation_error for 2 epochs"
    assert [(record["state"], record["reason"]) for record in over] == [("COMPLETED", told)] * 2


@pytest.mark.parametrize(
    ("transform", "what"),
    [
        (
            "[{_target_: os.system, command: 'touch canary'}]",
            "dataset.transform[0]._target_: 'os.system' is not on the t",
        ),
        (
            "[{_target_: torch.hub.load, repo_or_dir: x, model: y}]",
            "dataset.transform[0]._target_: 'torch.hub.load' is n",
        ),
        (f"[{CROP.replace('size: 8', 'size: 7')}]", "dataset.transform: makes (1, 8, 8) (1, 7, 7); training examples"),
    ],
)
def test_transforms_that_are_wrong_end_it_before_anything_starts(transform: str, what: str):
    ended = run(*SMALL, "dataset=digits", "name=never", f"dataset.transform={transform}")
    assert ended.code == 2
    assert what in ended.err
    assert sorted(Path().iterdir()) == []
