"""What pages tell people to type, done here: studies at a tiny budget, all else as it stands, or checked.

A study or a training that is given a name is run, as later commands speak of it: of two trials of one epoch, in this
process. One without a name is composed and checked with the data left out, as its program does before it starts.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from commands import ROOT, Ended, hpo, script

import hpo_pipeline
from hpo_pipeline.config.composed import Composed
from hpo_pipeline.preflight import check_study, check_training

LESS = {
    "tune": ("executor=serial", "tracker=none", "finalists.n=0", "n_trials=2"),
    "train": ("tracker=none",),
}
MOST_EPOCHS = 9
"""Of a study that says how many."""
_LEFT_OUT = re.compile(r"(executor|tracker|finalists|register|dataset\.n_workers)\b")
"""What a tiny study does without."""
_LARGE = {"fashion_mnist", "mnist", "cifar10"}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


class Shell:
    """A terminal in the current folder: what is exported stays, `cd` lasts to the end of its block."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.patch = patch

    def do(self, block: str, *, checked: bool = False) -> Iterator[tuple[str, Ended]]:
        """Each command of a block, a line, with what came of it; with `checked`, nothing is run."""
        home = Path.cwd()
        try:
            for line in commands(block):
                yield line, self._one(line, checked)
        finally:
            os.chdir(home)

    def _one(self, line: str, checked: bool) -> Ended:
        words = shlex.split(line)
        settings = {}
        while words and re.match(r"[A-Z_]+=", words[0]):
            name, _, value = words.pop(0).partition("=")
            settings[name] = value
        words = [word for word in words if not re.fullmatch(r"\$\w+", word)]  # what a script has set, or left empty
        if ">" in words:  # what is left of it is written into a file
            *words, _, _ = words
        if not settings:
            return self._program(words, checked)
        with mock.patch.dict(os.environ, settings):
            return self._program(words, checked)

    def _program(self, words: list[str], checked: bool) -> Ended:
        match words:
            case ["hpo", ("tune" | "train") as program, *rest]:
                return study(program, partial(hpo, program, drawn=False), rest, checked=checked)
            case ["python", ("tune.py" | "train.py") as path, *rest]:  # a reader's own, or the checkout's
                program = Path(path).stem
                call = partial(script, path) if Path(path).is_file() else partial(hpo, program, drawn=False)
                return study(program, call, rest, checked=checked)
            case ["python", "-m", module, *rest] if module.startswith("benchmarks"):
                return benchmark(ROOT / module.replace(".", "/"), rest)
            case ["python", path, *rest] if path.startswith("benchmarks/"):
                return benchmark(ROOT / path, rest)
            case _ if checked:
                return Ended(0, "", "")
            case ["hpo", *rest]:
                return hpo(*rest)
            case ["export", setting]:
                name, _, value = setting.partition("=")
                self.patch.setenv(name, value)
            case ["cd", folder]:
                os.chdir(folder)
            case ["mkdir", "-p", *folders]:
                for folder in folders:
                    Path(folder).mkdir(parents=True, exist_ok=True)
            case ["cp", source, place]:
                shutil.copy(source, place)
            case ["cp", "-r", source, place]:
                shutil.copytree(source, place)
            case ["mv", source, place]:
                shutil.move(source, place)
            case ["git", "diff", "--no-index", *files]:
                done = subprocess.run(["git", "diff", "--no-index", *files], capture_output=True, text=True)
                return Ended(0 if done.returncode < 2 else 2, done.stdout, done.stderr)
            case ["python", "-m", "pytest", *_]:  # an example's, which a test of its own runs
                pass
            case ["pip", "install", *what]:
                return installed(what)
            case ["make", target, *_] | ["make", *_, target]:
                known = f"\n{target}:" in (ROOT / "Makefile").read_text()
                return Ended(0 if known else 2, "", "" if known else f"no target {target} in the Makefile")
            case _:
                return Ended(127, "", "how to run this here says tests/docs/typed.py, or a mark in the page")
        return Ended(0, "", "")


def commands(block: str) -> list[str]:
    """The commands of a block: lines put together, without comments."""
    joined = re.sub(r"\\\n\s*", "", block)
    lines = [line for whole in joined.splitlines() for line in whole.split(" && ")]
    return [shlex.join(words) for line in lines if (words := shlex.split(line, comments=True))]


def study(program: str, call: Callable[..., Ended], words: list[str], *, checked: bool) -> Ended:
    """A study, or a training: run if it bears a name, else checked.

    Args:
        program: "tune" or "train".
        call: takes the words that are typed behind it.
    """
    if {"--help", "--version", "--cfg", "--hydra-help"} & set(words):
        return call(*words)
    named = any(word.startswith("name=") for word in words) and "dry_run=true" not in words
    tiny = less(program, words)
    if checked or not named or set(words) - set(tiny):  # what is left out of a tiny study is checked as well
        with _nothing_started():
            ended = call(*words)
        if checked or not named or ended.code:
            return ended
    return call(*tiny)


def less(program: str, words: list[str]) -> list[str]:
    """The words of a tiny study."""
    tiny = [word for word in words if not _LEFT_OUT.match(word)]
    values = dict(word.split("=", 1) for word in tiny if "=" in word)
    trains = values.get("objective", "training") == "training" and "experiment" not in values
    if trains and values.get("dataset", "fashion_mnist") in _LARGE and values.get("resume") != "true":
        tiny.append("dataset=digits")
    epochs = min(int(values.get("max_resource", 1)), MOST_EPOCHS)
    return [*tiny, *LESS[program], f"max_resource={epochs}"]


@contextmanager
def _nothing_started() -> Iterator[None]:
    """The programs check what is typed, and go no further."""

    def only(check: Callable[..., Any]) -> Callable[[Composed], int]:
        def task(composed: Composed) -> int:
            check(composed, data=False)
            return 0

        return task

    with (
        mock.patch("hpo_pipeline.study.run_study", only(check_study)),
        mock.patch("hpo_pipeline.training_run.run_training", only(check_training)),
    ):
        yield


def benchmark(path: Path, words: list[str]) -> Ended:
    """Benchmarks take minutes to hours: that they are there, and know their flags."""
    files = [path.with_suffix(".py")] if path.with_suffix(".py").is_file() else sorted(path.glob("*.py"))
    source = "".join(file.read_text() for file in files)
    unknown = [word for word in words if word.startswith("--") and word != "--help" and f'"{word}"' not in source]
    if source and not unknown:
        return Ended(0, "", "")
    return Ended(2, "", f"{path}: unknown: {unknown}" if source else f"there is no {path}")


def installed(what: list[str]) -> Ended:
    """`pip install` is not run; the extras that it names are known."""
    extras = {extra for word in what for part in re.findall(r"\[(.*?)\]", word) for extra in part.split(",")}
    unknown = extras - set(PROJECT["optional-dependencies"])
    return Ended(2 if unknown else 0, "", f"unknown extras {unknown}" if unknown else "")


def shorten_python(patch: pytest.MonkeyPatch) -> None:
    """`tune(…)` and `train(…)` of Python, as little as on the command line."""
    for name, words in LESS.items():
        less = _shortened(getattr(hpo_pipeline, name), (*words, "max_resource=1"))
        patch.setattr(hpo_pipeline, name, less, raising=False)
    patch.syspath_prepend(Path.cwd())


def _shortened(call: Callable[..., Any], words: tuple[str, ...]) -> Callable[..., Any]:
    return lambda *given, **named: call(*given, *words, **named)
