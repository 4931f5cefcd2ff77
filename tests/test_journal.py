"""The journal: what survives a crash, who may write, what is refused."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hpo_pipeline.errors import StudyError
from hpo_pipeline.journal import Journal, read

PATH = Path("journal.jsonl")


def written(*records: dict) -> Path:
    with Journal(PATH) as journal:
        journal.append(*records)
    return PATH


def records() -> list[dict]:
    return [record for record, _ in read(PATH)]


def test_what_was_appended_is_read_back_in_order():
    written({"event": "a", "n": 1}, {"event": "b", "text": "é\n☃"})
    written({"event": "c"})
    assert records() == [{"event": "a", "n": 1}, {"event": "b", "text": "é\n☃"}, {"event": "c"}]


def test_metrics_that_json_does_not_have_are_read_back_as_numbers():
    written({"event": "report", "metrics": {"a": math.nan, "b": math.inf, "c": -math.inf, "d": 0.1}})
    metrics = records()[0]["metrics"]
    assert math.isnan(metrics["a"])
    assert (metrics["b"], metrics["c"], metrics["d"]) == (math.inf, -math.inf, 0.1)
    assert '"a":"nan"' in PATH.read_text()


def test_a_value_keeps_its_last_digit():
    written({"event": "rung", "value": 0.1 + 0.2})
    assert records()[0]["value"] == 0.1 + 0.2


def test_reading_goes_on_where_it_stopped():
    written({"event": "a"}, {"event": "b"})
    (_, offset), _ = read(PATH)
    assert [record for record, _ in read(PATH, offset)] == [{"event": "b"}]


@pytest.mark.parametrize("torn", [b"{", b'{"event":"rep', b'{"event":"b"}', b"\xc3"])
def test_a_last_line_that_a_crash_cut_short_is_left_out_and_then_dropped(torn):
    whole = written({"event": "a"}).read_bytes()
    PATH.write_bytes(whole + torn)
    assert records() == [{"event": "a"}]
    written({"event": "c"})
    assert records() == [{"event": "a"}, {"event": "c"}]


def test_a_journal_that_was_cut_within_its_first_line_is_empty():
    PATH.write_bytes(b'{"event":"stu')
    with Journal(PATH):
        assert records() == []


def test_a_whole_line_that_is_no_record_is_refused_with_its_place():
    PATH.write_bytes(b'{"event":"a"}\nnonsense\n')
    with pytest.raises(StudyError, match=r"journal.jsonl: byte 14: not a journal record"):
        records()


def test_a_record_is_with_the_operating_system_when_append_returns():
    with Journal(PATH) as journal:
        journal.append({"event": "a"})
        code = "print(open('journal.jsonl').read().count('\\n'))"
        assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "1\n"


def test_a_record_survives_a_process_that_ends_at_once():
    code = (
        "import os; from pathlib import Path; from hpo_pipeline.journal import Journal\n"
        "Journal(Path('journal.jsonl')).append({'event': 'a'}, {'event': 'b'}); os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 9
    written({"event": "c"})
    assert [record["event"] for record in records()] == ["a", "b", "c"]


def test_a_second_writer_is_refused_and_the_first_goes_on():
    with Journal(PATH) as journal:
        with pytest.raises(StudyError, match="another tuner is at work on this study"):
            Journal(PATH)
        journal.append({"event": "a"})
    assert records() == [{"event": "a"}]


def test_a_writer_in_another_process_is_refused():
    code = "from pathlib import Path; from hpo_pipeline.journal import Journal; Journal(Path('journal.jsonl'))"
    with Journal(PATH):
        ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "another tuner is at work on this study" in ended.stderr


def test_a_write_that_was_cut_short_goes_on(monkeypatch):
    whole = os.write
    monkeypatch.setattr(os, "write", lambda file, data: whole(file, bytes(data)[:5]))
    assert written({"event": "a"}, {"event": "b"}).read_bytes() == b'{"event":"a"}\n{"event":"b"}\n'


def test_records_are_on_the_disk_when_the_journal_is_closed(monkeypatch):
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda _file: synced.append(PATH.stat().st_size))
    size = written({"event": "a"}).stat().st_size
    assert synced[-1] == size


def test_closing_twice_is_harmless():
    journal = Journal(PATH)
    journal.close()
    journal.close()
