"""The words of a command, and what takes the places of its placeholders."""

from __future__ import annotations

from typing import Any

import pytest

from hpo_pipeline.errors import ConfigError
from hpo_pipeline.objective.program.template import Template

PARAMS = {"lr": 0.5, "n_units_1": 64, "name": "a b;$(c)'\"", "nesterov": True, "betas": [0.9, 1], "left_out": None}


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("./x --lr {params.lr}", ["./x", "--lr", "0.5"]),
        ("./x --lr={params.lr} '{params.name}'", ["./x", "--lr=0.5", "a b;$(c)'\""]),
        ("./x {params.name}{params.lr}", ["./x", "a b;$(c)'\"0.5"]),
        ("awk 'BEGIN {{ print }}' \"a b\" c\\ d", ["awk", "BEGIN { print }", "a b", "c d"]),
        (["./x", 3, True, 1e-05, "$HOME", "*", "a b"], ["./x", "3", "true", "1e-05", "$HOME", "*", "a b"]),
        ("./x; rm -rf {params.lr} | cat > y", ["./x;", "rm", "-rf", "0.5", "|", "cat", ">", "y"]),
    ],
)
def test_a_value_fills_a_place_in_one_word_whatever_is_in_it(command, expected):
    values = {f"params.{name}": value for name, value in PARAMS.items()}
    assert Template.parse(command).fill(values, PARAMS) == expected


def test_all_hyperparameters_are_given_by_name_but_those_that_a_trial_hasn_t():
    words = ["--lr", "0.5", "--n_units_1", "64", "--name", PARAMS["name"], "--nesterov", "true", "--betas", "[0.9, 1]"]
    assert Template.parse("./x {params} end").fill({}, PARAMS) == ["./x", *words, "end"]
    by_equals = [f"{name}={value}" for name, value in zip(words[::2], words[1::2], strict=True)]
    assert Template.parse("./x {params=}").fill({}, PARAMS) == ["./x", *(word.removeprefix("--") for word in by_equals)]


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (None, "must be a command: a text, or a list of words, such as 'python train.py {params}', got None"),
        ("", "must be a command"),
        ([], "must be a command"),
        (3, "must be a command"),
        ("./x 'y", "can't be split into words (No closing quotation)"),
        ("./x {lr", "a brace that is no placeholder is written twice: {{ or }}; got '{lr'"),
        ("awk 'BEGIN { print 1 + {params.x} }'", "a brace that is no placeholder is written twice"),
        ("./x --p={params}", "{params} stands for several words, so it is one by itself; got '--p={params}'"),
        ("{params.x} y", "its first word is the program, and must be written out; got '{params.x}'"),
        (["./x", {"params": None}], "YAML reads {params} as a mapping; put it in quotes: '{params}'"),
        (["./x", None], "must be a text, or a list of words, got None"),
        (["./x", ["y"]], "must be a text, or a list of words, got ['y']"),
    ],
)
def test_what_is_no_command_is_refused_with_its_reason(command: Any, reason: str):
    with pytest.raises(ConfigError) as error:
        Template.parse(command)
    assert reason in str(error.value)
