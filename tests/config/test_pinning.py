"""A value that is set though the search space tunes it, and domains that are replaced where they stand."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import FREE, compose, journal, run

LR = "optimizer.lr=0.5 was typed, so it is not tuned"


def problems(*words: str) -> list[str]:
    return list(map(str, compose(*words).problems))


def test_a_typed_value_is_pinned_and_said():
    composed = compose("optimizer.lr=0.5")
    assert composed.config["search_space"]["optimizer"]["lr"] == 0.5
    assert composed.notes == [LR]
    ended = run(*FREE, "optimizer.lr=0.5", "n_trials=2", "name=s")
    assert ended.code == 0
    assert LR in ended.out.splitlines()
    configs = [record["config"] for record in journal("s") if record["event"] == "suggested"]
    assert [config["optimizer.lr"] for config in configs] == [0.5, 0.5]
    assert "optimizer.lr=0.5 optimizer.lr" not in ended.out


@pytest.mark.parametrize("typed", ["optimizer.lr=0.5", "++optimizer.lr=0.5", "optimizer={lr: 0.5}"])
def test_however_it_is_typed(typed):
    assert compose(typed).config["search_space"]["optimizer"]["lr"] == 0.5


def test_a_value_beside_the_choice_of_its_group_is_pinned():
    composed = compose("model=mlp", "model.n_units_1=32")
    assert composed.config["search_space"]["model"]["n_units_1"] == 32
    assert composed.notes == ["model.n_units_1=32 was typed, so it is not tuned"]


def test_what_is_not_tuned_is_no_matter():
    assert compose("optimizer.eps=0.5").notes == []


def test_a_value_and_a_domain_typed_for_one_hyperparameter_are_a_problem():
    (line,) = problems("optimizer.lr=0.5", "search_space.optimizer.lr.low=0.1")
    assert line == (
        "optimizer.lr: is typed, and so is search_space.optimizer.lr.low, which tunes it; leave one of them out"
    )


def test_of_a_component_that_is_typed_as_a_whole_a_typed_domain_tunes_an_argument():
    whole = "model={_target_: hpo_pipeline.model.mlp.MLP, n_units_1: 8, n_units_2: 8}"
    composed = compose("model=none", whole, "+search_space.model.n_units_1={type: int, low: 4, high: 16}")
    assert composed.problems == []
    tuned = composed.config["search_space"]["model"]
    assert tuned["n_units_1"] == {"type": "int", "low": 4, "high": 16}
    assert composed.trial_config(0, {"model.n_units_1": 5})["model"]["n_units_1"] == 5


def test_a_value_in_a_file_is_without_effect_and_said():
    Path("mine/experiment").mkdir(parents=True)
    Path("mine/experiment/e.yaml").write_text("# @package _global_\noptimizer: {lr: 0.5, eps: 0.1}\n")
    composed = compose("hydra.searchpath=[file://mine]", "experiment=e")
    assert composed.notes == ["experiment/e sets optimizer.lr=0.5, without effect: the search space tunes it"]
    assert composed.config["search_space"]["optimizer"]["lr"]["type"] == "float"
    assert compose("hydra.searchpath=[file://mine]", "experiment=e", "optimizer.lr=0.25").notes == [
        "optimizer.lr=0.25 was typed, so it is not tuned"
    ]


OPTIMIZERS = ("search_space=mlp_optimizers",)


@pytest.mark.parametrize("typed", ["search_space.optimizer=sgd", "optimizer=sgd"])
def test_a_pinned_option_keeps_its_sub_space(typed):
    node = compose(*OPTIMIZERS, typed).config["search_space"]["optimizer"]
    assert list(node["choices"]) == ["sgd"]
    assert list(node["choices"]["sgd"]) == ["lr", "momentum", "nesterov"]
    free = [word for word in FREE if not word.startswith("optimizer=")]  # which would be typed as well
    ended = run(*free, *OPTIMIZERS, typed, "n_trials=3", "name=s")
    assert ended.code == 0, ended.err
    configs = [record["config"] for record in journal("s") if record["event"] == "suggested"]
    assert {config["optimizer"] for config in configs} == {"sgd"}
    assert all("optimizer.momentum" in config for config in configs)


def test_a_pinned_number_of_layers_keeps_what_depends_on_it():
    space = "+search_space.model.n_layers={type: choice, choices: {1: {n_units_1: 3}, 2: {n_units_2: 4}}}"
    base = ("model=deep_mlp", "~search_space.model", "+search_space.model={}", space)
    composed = compose(*base, "search_space.model.n_layers=2")
    assert composed.config["search_space"]["model"]["n_layers"]["choices"] == {2: {"n_units_2": 4}}


def test_a_pinned_hyperparameter_exists_where_it_did():
    composed = compose(*OPTIMIZERS, "optimizer=sgd", "optimizer.nesterov=true")
    (node,) = (composed.config["search_space"]["optimizer"]["choices"]["sgd"]["nesterov"],)
    assert node == {"type": "choice", "choices": [True], "when": {"optimizer": "sgd"}}


def test_a_constant_that_chooses_an_option_is_a_choice_of_one():
    ended = run(*FREE, "+search_space.lr_schedule=cosine", "n_trials=1", "name=s")
    assert ended.code == 0, ended.err


@pytest.mark.parametrize("key", ["search_space.model.n_units_1", "++search_space.model.n_units_1"])
def test_a_domain_is_replaced_where_it_stands_on_the_command_line(key):
    composed = compose(f"{key}={{type: choice, choices: [8, 16]}}")
    assert composed.config["search_space"]["model"]["n_units_1"] == {"type": "choice", "choices": [8, 16]}


def test_a_domain_is_replaced_within_a_branch_and_the_rest_of_it_stays():
    model = compose("search_space.model={n_units_1: {type: choice, choices: [8, 16]}}").config["search_space"]["model"]
    assert model["n_units_1"] == {"type": "choice", "choices": [8, 16]}
    assert model["n_units_2"]["type"] == "int"


def test_a_domain_is_replaced_where_it_stands_in_an_experiment():
    Path("mine/experiment").mkdir(parents=True)
    Path("mine/experiment/e.yaml").write_text(
        "# @package _global_\n"
        "search_space: {optimizer: {lr: {type: float, low: 0.0, high: 1.0}, weight_decay: {low: 1.0e-7}}}\n"
    )
    space = compose("hydra.searchpath=[file://mine]", "experiment=e").config["search_space"]["optimizer"]
    assert space["lr"] == {"type": "float", "low": 0.0, "high": 1.0}, "no log of the domain that stood there"
    assert (space["weight_decay"]["low"], space["weight_decay"]["high"]) == (1e-7, 1.0), "without a type it is changed"


def test_a_domain_is_moved_with_its_type_left_out():
    assert compose("search_space.optimizer.lr={low: 0.5}").config["search_space"]["optimizer"]["lr"]["high"] == 1.0


def test_a_value_of_an_option_that_the_space_chooses_is_pinned_with_it():
    composed = compose("search_space=mlp_optimizers", "optimizer=sgd", "optimizer.lr=0.5")
    assert composed.config["search_space"]["optimizer"]["choices"]["sgd"]["lr"] == 0.5
    assert run(*FREE, "search_space=mlp_optimizers", "optimizer=sgd", "optimizer.lr=0.5", "dry_run=true").code == 0


def test_a_value_that_only_some_of_the_chosen_options_would_get_is_refused():
    ended = run(*FREE, "search_space=mlp_optimizers", "optimizer.weight_decay=0.5", "dry_run=true")
    assert ended.code == 2
    assert "optimizer.weight_decay: is set, but the search space chooses optimizer" in ended.err
