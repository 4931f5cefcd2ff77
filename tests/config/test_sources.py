"""The experiments that repeat others' studies have their sizes, by the tables of the book and the tutorial."""

from __future__ import annotations

import pytest
from commands import compose, journal, run, rung_table

from hpo_pipeline.scheduler.hyperband import plans
from hpo_pipeline.scheduler.rungs import rung_resources

FORMULA = ("objective=function", "model=mlp", "optimizer=adam", "search_space=softmax", "dataset=digits")
"""The curves are a formula of the learning rate, so that a study of any size takes a moment."""
QUIET = ("executor=serial", "tracker=none", "name=s")

ROUND = {1: 16, 2: 8, 4: 4, 8: 2, 16: 1}
"""d2l 19.4: eta^K trials, K = 4, eta = 2; each rung half of the one below."""


def sizes(words: tuple[str, ...]) -> dict[int, int]:
    """Resource -> evaluations there."""
    ended = run(*words, *FORMULA, *QUIET)
    assert ended.code == 0, ended.err
    found: dict[int, int] = {}
    for (_, _, resource), trials in rung_table(journal("s")).items():
        found[resource] = found.get(resource, 0) + len(trials)
    return found


def test_d2l_random_search_trains_five_trials_for_eight_epochs():
    assert sizes(("experiment=d2l_random_search",)) == {8: 5}


def test_d2l_successive_halving_is_one_round():
    assert sizes(("experiment=d2l_successive_halving",)) == ROUND


def test_d2l_hyperband_is_all_brackets_and_the_first_one_again():
    # The book's formula, ceil((s_max + 1) / (s + 1) · eta^s): 16, 10, 7, 5 and 5 trials, then halved rounding down.
    brackets = [ROUND, {2: 10, 4: 5, 8: 2, 16: 1}, {4: 7, 8: 3, 16: 1}, {8: 5, 16: 2}, {16: 5}, ROUND]
    expected = {resource: sum(bracket.get(resource, 0) for bracket in brackets) for resource in ROUND}
    assert sum(expected.values()) == 103
    assert sizes(("experiment=d2l_hyperband",)) == expected


def test_what_docs_say_of_the_sizes_of_the_books_last_edition():
    assert rung_resources(2, 10, 2) == (2, 4, 10)  # the book: 2, 4, 8, 10
    assert [(plan.sizes, plan.resources) for plan in plans(2, 10, 2)] == [
        ((4, 2, 1), (2, 5, 10)),
        ((3, 1), (5, 10)),
        ((3,), (10,)),
    ]


def test_d2l_asha_has_the_rungs_of_successive_halving():
    ended = run("experiment=d2l_asha", *FORMULA, *QUIET, "dry_run=true")
    assert "rungs at 1, 2, 4, 8, 16; stopped unless within the top 1/2" in ended.out


@pytest.mark.parametrize("scheduler", ["fifo", "asha"])
@pytest.mark.parametrize("searcher", ["random", "gp"])
def test_syne_tune_mlp_is_four_methods_on_one_space(scheduler, searcher):
    composed = compose("experiment=syne_tune_mlp", f"scheduler={scheduler}", f"searcher={searcher}")
    assert composed.config["choices"] | {"scheduler": scheduler, "searcher": searcher} == composed.config["choices"]
    assert (composed.config["max_resource"], composed.config["max_seconds"]) == (81, 3 * 3600)
    space = composed.config["search_space"]
    found = {
        f"{group}.{name}": (leaf["type"], leaf["low"], leaf["high"], leaf.get("log", False))
        for group, leaves in space.items()
        for name, leaf in leaves.items()
    }
    assert found == {
        "model.n_units_1": ("int", 4, 1024, False),
        "model.n_units_2": ("int", 4, 1024, False),
        "dataset.batch_size": ("int", 8, 128, False),
        "model.dropout_1": ("float", 0, 0.99, False),
        "model.dropout_2": ("float", 0, 0.99, False),
        "optimizer.lr": ("float", 1e-6, 1, True),
        "optimizer.weight_decay": ("float", 1e-8, 1, True),
    }


def test_the_earlier_name_of_optuna_garden_is_the_same_study():
    now, before = (compose(f"experiment={name}", "name=s").config for name in ("optuna_garden", "garden"))
    assert before | {"choices": None} == now | {"choices": None}
