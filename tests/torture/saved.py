"""What a study keeps beside its journal is damaged or edited between two sessions; then it is resumed."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import yaml

from torture import fuzz
from torture.case import FailedError, Torture, limited, origin
from torture.journal import CUT, flipped, interrupted
from torture.sandbox import Sandbox
from torture.studies import NAME, Study, check, copied, records

FILES = (
    "config.yaml",
    "config.yaml",
    "config.yaml",
    "overrides.yaml",
    "best.yaml",
    "leaderboard.csv",
    "trials",
    "plots",
)
_VALUES: tuple[Any, ...] = (None, 5, -1, "x", [], {}, True, "???", "${nowhere}", {"a": 1}, [1], float("nan"))


def _one_key_changed(text: str, draw: random.Random) -> str:
    config = yaml.safe_load(text)
    key = draw.choice(list(config) if isinstance(config, dict) else range(len(config)))
    config[key] = draw.choice(_VALUES)
    return yaml.safe_dump(config, sort_keys=False)


def _one_key_less(text: str, draw: random.Random) -> str:
    config = yaml.safe_load(text)
    del config[draw.choice(list(config) if isinstance(config, dict) else range(len(config)))]
    return yaml.safe_dump(config, sort_keys=False)


EDITS: dict[str, Callable[[str, random.Random], str]] = {
    "one key changed": _one_key_changed,
    "one key less": _one_key_less,
    "cut": lambda text, draw: text[: draw.randrange(len(text))],
    "replaced": lambda text, draw: draw.choice(
        ["", "[]", "5", "null", "\t", "a: b: c", "{", "a: &x [*x]", "!!python/none"]
    ),
    "flip": lambda text, draw: flipped(text.encode(), draw).decode(errors="replace"),
}


def case(number: int, draw: random.Random, sandbox: Sandbox) -> str:
    study = Study(draw.choice(CUT), "serial")
    name, edit = draw.choice(FILES), list(EDITS)[number % len(EDITS)]
    folder = copied(interrupted(study), sandbox)
    journal = folder / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[: draw.randint(2, len(lines))]))
    path = folder / name
    if path.is_dir():
        edit = "a file in its place"
        path.rename(folder / f"{name}.aside")
        path.touch()
    elif draw.random() < 0.1:
        edit = "a folder in its place"
        path.unlink()
        path.mkdir()
    elif name == "leaderboard.csv":
        edit = "missing"
        path.unlink()
    else:
        path.write_text(EDITS[edit](path.read_text(), draw))
    content = path.read_text() if path.is_file() else ""
    with limited():
        ended = sandbox.run(f"name={NAME}", "resume=true", UNIT_SECONDS="0")
    did = f"{study}: {name}, {edit}"
    try:
        if ended.code == 2:
            fuzz.check_ended(ended)
            return f"{name}, {edit}: refused"
        if ended.code == 3 and "can't be written" in ended.out:  # by intent: the study is complete, a view is not
            return f"{name}, {edit}: {check(study, records(sandbox))}, and it says that it can't be written"
        if ended.code or "Traceback" in ended.err:
            raise FailedError(f"exit code {ended.code}: {origin(ended.err)}")
        return f"{name}, {edit}: {check(study, records(sandbox))}"
    except FailedError as error:
        raise FailedError(f"{did}: {error}\n{content[:600]}") from None


TORTURE = Torture("saved", "files of a study damaged or edited between two sessions", 60, 1, case)
