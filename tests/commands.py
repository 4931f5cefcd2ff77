"""Studies as people start them: composed, run in this process, or run as programs of their own."""

from __future__ import annotations

import contextlib
import io
import os
import runpy
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import hydra
from heard import folded
from hydra.core.hydra_config import HydraConfig
from matplotlib.figure import Figure

from hpo_pipeline import commands
from hpo_pipeline import config as command
from hpo_pipeline.config.command_line import CommandLine
from hpo_pipeline.config.composed import Composed
from hpo_pipeline.config.layers import watched
from hpo_pipeline.journal import Record, read
from hpo_pipeline.report.page import Report

ROOT = Path(__file__).parents[1]
CONF = ROOT / "conf"

FUNCTION = ("objective=function", "model=mlp", "optimizer=adam", "dataset=fashion_mnist")
"""A formula of the values that a training would have."""
FREE = (*FUNCTION, "executor=serial", "finalists.n=0", "tracker=none")
"""A study that trains nothing: its curves are a formula of the learning rate."""
DIGITS = ("dataset=digits", "model=softmax", "executor=serial", "finalists.n=0", "tracker=none")
"""A study that trains in well under a second a trial."""

RungTable = dict[tuple[int, int, int], dict[int, str]]


@dataclass(frozen=True)
class Ended:
    """What a command left: its exit code and what it printed."""

    code: int
    out: str
    err: str


def compose(*overrides: str, program: str = "tune") -> Composed:
    """What config.py makes of a command line."""
    with watched(), hydra.initialize_config_module("hpo_pipeline.conf", version_base="1.3"):
        cfg = hydra.compose(program, overrides=list(overrides), return_hydra_config=True)
        HydraConfig.instance().set_config(cfg)
        return command.compose(cfg, CommandLine(f"{program}.py", overrides))


def unpainted(figure: object, path: str | Path, **_: object) -> None:
    """A figure that is saved without being painted."""
    Path(path).write_bytes(b"")


class _Undrawn(Report):
    """Leaves an empty page."""

    def write(self) -> Path:
        path = self.folder / "report.html"
        path.write_text("")
        return path

    def write_pictures(self) -> list[Path]:
        return []


def _no_picture(_view: object, path: Path, *_: object) -> Path:
    path.write_bytes(b"")
    return path


@contextlib.contextmanager
def undrawn() -> Iterator[None]:
    """Studies end with an empty report and picture: to draw them takes longer than a small study."""
    with (
        mock.patch("hpo_pipeline.report.page.Report", _Undrawn),
        mock.patch("hpo_pipeline.report.plot.study_picture", _no_picture),
    ):
        yield


def run(*arguments: str, program: str = "tune", started: str | None = None, drawn: bool = False) -> Ended:
    """`python tune.py …`, here; or by another name of the program.

    Args:
        drawn: whether its report and picture are.
    """
    with contextlib.nullcontext() if drawn else undrawn():
        return _ended([started or f"{program}.py", *arguments], getattr(command, program))


def hpo(*arguments: str, drawn: bool = True) -> Ended:
    """`hpo …`, here."""
    with contextlib.nullcontext() if drawn else undrawn():
        return _ended(["hpo", *arguments], commands.main)


def script(path: str, *arguments: str) -> Ended:
    """`python PATH …`, a program of a person's own, here; it finds the modules beside it. It isn't drawn."""
    beside = str(Path(path).absolute().parent)
    with undrawn(), mock.patch.object(sys, "path", [beside, *sys.path]):
        return _ended([path, *arguments], lambda: runpy.run_path(path, run_name="__main__"))


def _ended(argv: list[str], main: Callable[[], object]) -> Ended:
    out, err, code = io.StringIO(), io.StringIO(), 0
    with (
        mock.patch.object(Figure, "savefig", unpainted),
        mock.patch.object(sys, "argv", argv),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1 if end.code else 0
    return Ended(code, out.getvalue(), err.getvalue())


def start(*arguments: str, program: str | Path = "tune", **environment: str) -> subprocess.Popen[str]:
    """`python tune.py …` as a process group of its own, in the current folder; or another program, by its path."""
    return subprocess.Popen(
        [sys.executable, str((ROOT / program).with_suffix(".py")), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, **environment},
    )


def wait_for(process: subprocess.Popen[str]) -> Ended:
    out, err = process.communicate(timeout=120)
    return Ended(process.returncode, out, err)


def journal(name: str, folder: str | Path = "runs") -> list[Record]:
    return [record for record, _ in read(Path(folder, name, "journal.jsonl"))]


def rung_table(records: Iterable[Record]) -> RungTable:
    """(bracket, rung, resource) -> trial -> the value to its last digit; no evaluation may be there twice."""
    table: RungTable = {}
    view = folded(records)
    for trial in view.trials.values():
        for reached in trial.rungs:
            rung = table.setdefault((reached.bracket, reached.rung, reached.resource), {})
            assert trial.id not in rung, f"trial {trial.id} is recorded twice: {reached}"
            rung[trial.id] = repr(reached.metrics[view.metric])
    return table


def curve(records: Iterable[Record], trial: int | None = None) -> list[tuple[int, dict[str, Any]]]:
    """(resource, metrics without the seconds) of one trial, or of all that there are, in order."""
    return [
        (record["resource"], {name: value for name, value in record["metrics"].items() if name != "seconds"})
        for record in records
        if record["event"] == "report" and trial in (None, record["trial"])
    ]
