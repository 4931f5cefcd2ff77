"""The journal: what survives a crash, who may write, what is refused."""

from __future__ import annotations

import errno
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
from small_journal import HEADER, PATH, events, records, written

from hpo_pipeline.errors import StudyError
from hpo_pipeline.journal import Journal, read

# -- what is written and read back ---------------------------------------------------------------------------------


def test_what_was_appended_is_read_back_in_order():
    written({"event": "a", "n": 1}, {"event": "b", "text": "é\n☃"})
    written({"event": "c"})
    assert records() == [{"event": "a", "n": 1}, {"event": "b", "text": "é\n☃"}, {"event": "c"}]


def test_metrics_that_json_does_not_have_are_read_back_as_numbers():
    report = {"event": "report", "time": 0.0, "trial": 0, "resource": 1}
    written({**report, "metrics": {"a": math.nan, "b": math.inf, "c": -math.inf, "d": 0.1}})
    metrics = records()[0]["metrics"]
    assert math.isnan(metrics["a"])
    assert (metrics["b"], metrics["c"], metrics["d"]) == (math.inf, -math.inf, 0.1)
    assert '"a":"nan"' in PATH.read_text()


def test_a_value_keeps_its_last_digit():
    written({"event": "report", "time": 0.0, "trial": 0, "resource": 1, "metrics": {"loss": 0.1 + 0.2}})
    assert records()[0]["metrics"]["loss"] == 0.1 + 0.2


def test_reading_goes_on_where_it_stopped():
    written({"event": "a"}, {"event": "b"})
    (_, _), (_, offset), _ = read(PATH)
    assert [record for record, _ in read(PATH, offset)] == [{"event": "b"}]


def test_reading_from_an_offset_reads_nothing_before_the_last_line_there():
    written({"event": "a"}, {"event": "b"}, {"event": "c"})
    ends = [end for _, end in read(PATH)]
    content = bytearray(PATH.read_bytes())
    content[ends[0] + 3] ^= 1  # in the line of a
    PATH.write_bytes(content)
    assert [record["event"] for record, _ in read(PATH, ends[2])] == ["c"]
    with pytest.raises(StudyError, match="line 2"):
        list(read(PATH))


def test_an_offset_at_which_no_line_ends_is_refused():
    written({"event": "a"})
    for offset in (5, PATH.stat().st_size + 1):
        with pytest.raises(StudyError, match=f"no line ends at byte {offset}"):
            list(read(PATH, offset))


# -- crashes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("torn", [b"{", b'{"event":"rep', b'{"event":"b"}', b"\xc3"])
def test_a_last_line_that_a_crash_cut_short_is_left_out_and_then_dropped(torn):
    whole = written({"event": "a"}).read_bytes()
    PATH.write_bytes(whole + torn)
    assert records() == [{"event": "a"}]
    written({"event": "c"})
    assert records() == [{"event": "a"}, {"event": "c"}]


@pytest.mark.parametrize("cut", [0, 1, 13])
def test_a_journal_that_was_cut_within_its_first_line_is_empty(cut):
    PATH.write_bytes(b'{"event":"stu'[:cut])
    with Journal(PATH):
        assert list(read(PATH)) == []


def test_a_record_is_with_the_operating_system_when_append_returns():
    with Journal(PATH) as journal:
        journal.append({"event": "a"})
        code = "print(open('journal.jsonl').read().count('\\n'))"
        assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "1\n"


def test_a_record_survives_a_process_that_ends_at_once():
    code = (
        "import os; from pathlib import Path; from hpo_pipeline.journal import Journal\n"
        f"Journal(Path('journal.jsonl')).append({HEADER}, {{'event': 'b'}}); os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 9
    written({"event": "c"})
    assert events() == ["study", "b", "c"]


def test_a_write_that_was_cut_short_goes_on(monkeypatch):
    whole = written({"event": "a"}, {"event": "b"}).read_bytes()
    PATH.unlink()
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, data: write(file, bytes(data)[:5]))
    assert written({"event": "a"}, {"event": "b"}).read_bytes() == whole


def test_records_are_on_the_disk_when_the_journal_is_closed(monkeypatch):
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda _file: synced.append(PATH.stat().st_size))
    size = written({"event": "a"}).stat().st_size
    assert synced[-1] == size


def test_closing_twice_is_harmless():
    journal = Journal(PATH)
    journal.close()
    journal.close()


# -- who may write -------------------------------------------------------------------------------------------------


def test_a_second_writer_is_refused_and_the_first_goes_on():
    with Journal(PATH) as journal:
        with pytest.raises(StudyError, match="another tuner is at work on this study"):
            Journal(PATH)
        journal.append(HEADER, {"event": "a"})
    assert records() == [{"event": "a"}]


def test_a_writer_in_another_process_is_refused():
    code = "from pathlib import Path; from hpo_pipeline.journal import Journal; Journal(Path('journal.jsonl'))"
    with Journal(PATH):
        ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "another tuner is at work on this study" in ended.stderr


# -- a journal that can't be written -------------------------------------------------------------------------------

NO_SPACE = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("room", [0, 10, 30, 50, 60])
def test_a_full_disk_is_said_and_leaves_whole_lines(monkeypatch, room):
    written({"event": "a"})
    write = os.write
    with Journal(PATH) as journal:
        left = room

        def limited(file, data):
            nonlocal left
            if not left:
                raise NO_SPACE
            n = write(file, bytes(data)[: min(left, 7)])
            left -= n
            return n

        monkeypatch.setattr(os, "write", limited)
        with pytest.raises(
            StudyError, match=r"journal.jsonl: can't be written \(No space left on device\).*resume=true"
        ):
            journal.append({"event": "b"}, {"event": "c"})
        monkeypatch.setattr(os, "write", write)
        with pytest.raises(StudyError, match="No space left"):  # there is room again, but something is missing
            journal.append({"event": "d"})
        assert PATH.read_bytes().endswith(b"\n")
    assert records() == [{"event": "a"}, *([{"event": "b"}] if room > 35 else [])]
    written({"event": "e"})
    assert records()[-1] == {"event": "e"}


def test_a_file_that_may_not_grow_is_said_in_one_line():
    code = (
        "import resource, sys; from pathlib import Path; from hpo_pipeline.journal import Journal\n"
        "from hpo_pipeline.errors import StudyError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500))\n"
        "try:\n"
        "    with Journal(Path('journal.jsonl')) as journal:\n"
        f"        journal.append({HEADER})\n"
        "        for n in range(100): journal.append({'event': 'a', 'n': n})\n"
        "except StudyError as error: print(error)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "can't be written (File too large)" in ended.stdout
    assert [record["n"] for record in records()] == list(range(len(records())))
    assert PATH.stat().st_size <= 500


def test_what_fails_in_the_background_stops_the_next_append(monkeypatch):
    def broken(_file):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", broken)
    with Journal(PATH) as journal:
        journal.append(HEADER)
        journal._syncer.join(timeout=10)
        assert not journal._syncer.is_alive()
        with pytest.raises(StudyError, match=r"can't be written \(Input/output error\)"):
            journal.append({"event": "a"})
    assert records() == []


def test_what_fails_at_the_end_is_said_too(monkeypatch):
    journal = Journal(PATH)
    journal.append(HEADER)

    def full(_file):
        raise NO_SPACE

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(StudyError, match="No space left on device"):
            journal.close()
    assert events() == ["study"]
    Journal(PATH).close()  # the lock is free


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_is_not_ours_is_refused():
    Path("folder").mkdir(mode=0o500)
    with pytest.raises(StudyError, match="can't be written"):
        Journal(Path("folder/journal.jsonl"))


def test_an_interrupt_within_an_append_is_made_up_for(monkeypatch):
    written({"event": "a"})
    write = os.write
    for upto in (0, 10, 60):

        def interrupted(file, data, upto=upto):
            write(file, bytes(data)[:upto])
            raise KeyboardInterrupt

        with Journal(PATH) as journal:
            monkeypatch.setattr(os, "write", interrupted)
            with pytest.raises(KeyboardInterrupt):
                journal.append({"event": "b"}, {"event": "c"})
            monkeypatch.setattr(os, "write", write)
            there = journal.recover()
            journal.append({"event": "d"})
        assert [record for record, _ in read(PATH)] == [*there, {"event": "d"}]
