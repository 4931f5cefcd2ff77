"""A journal that is damaged, of another version, or none: one message, and nothing is lost."""

from __future__ import annotations

import json

import pytest
from small_journal import HEADER, OLD_HEADER, PATH, events, old_journal, written

from hpo_pipeline.errors import StudyError
from hpo_pipeline.journal import VERSION, Journal, read


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
