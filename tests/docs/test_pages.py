"""Every command, program and file that the documentation shows is run, or at least checked where it can't be."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import CodeType

import belongings
import pytest
import yaml
from commands import ROOT, hpo, run, unpainted
from matplotlib.figure import Figure
from pages import PAGES, Block, blocks, name_of
from typed import Shell, shorten_python

FILE_NAME = re.compile(r"(?:# @package \S+\n)?# ((?:[\w-]+/)*[\w-]+\.(?:py|yaml))\b")
MARKS = {
    "README.md": ["not run: it installs; tests run what is installed"],
    "docs/cluster.md": [
        "checked only: needs a Ray cluster",
        "checked only: needs a Ray cluster",
        "checked only: needs SLURM",
        "not run: needs Kubernetes",
    ],
    "docs/comparing.md": ["not run: which methods differ, and after how long, is said by longer studies"],
    "docs/data.md": ["not run: an outline"],
    "docs/extending.md": [
        "not run: lines of a constructor",
        "not run: of the components of examples/own_project, whose tests these are",
    ],
    "docs/mlflow.md": [
        "not run: the links are those of a real store",
        "not run: MLflow's registry needs a real store",
    ],
    "docs/objectives.md": [
        "not run: an extract; examples/objective.py, which is run below, is the whole",
        "not run: a test of the extract above",
        "not run: a line of a script",
    ],
    "docs/resuming.md": ["not run: needs two machines"],
    "examples/own_project/README.md": ["not run: the other commands are of the package under its first name"],
}
"""Page -> what isn't run there, and why. Whoever adds a mark to a page adds it here."""


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Figure, "savefig", unpainted)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study that all pages speak of."""
    folder = tmp_path_factory.mktemp("first") / "first"
    words = ("model=mlp", "dataset=digits", "executor=serial", "tracker=none", "n_trials=2", "max_resource=1")
    assert run(*words, f"folder={folder}", "name=first").code == 0
    return folder


@pytest.mark.usefixtures("_store_in_memory")
@pytest.mark.parametrize("page", [page for page in PAGES if list(blocks(page))], ids=name_of)
def test_what_a_page_shows_is_so(page, first, monkeypatch):
    shutil.copytree(ROOT / "examples", "examples")
    if "runs/first" in page.read_text() and "name=first" not in page.read_text():
        shutil.copytree(first, "runs/first")
    if page.is_relative_to(ROOT / "examples"):
        monkeypatch.chdir(page.parent.relative_to(ROOT))
    belongings.lay_out()
    shorten_python(monkeypatch)
    shell, scope, printed = Shell(monkeypatch), {}, ""
    for block in blocks(page):
        if "not run" in block.marks:
            compiled(block)
        elif block.language == "sh":
            printed = typed(shell, block)
        elif block.language == "console":
            compare_console(shell, block)
        elif block.is_output:
            compare(block, printed)
        elif name := FILE_NAME.match(block.text):
            written(block, Path(name[1]))
        elif block.language == "python":
            exec(compiled(block), scope)
        elif block.language == "yaml":
            yaml.safe_load(block.text)


def typed(shell: Shell, block: Block) -> str:
    printed = ""
    for line, ended in shell.do(block.text, checked="checked only" in block.marks):
        assert ended.code == 0, f"{block.place}: {line}: exit code {ended.code}: {ended.err}"
        printed = ended.out
    return printed


def compare_console(shell: Shell, block: Block) -> None:
    """A command behind `$ ` and what it prints, whatever its exit code."""
    command, _, output = block.text.removeprefix("$ ").partition("\n")
    words = shlex.split(command)
    ended = hpo(*words[1:]) if "dry_run=true" in words else next(shell.do(command))[1]
    compare(Block(block.place, "text", output, block.marks, True), ended.out + ended.err)


def compare(block: Block, printed: str) -> None:
    """What a page shows was printed, in this order; `…` stands for anything, and figures for any others."""
    at = 0
    lines = [_plain(line) for line in printed.splitlines()]
    for line in block.text.splitlines():
        if line.strip() in ("", "…"):
            continue
        pattern = ".*".join(re.escape(part) for part in _plain(line).split("…"))
        found = next((i for i in range(at, len(lines)) if re.fullmatch(pattern, lines[i])), None)
        assert found is not None, f"{block.place}: {line!r} was not printed:\n{printed}"
        at = found + 1


def _plain(line: str) -> str:
    """A line without its figures, and without what aligns it; of a row of a table, its first column."""
    columns = re.split(r"\s{2,}|─+", line.strip())
    line = columns[0] if len(columns) > 2 else " ".join(columns)
    line = re.sub(r"\d[\d.:e-]*\d|\d", "#", line)
    line = re.sub(r"\([^()]*#[^()]*\)", "(#)", line)
    line = re.sub(r"#(?:(?:, | )#)*(?: (?:s\b|(\w+?)s?\b))?", r"# \1", line)  # "2 jobs" is "1 job"
    return " ".join(line.split())


def written(block: Block, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(block.text)
    if block.language == "yaml":
        yaml.safe_load(block.text)


def compiled(block: Block) -> CodeType | None:
    return compile(block.text, block.place, "exec") if block.language == "python" else None


def marks() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        for block in blocks(page):
            for kind, reason in block.marks.items():
                assert kind in ("not run", "checked only", "trace"), f"{block.place}: unknown mark {kind!r}"
                if kind != "trace":  # of calls: a test of its own makes them
                    yield name_of(page), f"{kind}: {reason}"


def test_what_is_not_run_says_why_and_is_known():
    found: dict[str, list[str]] = {}
    for page, reason in marks():
        found.setdefault(page, []).append(reason)
    assert found == MARKS
