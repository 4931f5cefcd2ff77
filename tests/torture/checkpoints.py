"""Checkpoints are damaged while a study is interrupted; then it is resumed."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

from torture.case import FailedError, Torture, limited
from torture.journal import flipped
from torture.sandbox import Sandbox
from torture.studies import NAME, Study, check, records

WAYS = ("flip", "cut", "empty", "another trial's", "an older one", "a folder", "a link", "missing", "nonsense")
_SCHEDULERS = ("successive_halving", "hyperband", "asha", "pasha", "async_hyperband")
"""Which pause trials."""


def damage(checkpoint: Path, way: str, draw: random.Random, sandbox: Sandbox) -> None:
    """Does to the file what `way` says."""
    content = checkpoint.read_bytes()
    others = [path for path in checkpoint.parents[1].glob("*/*.ckpt") if path.parent != checkpoint.parent]
    older = [path for path in checkpoint.parent.glob("*.ckpt") if path != checkpoint]
    checkpoint.unlink()
    match way:
        case "flip":
            checkpoint.write_bytes(flipped(content, draw))
        case "cut":
            checkpoint.write_bytes(content[: draw.randrange(len(content))])
        case "empty":
            checkpoint.touch()
        case "another trial's" if others:
            shutil.copyfile(draw.choice(others), checkpoint)
        case "an older one" if older:
            shutil.copyfile(draw.choice(older), checkpoint)
        case "a folder":
            checkpoint.mkdir()
        case "a link":
            outside = sandbox.root / "tmp" / "pymp-outside"
            outside.write_bytes(b"outside")
            checkpoint.symlink_to(outside)
        case "nonsense":
            checkpoint.write_bytes(draw.choice([b"null", b"{}", b'{"resource": -1}', b'{"resource": 99}', b"[1]"]))


def case(number: int, draw: random.Random, sandbox: Sandbox) -> str:
    way = WAYS[number % len(WAYS)]
    study = Study(draw.choice(_SCHEDULERS), "serial", trained=draw.random() < 0.5)
    spent = draw.randint(3, 20)
    with limited(60):
        ended = sandbox.run(*study.arguments, f"max_total_resource={spent}", UNIT_SECONDS="0")
    if ended.code:
        raise FailedError(f"{study}, until max_total_resource={spent}: {ended.err}")
    there = sorted((sandbox.work / "runs" / NAME / "trials").glob("*/*.ckpt"))
    hit = [path for path in there if draw.random() < 0.5] or there[:1]
    for path in hit:
        damage(path, way, draw, sandbox)
    outside = sandbox.root / "tmp" / "pymp-outside"
    with limited(60):
        ended = sandbox.run(f"name={NAME}", "resume=true", "max_total_resource=null", UNIT_SECONDS="0")
    names = ", ".join(f"{path.parent.name}/{path.name}" for path in hit)
    did = f"{study}, until max_total_resource={spent}, then {way}: {names}"
    if ended.code or "Traceback" in ended.err:
        raise FailedError(f"{did}: exit code {ended.code}: {ended.err[-800:]}")
    if outside.exists() and outside.read_bytes() != b"outside":
        raise FailedError(f"{did}: a file outside was written through the link")
    try:
        return f"{way}: {check(study, records(sandbox))}"
    except FailedError as error:
        raise FailedError(f"{did}: {error}") from None


TORTURE = Torture("checkpoints", "checkpoints damaged between two sessions", 45, 1, case)
