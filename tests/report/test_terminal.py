"""Printing is a view: a closed pipe, a full disk or a lost terminal ends no study."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from commands import FREE, FUNCTION, ROOT, journal, run

from hpo_pipeline.report.terminal import terminal_on

STUDY = (*FREE, "n_trials=3", "name=s")


@pytest.mark.slow
@pytest.mark.parametrize("sink", ["| head -1", "> /dev/full", "2>&1 | true", ">&-"])
def test_a_study_whose_output_goes_nowhere_comes_to_its_end(sink):
    command = f"{sys.executable} {ROOT / 'tune.py'} {' '.join(STUDY)} {sink}"
    script = f"set -o pipefail; {command}"
    ended = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == ""
    assert journal("s")[-1]["state"] == "completed"


@pytest.mark.parametrize("name", ["best.yaml", "leaderboard.csv", "plots"])
def test_a_file_that_can_not_be_written_is_said_and_the_rest_is_there(name):
    folder = Path("runs/s")
    folder.mkdir(parents=True)
    if name == "plots":
        (folder / name).write_text("a file in the way")
    else:
        (folder / name).mkdir()
    ended = run(*STUDY)
    assert ended.code == 3, ended.err
    assert f"runs/s/{name}" in ended.out
    assert "can't be written" in ended.out
    assert journal("s")[-1]["state"] == "completed"
    assert len([path for path in ("best.yaml", "leaderboard.csv", "plots/study.png") if (folder / path).is_file()]) == 2


def test_a_study_that_was_killed_before_its_first_record_can_be_begun():
    Path("runs/s").mkdir(parents=True)
    Path("runs/s/journal.jsonl").touch()
    assert run(*STUDY).code == 0


@pytest.mark.parametrize("program", ["tune", "train"])
def test_a_folder_that_can_not_be_made_is_one_line(program):
    words = STUDY if program == "tune" else (*FUNCTION, "tracker=none", "name=s")
    ended = run(*words, f"folder={'/'.join(['y' * 250] * 20)}", program=program)
    assert ended.code == 2
    assert "Traceback" not in ended.err
    assert "too long" in ended.err


def test_a_config_that_can_not_be_written_is_one_line():
    Path("runs/s/config.yaml").mkdir(parents=True)
    ended = run(*STUDY)
    assert ended.code == 2
    assert ended.err.startswith("runs/s: can't be used (")


def test_a_notebook_gets_text_and_no_display_for_each_line(monkeypatch, capsys):
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    monkeypatch.setattr("rich.jupyter.display", lambda *_: pytest.fail("a display of its own"))
    terminal = terminal_on(None)
    assert not terminal.is_terminal
    terminal.print("[link](x) " + "word " * 20)
    assert capsys.readouterr().out.count("\n") == 1
