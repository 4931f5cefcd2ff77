"""Files of data from a stranger: nothing is started, and a small file takes no more memory than there is."""

from __future__ import annotations

import gzip
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest

from hpo_pipeline.errors import ConfigError, StudyError
from hpo_pipeline.objective.recording import read_table
from hpo_pipeline.plain_yaml import plain_yaml


def refused_table(name: str) -> str:
    with pytest.raises(ConfigError) as raised:
        read_table(Path(name), "epoch", 1)
    return str(raised.value)


def test_a_picture_of_another_format_starts_no_program(monkeypatch):
    pytest.importorskip("PIL")
    from PIL import EpsImagePlugin

    from hpo_pipeline.dataset.image_folder import read_image

    def started(*_, **__):
        raise AssertionError("Ghostscript was started")

    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", started)
    head = "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n(x) print\n%%EOF\n"
    Path("cat.png").write_text(head)
    with pytest.raises(OSError, match="cannot identify"):
        read_image("cat.png", (3, 8, 8))


def test_a_picture_that_would_fill_the_memory_is_named():
    pytest.importorskip("PIL")
    from hpo_pipeline.dataset.image_folder import Images

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    Path("bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + header + body)
    with pytest.raises(StudyError, match=r"bomb\.png: can't be read as an image"):
        Images([(Path("bomb.png"), 0)], (3, 8, 8))[0]


def test_recorded_curves_that_would_fill_the_memory_are_refused():
    np.save("error.npy", np.zeros(1))
    with zipfile.ZipFile("bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive, archive.open("error.npy", "w") as file:
        file.write(Path("error.npy").read_bytes()[:128])
        for _ in range(900):
            file.write(bytes(1_000_000))
    assert Path("bomb.npz").stat().st_size < 1_000_000
    assert "more than fits" in refused_table("bomb.npz")


def test_recorded_curves_that_begin_beyond_all_bounds_are_refused():
    np.savez("table.npz", lr=np.zeros(3), error=np.zeros((3, 4)))
    with pytest.raises(ConfigError, match="can't begin at resource 10000000000000"):
        read_table(Path("table.npz"), "epoch", 10**13)


def test_numbers_of_a_table_may_have_any_number_of_digits():
    long = "9" * 400
    Path("table.csv").write_text(f"trial,epoch,lr,error\n{long},1,0.1,{long}\n{long},2,0.1,1\n")
    table = read_table(Path("table.csv"), "epoch", 1)
    assert table.curves["error"].tolist() == [[np.inf, 1.0]]
    assert table.ids.tolist() == [0]


@pytest.mark.parametrize("spoilt", [lambda text: text[:-20], lambda text: text[:30] + b"\xff" * 50 + text[80:]])
def test_a_spoilt_archive_is_no_table(spoilt):
    pytest.importorskip("pandas")
    from hpo_pipeline.dataset.tabular import Tabular

    text = "a,y\n" + "".join(f"{i},{i * i}\n" for i in range(1000))
    Path("t.csv.gz").write_bytes(spoilt(gzip.compress(text.encode())))
    with pytest.raises(StudyError, match="can't be read as a table"):
        Tabular("t.csv.gz", "y").load()


@pytest.mark.parametrize(("text", "reason"), [("[" * 100_000, "deeper"), ("a: &a [1]\nb: *a", "aliases")])
def test_a_text_that_takes_forever_is_not_read(text, reason):
    with pytest.raises(ValueError, match=reason):
        plain_yaml(text)
