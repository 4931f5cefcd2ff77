"""Idx files, written by hand from their specification."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from hpo_pipeline.dataset.idx import read_idx
from hpo_pipeline.errors import StudyError

LABELS = bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 0, 9])
IMAGE = bytes([0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 2, 1, 2, 3, 4])


def test_reads_labels(tmp_path: Path):
    (tmp_path / "labels").write_bytes(LABELS)
    assert read_idx(tmp_path / "labels", (3,)).tolist() == [7, 0, 9]


def test_reads_compressed_images_row_by_row(tmp_path: Path):
    (tmp_path / "images.gz").write_bytes(gzip.compress(IMAGE))
    found = read_idx(tmp_path / "images.gz", (1, 2, 2))
    assert found.dtype == np.uint8
    assert found.tolist() == [[[1, 2], [3, 4]]]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"<html>", "starts with the bytes 3c 68 74 6d"),
        (b"", "starts with the bytes"),
        (IMAGE, "starts with the bytes 00 00 08 03"),
        (LABELS[:-1], "holds 2 bytes of data, not 3"),
        (LABELS + b"1", "holds 4 bytes of data, not 3"),
        (bytes([0, 0, 8, 1, 0, 0, 0, 2, 7, 0]), r"shape \(2,\), not \(3,\)"),
    ],
)
def test_refuses_what_is_no_file_of_three_labels(tmp_path: Path, content: bytes, complaint: str):
    (tmp_path / "labels").write_bytes(content)
    with pytest.raises(StudyError, match=complaint) as raised:
        read_idx(tmp_path / "labels", (3,))
    assert str(tmp_path / "labels") in str(raised.value)


@pytest.mark.parametrize("content", [gzip.compress(LABELS, mtime=0)[:-9], b"not gzip at all"])
def test_refuses_a_broken_archive(tmp_path: Path, content: bytes):
    (tmp_path / "labels.gz").write_bytes(content)
    with pytest.raises(StudyError, match="can't be read"):
        read_idx(tmp_path / "labels.gz", (3,))


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(StudyError, match="nowhere"):
        read_idx(tmp_path / "nowhere", (3,))
