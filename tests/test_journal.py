"""The journal: what survives a crash, who may write, what is refused."""

from __future__ import annotations

import errno
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hpo_pipeline.errors import StudyError
from hpo_pipeline.journal import VERSION, Journal, read

PATH = Path("journal.jsonl")
HEADER = {"event": "study", "version": VERSION, "name": "s", "metrics": [{"name": "loss", "mode": "min"}], "time": 0.0}
OLD_HEADER = {"event": "study", "version": 1, "name": "s", "metric": "loss", "mode": "min", "time": 0.0}


def written(*records: dict) -> Path:
    """Appends to the journal, after a header if there is none yet."""
    with Journal(PATH) as journal:
        journal.append(*(() if PATH.stat().st_size else (HEADER,)), *records)
    return PATH


def records() -> list[dict]:
    """What is read back, without the header."""
    header, *others = [record for record, _ in read(PATH)]
    assert header == HEADER
    return others


def old_journal(*lines: dict) -> None:
    """A journal of version 1: no checksums."""
    PATH.write_text("".join(json.dumps(line) + "\n" for line in (OLD_HEADER, *lines)))


def events() -> list[str]:
    return [record["event"] for record, _ in read(PATH)]


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


# -- damage --------------------------------------------------------------------------------------------------------


def test_every_flipped_bit_is_found():
    """Only one in the last line end can't be: it makes the line look as if a crash had cut it short."""
    content = written({"event": "a", "x": 0.25}, {"event": "b", "text": "é"}).read_bytes()
    whole = [record for record, _ in read(PATH)]
    missed = 0
    for at in range(len(content)):
        for bit in range(8):
            PATH.write_bytes(content[:at] + bytes([content[at] ^ 1 << bit]) + content[at + 1 :])
            try:
                found = [record for record, _ in read(PATH)]
            except StudyError:
                continue
            missed += 1
            assert (at, found) == (len(content) - 1, whole[:-1])
    assert missed == 8


def lines() -> list[bytes]:
    return PATH.read_bytes().splitlines(keepends=True)


@pytest.mark.parametrize(
    ("order", "line"),
    [([0, 2, 3], 2), ([0, 1, 1, 2, 3], 3), ([0, 2, 1, 3], 2), ([1, 2, 3], 1), ([0, 0, 1, 2, 3], 2), ([0, 1, 3, 2], 3)],
    ids=["lost", "doubled", "swapped", "no header", "two headers", "the last two swapped"],
)
def test_lines_that_are_lost_doubled_or_moved_are_named(order, line):
    written({"event": "a"}, {"event": "b"}, {"event": "c"})
    there = lines()
    PATH.write_bytes(b"".join(there[i] for i in order))
    with pytest.raises(StudyError, match=f"journal.jsonl: line {line}: "):
        list(read(PATH))
    before = PATH.read_bytes()
    with pytest.raises(StudyError, match=f"journal.jsonl: line {line}: "):
        Journal(PATH)
    assert PATH.read_bytes() == before


def test_damage_is_named_by_its_line_in_the_file_when_reading_from_an_offset():
    written({"event": "a"}, {"event": "b"}, {"event": "c"})
    _, _, (_, offset), _ = read(PATH)
    PATH.write_bytes(PATH.read_bytes().replace(b'"c"', b'"d"'))
    with pytest.raises(StudyError, match="line 4: its checksum is wrong"):
        list(read(PATH, offset))


def test_a_journal_of_version_1_is_gone_on_with_and_protected_from_there_on():
    old_journal({"event": "a"}, {"event": "b"})
    with Journal(PATH) as journal:
        journal.append({"event": "c"})
    assert events() == ["study", "a", "b", "c"]
    for (record, _), (_, end) in zip(list(read(PATH))[1:], read(PATH), strict=False):
        assert next(read(PATH, end))[0] == record
    there = lines()
    PATH.write_bytes(b"".join([there[0], there[2], there[3]]))
    with pytest.raises(StudyError, match="line 3: its checksum is wrong"):
        list(read(PATH))


def test_a_line_without_a_checksum_after_one_with_is_refused():
    written({"event": "a"})
    with open(PATH, "a") as file:
        file.write('{"event":"b"}\n')
    with pytest.raises(StudyError, match="line 3: it has no checksum"):
        list(read(PATH))


@pytest.mark.parametrize("seal", [',"crc":"00000000"}', "}"])
def test_a_later_version_is_refused_with_what_to_do(seal):
    PATH.write_text(json.dumps({**HEADER, "version": VERSION + 1})[:-1] + seal + "\n")
    for opened in (Journal, lambda path: list(read(path))):
        with pytest.raises(StudyError, match=rf"version {VERSION + 1}, and this hpo_pipeline knows .*; update it"):
            opened(PATH)


# -- records of the wrong shape ------------------------------------------------------------------------------------

TRIAL = {"time": 1.0, "trial": 0}
REPORT = {"event": "report", **TRIAL, "resource": 1}
SUBMITTED = {"event": "submitted", **TRIAL, "resource": 1, "rung": 0, "bracket": 0}
MALFORMED = [
    b"\n",
    b"nonsense\n",
    b"[1, 2]\n",
    b"null\n",
    b'{"trial": 3}\n',
    b'{"event": 5}\n',
    b'{"event": "a", "text": "\xff\xfe"}\n',
    b"[" * 100_000 + b"\n",
    b'{"event": "a", "n": ' + b"9" * 5000 + b"}\n",
    {"event": "session"},
    {"event": "session", "time": "noon"},
    {"event": "session", "time": True},
    {"event": "session", "time": 1.0, "n_trials": -1},
    {"event": "session", "time": 1.0, "elapsed": "long"},
    b'{"event": "session", "time": 1e999}\n',
    b'{"event": "session", "time": NaN}\n',
    b'{"event": "session", "time": ' + b"9" * 400 + b"}\n",
    {"event": "suggested", **TRIAL},
    {"event": "suggested", **TRIAL, "config": [1]},
    {"event": "suggested", **TRIAL, "config": {"x": [1]}},
    {"event": "suggested", "time": 1.0, "trial": "0", "config": {}},
    {**SUBMITTED, "resource": 1.5},
    {**SUBMITTED, "rung": None},
    {**SUBMITTED, "resource": 10**30},
    {**SUBMITTED, "source": [1]},
    {**SUBMITTED, "source": "ab"},
    {**REPORT},
    {**REPORT, "metrics": 5},
    {**REPORT, "metrics": {"loss": "low"}},
    {**REPORT, "metrics": {"loss": None}},
    {**REPORT, "metrics": {"loss": 10**400}},
    {"event": "rung", **TRIAL, "rung": 0, "bracket": "0", "resource": 1},
    {**HEADER, "metrics": []},
    {**HEADER, "metrics": "loss"},
    {**HEADER, "metrics": [{"name": "loss", "mode": "most"}]},
    {"event": "result", **TRIAL, "outcome": "gone", "error": "", "traceback": ""},
    {"event": "result", **TRIAL, "outcome": "done"},
    {"event": "decision", **TRIAL, "state": "GONE", "reason": ""},
    {"event": "decision", **TRIAL, "state": ["STOPPED"], "reason": ""},
    {"event": "end", "time": 1.0, "state": 1, "reason": ""},
    {**OLD_HEADER, "mode": "most"},
    {**OLD_HEADER, "metric": None},
    {**OLD_HEADER, "version": "1"},
]


@pytest.mark.parametrize("record", MALFORMED, ids=lambda record: str(record)[:60])
def test_a_record_of_the_wrong_shape_is_one_error_with_its_line(record):
    old_journal({"event": "a"})
    with open(PATH, "ab") as file:
        file.write(record if isinstance(record, bytes) else json.dumps(record).encode() + b"\n")
    with pytest.raises(StudyError, match=r"^journal.jsonl: line 3: ") as caught:
        list(read(PATH))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        b"\x00\x01\x02\n\x03",
        b"PK\x03\x04" + bytes(100),
        b"hello\n",
        b'{"event": "session", "time": 1.0}\n',
        b'{"event":"a"}\n',
        b'{"event":"study","time":0.0}\n',
        b'{"event":"study","version":2,"name":"s","metric":"loss","mode":"min","time":0.0}\n',
    ],
    ids=["binary", "binary without lines", "text", "another first record", "an unknown one", "no keys", "no checksum"],
)
def test_what_is_no_journal_is_refused_and_left_as_it_is(content):
    PATH.write_bytes(content)
    with pytest.raises(StudyError, match=r"^journal.jsonl: line 1: "):
        Journal(PATH)
    assert PATH.read_bytes() == content


def test_a_folder_in_its_place_is_refused():
    PATH.mkdir()
    with pytest.raises(StudyError, match="Is a directory"):
        Journal(PATH)
    with pytest.raises(StudyError, match="Is a directory"):
        list(read(PATH))
