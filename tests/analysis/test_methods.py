"""Which studies are one method, and what it is called."""

from __future__ import annotations

from typing import Any

import pytest

from hpo_pipeline.analysis.methods import chosen_keys, differing, names, settings, usual_name
from hpo_pipeline.errors import StudyError

GROUPS = ("experiment", "scheduler", "searcher", "model", "optimizer", "search_space")


def study(name: str = "a", seed: int = 0, **choices: Any) -> dict[str, Any]:
    """A config; what is no group's option is a setting."""
    options = {group: choices.pop(group) for group in GROUPS if group in choices}
    return {"name": name, "seed": seed, "choices": options, **choices}


def named(*configs: dict[str, Any]) -> list[str]:
    told = settings(configs)
    keys = differing(told, GROUPS)
    return names(told, keys, GROUPS, all_keys=False)


def test_seeds_names_and_budgets_make_no_other_method():
    told = settings([study("a", 0, n_trials=5, folder="runs/a"), study("b", 1, n_trials=9, folder="runs/b")])
    assert differing(told, GROUPS) == []


def test_a_key_that_older_studies_have_not_makes_none_where_it_is_null():
    assert differing(settings([study("a"), study("b", 1, newer=None)]), GROUPS) == []
    assert differing(settings([study("a"), study("b", 1, newer=2)]), GROUPS) == ["newer"]


def test_a_value_that_follows_the_studys_name_or_seed_makes_none_either():
    told = settings([study(f"s{i}", i, cache=f"tmp/s{i}/x", dataset={"split_seed": i}) for i in (3, 4)])
    assert differing(told, GROUPS) == []
    # a name of one letter stands in many values: they are still others
    told = settings([study("a", 0, kind="adam"), study("b", 1, kind="sgd")])
    assert differing(told, GROUPS) == ["kind"]


def test_a_seed_that_happens_to_be_a_setting_is_a_difference_where_it_does_not_follow():
    told = settings([study("a", 0, depth=0), study("b", 1, depth=0), study("c", 0, depth=1)])
    assert differing(told, GROUPS) == ["depth"]


def test_methods_are_called_by_scheduler_and_searcher_where_both_differ():
    assert named(study(scheduler="asha", searcher="random"), study(scheduler="fifo", searcher="tpe")) == [
        "asha + random",
        "fifo + tpe",
    ]
    assert named(study(scheduler="asha", searcher="tpe"), study(scheduler="fifo", searcher="tpe")) == ["asha", "fifo"]


def test_what_comes_with_an_option_is_not_told():
    asha = study(scheduler="asha")
    asha["scheduler"] = {"_target_": "x.ASHA", "eta": 3}
    fifo = study(scheduler="fifo")
    fifo["scheduler"] = {"_target_": "x.FIFO"}
    assert differing(settings([asha, fifo]), GROUPS) == ["scheduler"]
    mlp, softmax = study(model="mlp", optimizer="adam"), study(model="softmax", optimizer="sgd")
    assert named(mlp, softmax) == ["mlp", "softmax"]


def test_a_setting_is_told_where_the_option_is_the_same():
    three, four = ({"_target_": "x.ASHA", "eta": eta} for eta in (3, 4))
    fifo = {**study(scheduler="fifo"), "scheduler": {"_target_": "x.FIFO"}}
    first, second = ({**study(scheduler="asha"), "scheduler": node} for node in (three, four))
    assert named(first, second, fifo) == ["asha, eta=3", "asha, eta=4", "fifo"]
    assert named(first, second) == ["eta=3", "eta=4"]


def test_settings_of_the_same_last_name_are_told_by_their_paths():
    told = named(study(a={"lr": 1}, b={"lr": 1}), study(a={"lr": 1}, b={"lr": 2}), study(a={"lr": 2}, b={"lr": 1}))
    assert told == ["a.lr=1, b.lr=1", "a.lr=1, b.lr=2", "a.lr=2, b.lr=1"]


def test_experiments_stand_for_all_that_they_change_where_each_method_is_one():
    a, b = study(experiment="bohb", scheduler="asha", searcher="tpe"), study(experiment="gp", scheduler="fifo")
    assert named(a, b) == ["bohb", "gp"]
    assert named({**a, "eta": 3}, {**a, "eta": 4}, b) == ["asha + tpe, eta=3", "asha + tpe, eta=4", "fifo"]


def test_a_name_fits_and_is_the_only_one():
    long = [study(scheduler="x" * 99 + end) for end in "ab"]
    assert named(*long) == [f"{'x' * 59}… (1)", f"{'x' * 59}… (2)"]
    assert "\n" not in named(study(scheduler="a\nb"), study(scheduler="c"))[0]


def test_a_single_method_is_called_by_what_it_is():
    (told,) = settings([study(scheduler="asha", searcher="tpe", model="mlp")])
    assert usual_name(told) == "asha + tpe"
    assert usual_name({}) == "all studies"


def test_keys_that_are_asked_for_have_to_be_there():
    told = settings([{**study(scheduler="asha"), "scheduler": {"eta": 3}, "deep": {"a": 1, "b": 2}}])
    assert chosen_keys(told, ["scheduler.eta", "scheduler"]) == ["scheduler.eta", "scheduler"]
    with pytest.raises(StudyError, match="--by schduler: no study has such a key; did you mean 'scheduler'"):
        chosen_keys(told, ["schduler"])
    with pytest.raises(StudyError, match=r"--by deep: stands for several values: choose one, deep\.a"):
        chosen_keys(told, ["deep"])
