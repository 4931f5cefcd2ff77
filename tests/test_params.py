"""Hyperparameters of an objective's own: params."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from commands import FREE, compose, curve, journal, run
from omegaconf import OmegaConf

from hpo_pipeline.errors import ConfigError
from hpo_pipeline.preflight import check_study, check_training

LR = "+search_space.params.lr={type: float, low: 1.0e-5, high: 1, log: true}"
OWN = ("objective=function", "executor=serial", "tracker=none", "name=s", "n_trials=3", "max_resource=2")


def problems(*typed: str, program: str = "tune") -> list[str]:
    check: Any = check_study if program == "tune" else check_training
    try:
        check(compose("tracker=none", *typed, program=program), data=False)
    except ConfigError as error:
        return error.lines
    return []


def test_a_function_needs_no_model_data_and_optimizer():
    trial = compose("objective=function", LR).trial_config(3, {"params.lr": 0.5})
    assert [trial[key] for key in ("model", "dataset", "optimizer", "lr_schedule")] == [None] * 4
    assert (trial["params"], trial["trial"]) == ({"lr": 0.5}, 3)


def test_what_is_chosen_beside_a_function_is_there():
    config = compose("objective=function", "model=softmax").training
    assert config["model"] == {"_target_": "hpo_pipeline.model.softmax.Softmax"}
    assert (config["dataset"], config["optimizer"]) == (None, None)


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        (("params.x=1",), {"x": 1}),
        (("params.x.y=1", "+params.z=[2]"), {"x": {"y": 1}, "z": [2]}),
        (("params={x: 1}",), {"x": 1}),
    ],
)
def test_params_are_typed_as_other_keys_are(typed, expected):
    assert compose("objective=function", *typed, program="train").training["params"] == expected


def test_a_sample_makes_the_params_that_it_names():
    composed = compose("objective=function", "params.kept=1", "+search_space.params.a.b={type: int, low: 1, high: 9}")
    assert composed.trial_config(0, {"params.a.b": 4})["params"] == {"kept": 1, "a": {"b": 4}}
    assert composed.training["params"] == {"kept": 1}


def test_params_may_refer_to_what_is_sampled():
    composed = compose("objective=function", LR, "params.half='${params.lr}'", "params.lr=1")
    assert composed.trial_config(0, {"params.lr": 0.5})["params"] == {"lr": 0.5, "half": 0.5}


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ((LR,), None),
        ((), "search_space: there is none; say what to tune: '+search_space.params.x="),
        ((LR, "search_space.params.lr.low=2"), "search_space.params.lr"),
        ((LR, "+search_space.param.lr={type: int, low: 1, high: 2}"), "search_space.param.lr: not in the config"),
        (("+search_space.model.n_units_1={type: int, low: 1, high: 9}",), "search_space.model.n_units_1: not in the"),
    ],
)
def test_what_is_wrong_with_a_space_of_params_is_found_before_anything_starts(typed, found):
    lines = problems("objective=function", *typed)
    assert (lines == []) if found is None else (len(lines) == 1 and lines[0].startswith(found))


@pytest.mark.parametrize("program", ["tune", "train"])
def test_the_training_has_no_params(program):
    assert problems("params.lr=0.1", "dataset=digits", "model=softmax", program=program) == [
        "params: this objective has none, got lr; tune model, optimizer, dataset"
    ]


def test_params_must_be_a_mapping():
    Path("conf/experiment").mkdir(parents=True)
    Path("conf/experiment/e.yaml").write_text("# @package _global_\nparams: 3\n")
    ended = run("--config-dir=conf", "experiment=e", *OWN)
    assert (ended.code, ended.err.count("\n")) == (2, 2)
    assert "experiment/e: params: " in ended.err


def test_typed_params_are_pinned():
    ended = run(*OWN, "search_space=learning_curve", "params.lr=0.1")
    assert ended.code == 0
    assert "params.lr=0.1 was typed, so it is not tuned" in ended.out
    sampled = [record["config"] for record in journal("s") if record["event"] == "suggested"]
    assert {config["params.lr"] for config in sampled} == {0.1}
    assert len({config["params.weight_decay"] for config in sampled}) == 3


def test_the_winner_is_trained_again_by_the_printed_command_and_by_its_file(monkeypatch):
    ended = run(*OWN, "search_space=learning_curve")
    best = OmegaConf.load("runs/s/best.yaml")
    value = float(re.search(r"validation_error (\S+) ", Path("runs/s/best.yaml").read_text())[1])
    assert ended.code == 0
    assert {"model": None, "optimizer": None, "dataset": None}.items() <= OmegaConf.load("runs/s/config.yaml").items()
    assert (best.params.keys(), value) == (
        {"lr", "weight_decay"},
        min(v for r in curve(journal("s"), best.trial) for v in [r[1]["validation_error"]]),
    )
    (line,) = [line for line in ended.out.splitlines() if "train.py" in line and "params.lr=" in line]
    words = shlex.split(line)
    again = run(*words[2:], "name=a", "tracker=none", program="train")
    Path("conf/experiment").mkdir(parents=True)
    Path("runs/s/best.yaml").rename("conf/experiment/best.yaml")
    by_file = run("--config-dir=conf", "experiment=best", "name=b", "tracker=none", program="train")
    assert (again.code, by_file.code) == (0, 0)
    shown = [ended.out[ended.out.rindex(f"step {best.resource}/") :].split()[3] for ended in (again, by_file)]
    assert shown == [f"{value:.4g}"] * 2


def test_a_study_that_was_saved_before_there_were_params_goes_on_and_runs_again():
    assert run(*FREE, "name=s", "n_trials=2", "max_resource=1").code == 0
    saved = Path("runs/s/config.yaml")
    text = saved.read_text()
    assert "params: {}\n" in text
    saved.write_text(text.replace("params: {}\n", ""))
    ended = run("name=s", "resume=true", "n_trials=4")
    assert ended.code == 0, ended.err
    assert "params" not in ended.out
    assert len([record for record in journal("s") if record["event"] == "suggested"]) == 4
    again = run("--config-path=runs/s", "--config-name=config", "name=t")
    assert again.code == 0, again.err
    rows = [[record["config"] for record in journal(name) if record["event"] == "suggested"] for name in "st"]
    assert rows[0] == rows[1]


def test_an_own_function_finds_its_params(monkeypatch):
    Path("own.py").write_text("def f(config, resource, seed): return {'loss': config['params']['x'] / resource}\n")
    monkeypatch.syspath_prepend(Path.cwd())
    monkeypatch.setenv("HPO_TRUST", "own")
    ended = run("objective=function", "objective.function=own.f", "params.x=6", "metric=loss", "max_resource=3",
                "tracker=none", "name=s", program="train")  # fmt: skip
    assert ended.code == 0, ended.err
    assert re.findall(r"loss (\S+)", ended.out) == ["6.000", "3.000", "2.000"]
