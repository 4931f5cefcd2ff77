"""Journals with flipped bits, cuts, and lines that are dropped, doubled, swapped or changed; then a resume."""

from __future__ import annotations

import atexit
import functools
import json
import random
import shutil
import tempfile
from pathlib import Path

from commands import rung_table

from hpo_pipeline.journal import read
from torture import fuzz
from torture.case import FailedError, Torture, limited, origin
from torture.sandbox import Sandbox
from torture.studies import NAME, SCHEDULERS, Study, copied, records, undisturbed

CUT = tuple(name for name in SCHEDULERS if name != "pbt")
"""Those of which a complete study with a shorter journal is like one that crashed; a member of PBT that goes on takes
over what others have meanwhile dropped."""
WAYS = ("flip", "cut", "drop", "double", "swap", "change", "insert", "zeros", "end of line", "reverse")
NO_RECORDS = (b"", b"{}", b"[]", b"null", b'{"event":1}', b'{"event":"x"}', b"\xff\xfe", b"nonsense", b"[" * 100_000)


@functools.cache
def interrupted(study: Study) -> Path:
    """The folder of the study, complete: a crash is a cut of its journal."""
    folder = Path(tempfile.mkdtemp(prefix="torture-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    with Sandbox() as sandbox:
        ended = sandbox.run(*study.arguments, UNIT_SECONDS="0")
        if ended.code:
            raise FailedError(f"{study}, undisturbed: exit code {ended.code}: {ended.err} {ended.out[-2000:]}")
        shutil.copytree(sandbox.work / "runs" / NAME, folder / NAME)
    return folder / NAME


def flipped(content: bytes, draw: random.Random) -> bytes:
    """`content` with one bit turned round."""
    place = draw.randrange(len(content))
    return content[:place] + bytes([content[place] ^ 1 << draw.randrange(8)]) + content[place + 1 :]


def damaged(content: bytes, way: str, draw: random.Random) -> bytes:
    """The journal after what `way` says."""
    lines = content.splitlines(keepends=True)
    at = draw.randrange(len(lines))
    match way:
        case "flip":
            return flipped(content, draw)
        case "cut":
            return content[: draw.randrange(len(content))]
        case "drop":
            del lines[at]
        case "double":
            lines.insert(at, lines[at])
        case "swap":
            other = draw.randrange(len(lines))
            lines[at], lines[other] = lines[other], lines[at]
        case "change":
            lines[at] = _changed(lines[at], draw)
        case "insert":
            lines.insert(at, draw.choice(NO_RECORDS) + b"\n")
        case "zeros":
            place = draw.randrange(len(content))
            return content[:place] + bytes(min(4096, len(content) - place))
        case "end of line":
            lines[at] = lines[at].rstrip(b"\n")
        case "reverse":
            lines.reverse()
    return b"".join(lines)


def _changed(line: bytes, draw: random.Random) -> bytes:
    """The record with one value of another kind, or another value."""
    record = json.loads(line)
    key = draw.choice(list(record))
    record[key] = draw.choice([None, -1, 10**30, "x", [], {}, True, 0.5, "nan", record.get("trial", 0)])
    if draw.random() < 0.2:
        del record[key]
    return json.dumps(record, separators=(",", ":")).encode() + b"\n"


def case(number: int, draw: random.Random, sandbox: Sandbox) -> str:
    study = Study(draw.choice(CUT), "serial")
    way = WAYS[number % len(WAYS)]
    expected, _ = undisturbed(study)
    journal = copied(interrupted(study), sandbox) / "journal.jsonl"
    content = journal.read_bytes()
    if draw.random() < 0.7:  # of a study that was killed
        lines = content.splitlines(keepends=True)
        content = b"".join(lines[: draw.randint(2, len(lines))])
    broken = damaged(content, way, draw)
    journal.write_bytes(broken)
    with limited():
        ended = sandbox.run(f"name={NAME}", "resume=true", UNIT_SECONDS="0")
    did = f"{study}: {way}"
    if ended.code == 2:
        fuzz.check_ended(ended)
        if journal.read_bytes() not in (broken, broken[: broken.rfind(b"\n") + 1]):
            raise FailedError(f"{did}: the journal was changed, and then refused")
        return f"{way}: refused"
    if ended.code or ended.err:
        raise FailedError(f"{did}: exit code {ended.code}: {origin(ended.err)}")
    if rung_table(record for record, _ in read(journal)) != expected:
        raise FailedError(f"{did}: another table, exit code 0; the damaged journal: {_difference(content, broken)}")
    records(sandbox)
    return f"{way}: the same table"


def _difference(content: bytes, broken: bytes) -> str:
    """The first line that differs."""
    pairs = zip(content.splitlines(), broken.splitlines(), strict=False)
    return next((f"line {i + 1}: {a!r} -> {b!r}" for i, (a, b) in enumerate(pairs) if a != b), "the end is cut")


TORTURE = Torture("journal", "journals damaged, then the study resumed", 120, 2, case)
