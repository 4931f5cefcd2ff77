"""What a person reads where Hydra, OmegaConf, torch or the threads' library would speak for themselves."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import run

from hpo_pipeline.errors import ConfigError
from hpo_pipeline.space import SearchSpace

ALWAYS = ("dataset=digits", "tracker=none", "dry_run=true")
GLOBAL = "# @package _global_\n"


def problems(*words: str) -> list[str]:
    ended = run(*ALWAYS, *words)
    assert ended.code == 2
    return [line.removeprefix("  ") for line in ended.err.splitlines()[1:]]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("max_total_resource: abc\n", ["max_total_resource: must be an integer, got 'abc'"]),
        (
            "n_trials: [1]\nseed: x\nresume: maybe\nname: {a: 1}\ntrheads: 2\n",
            [
                "n_trials: must be an integer, got [1]",
                "seed: must be an integer, got 'x'",
                "resume: must be true or false, got maybe",
                "name: must be a string, got {'a': 1}",
                "trheads: there is no such key; did you mean 'threads'?",
            ],
        ),
        ("null: 1\n", ["a key is null; keys must be words (quote it: 'null')"]),
        ("defaults: 5\n", ["defaults: must be a list, got int"]),
        ("defaults: [5]\n", ["defaults: must be names of options, got one of type int; write {group: option}"]),
        ("defaults: [nothing]\n", ["defaults: there is no experiment/nothing"]),
        ("defaults: [override /nogroup: x]\n", ["defaults: there is no group nogroup"]),
    ],
)
def test_what_a_file_says_wrongly_is_told_with_its_name_all_at_once(text, lines):
    Path("conf/experiment").mkdir(parents=True)
    Path("conf/experiment/x.yaml").write_text(GLOBAL + text)
    assert problems("--config-dir", "conf", "experiment=x") == [f"experiment/x: {line}" for line in lines]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("# @package a b\nseed: 1\n", "@package a b: must be '# @package _global_', or a path of the config"),
        ("# @package\nseed: 1\n", "@package: must be '# @package _global_', or a path of the config"),
        ("seed: 1\n", "begin the file with the line '# @package _global_': its keys are the config's own"),
        ("5\n", "must be a mapping of keys to values, got int"),
    ],
)
def test_a_file_of_another_form_is_named(text, line):
    Path("conf/experiment").mkdir(parents=True)
    Path("conf/experiment/x.yaml").write_text(text)
    assert problems("--config-dir", "conf", "experiment=x") == [f"experiment/x: {line}"]


@pytest.mark.parametrize(
    ("typed", "line"),
    [
        ("optimizer.betas={}", "optimizer.betas: is a list; a mapping can't take its place"),
        (
            "optimizer.betas=[]",
            "optimizer: torch.optim.Adam refuses these values (IndexError: list index out of range)",
        ),
        ("n_trials=abc", "n_trials: must be an integer, got 'abc'"),
        ("model.n_units_1=${model}", "model.n_units_1: refers to a mapping of which it is a part itself"),
        ("model.n_units_1=${model.n_units_1}", "model.n_units_1: refers to itself"),
        ("model.n_units_1=${nowhere}", "model.n_units_1: refers to nowhere, which is not there"),
        ("seed=${oc.decode:'['}", "seed: the interpolation can't be resolved (mismatched input '<EOF>')"),
        ("threads=100000", "threads: must be at most 1024, got 100000"),
    ],
)
def test_what_is_typed_wrongly_is_told_with_its_path(typed, line):
    assert problems(typed) == [line]


@pytest.mark.parametrize("words", [["+experiment=asha", "experiment=pbt"], ["+scheduler=fifo"]])
def test_an_option_chosen_twice_is_said(words):
    group = words[0].strip("+").partition("=")[0]
    assert problems(*words) == [
        f"{group}: is chosen twice; on the command line leave out the +, in a file write 'override /{group}'"
    ]


def test_a_key_that_is_no_line_is_escaped():
    with pytest.raises(ConfigError) as caught:
        SearchSpace.parse({"optimizer": {"a\n\u202e": [1]}})
    assert caught.value.lines == [r"search_space.optimizer.a\n\u202e: is a list; write {type: choice, choices: [1]}"]


def test_a_grid_is_not_listed_without_end():
    assert problems("searcher=grid", "searcher.n_points=10000000000") == [
        "searcher.n_points: must be an integer from 1 to 10000, or a mapping path -> such, got 10000000000"
    ]
