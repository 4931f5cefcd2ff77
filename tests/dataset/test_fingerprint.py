"""The digests by which data are told apart."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

pytest.importorskip("torch")

from hpo_pipeline.dataset.digits import Digits
from hpo_pipeline.dataset.fingerprint import data_splits
from hpo_pipeline.dataset.image_folder import ImageFolder
from hpo_pipeline.dataset.tabular import Tabular


def digests(dataset: object, final: bool = False, **arguments: object) -> list[tuple[str, str]]:
    return [(split.context, split.digest) for split in data_splits(dataset, arguments, final=final)]


def test_equal_data_have_equal_digests_wherever_they_lie():
    Path("here").mkdir()
    Path("here/table.csv").write_text("x,y\n1,a\n2,b\n", encoding="utf-8")
    shutil.copytree("here", "there")
    here, there = (Tabular(f"{folder}/table.csv", "y") for folder in ("here", "there"))
    assert digests(here, path="here/table.csv") == digests(there, path="there/table.csv")
    Path("there/table.csv").write_text("x,y\n1,a\n2,c\n", encoding="utf-8")
    assert digests(here) != digests(there)


def test_another_split_has_another_digest_and_so_has_each_part():
    (training, first), (validation, second) = digests(Digits(), split_seed=0)
    assert (training, validation) == ("training", "validation")
    assert len({first, second, *(digest for _, digest in digests(Digits(), split_seed=1))}) == 4
    assert [context for context, _ in digests(Digits(), final=True)] == ["training", "test"]


def test_of_a_folder_names_and_sizes_tell():
    for name in ("cat/1.png", "dog/1.png"):
        Path("images", name).parent.mkdir(parents=True)
        Path("images", name).write_bytes(b"123")
    before = digests(ImageFolder("images"))
    assert digests(ImageFolder("images")) == before
    Path("images/dog/1.png").rename("images/dog/2.png")
    assert digests(ImageFolder("images")) != before


def test_of_a_large_file_little_is_read(monkeypatch: pytest.MonkeyPatch):
    with open("table.csv", "wb") as file:
        file.write(b"x,y\n")
        os.truncate("table.csv", 1 << 34)  # 16 GiB that take no room
    assert len(digests(Tabular("table.csv", "y"))) == 2
