"""`--help` and `--version`: one screen of ours, whose words are right."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from commands import CONF, compose, run

from hpo_pipeline import __version__


def asked(program: str, *arguments: str) -> str:
    ended = run(*arguments, program=program)
    assert (ended.code, ended.err) == (0, "")
    return ended.out


def section(text: str, name: str) -> list[str]:
    return text.partition(f"{name}\n")[2].partition("\n\n")[0].splitlines()


@pytest.mark.parametrize("program", ["tune", "train"])
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_fits_on_a_screen_of_50_lines_and_80_columns(program, flag):
    lines = asked(program, flag).splitlines()
    assert len(lines) <= 50
    assert max(map(len, lines)) <= 80
    assert list(Path().iterdir()) == []


def test_help_names_every_option_of_every_group_and_marks_those_of_the_default():
    shown = " ".join(asked("tune", "--help").split())
    for file in CONF.glob("*/*.yaml"):
        assert re.search(rf"{file.parent.name}=[^=]*\b{file.stem}\b", shown), file
    for default in ("mlp*", "fashion_mnist*", "auto*", "asha_eager*", "process*", "mlflow*"):
        assert default in shown
    assert "scheduler=" not in section(asked("train", "--help"), "Groups (* is the default):")


def test_help_names_options_of_ones_own():
    Path("mine/model").mkdir(parents=True)
    Path("mine/model/net.yaml").write_text("_target_: my.Net\n")
    assert "model=        cnn, deep_mlp, mlp*, none, resnet18, softmax, net\n" in asked(
        "tune", "--help", "--config-dir", "mine"
    )


@pytest.mark.parametrize("program", ["tune", "train"])
def test_what_help_shows_composes(program):
    text = asked(program, "--help")
    useful = [line.split()[0] for line in section(text, "Useful overrides:")]
    assert len(useful) == 10
    for override in useful:
        if override != "experiment=best":  # a file that a study leaves
            compose(override, program=program)
    examples = [shlex.split(line) for line in section(text, "Examples:")]
    assert len(examples) == 3
    for words in examples:
        assert words[:2] == ["python", f"{program}.py"]
        compose(
            *(word for word in words[2:] if "," not in word and word not in ("-m", "experiment=best")), program=program
        )


def test_the_version_is_ours():
    assert asked("tune", "--version").startswith(f"hpo_pipeline {__version__} (Hydra ")


def test_hydras_own_help_is_still_there():
    assert "== Flags ==" in asked("train", "--hydra-help")
