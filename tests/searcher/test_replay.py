"""What all model-free searchers promise: the replay contract, and no configuration twice."""

from __future__ import annotations

import pytest
from heard import evaluated, started

from hpo_pipeline.searcher import EXHAUSTED
from hpo_pipeline.searcher.grid import GridSearch
from hpo_pipeline.searcher.random import RandomSearch
from hpo_pipeline.searcher.sobol import SobolSearch
from hpo_pipeline.space import SearchSpace

SEARCHERS = [RandomSearch, GridSearch, SobolSearch]
CONDITIONAL = {
    "optimizer": {
        "type": "choice",
        "choices": {
            "sgd": {
                "lr": {"type": "float", "low": 1e-3, "high": 1.0, "log": True},
                "momentum": {"type": "float", "low": 0, "high": 0.99},
            },
            "adam": {"lr": {"type": "float", "low": 1e-5, "high": 1e-2, "log": True}},
        },
    },
    "model": {"n_layers": {"type": "int", "low": 1, "high": 3}},
}
SMALL = {
    "a": {"type": "choice", "choices": {"x": {"b": {"type": "int", "low": 1, "high": 3}}, "y": None}},
    "c": {"type": "choice", "choices": [True, False]},
}  # a.b lies inside a: x with 3 values, y without: 4, times 2: 8 configurations


def run(searcher, trial_ids, record=None):
    """Suggests and starts trials; `record` receives the configurations."""
    configs = []
    for trial_id in trial_ids:
        answer = searcher.suggest(trial_id)
        if answer is EXHAUSTED:
            break
        config = answer.config
        started(searcher, trial_id, config)
        evaluated(searcher, trial_id, config, 1, 0.5)
        configs.append(dict(config))
    return configs


@pytest.mark.parametrize("make", SEARCHERS)
@pytest.mark.parametrize("tree", [CONDITIONAL, SMALL], ids=["conditional", "small"])
def test_after_replayed_calls_suggestions_go_on_as_if_never_interrupted(make, tree):
    space = SearchSpace.parse(tree)
    whole = run(make(space, seed=3), range(12))
    for cut in range(len(whole)):
        resumed = make(space, seed=3)
        for trial_id, config in enumerate(whole[:cut]):
            started(resumed, trial_id, config)
        assert run(resumed, range(cut, 12)) == whole[cut:]


@pytest.mark.parametrize("make", SEARCHERS)
def test_asking_twice_gives_the_same_answer(make):
    searcher = make(SearchSpace.parse(CONDITIONAL), seed=0)
    assert searcher.suggest(0) == searcher.suggest(0)
    started(searcher, 0, searcher.suggest(0).config)
    first = searcher.suggest(1)
    searcher.suggest(2)
    assert searcher.suggest(1) == first


@pytest.mark.parametrize("make", SEARCHERS)
def test_a_finite_space_is_covered_without_repetition(make):
    space = SearchSpace.parse(SMALL)
    configs = run(make(space, seed=1), range(8))
    assert space.size == 8
    assert len({space.key(config) for config in configs}) == 8


@pytest.mark.parametrize("make", [RandomSearch, SobolSearch])
def test_an_exhausted_finite_space_is_repeated(make):
    space = SearchSpace.parse(SMALL)
    assert len(run(make(space, seed=1), range(20))) == 20


@pytest.mark.parametrize("make", SEARCHERS)
def test_a_given_configuration_is_not_proposed_again(make):
    space = SearchSpace.parse(SMALL)
    given = {"a": "y", "c": False}
    searcher = make(space, seed=5)
    started(searcher, 0, given)
    assert given not in run(searcher, range(1, 8))


@pytest.mark.parametrize("make", SEARCHERS)
def test_what_is_proposed_lies_in_the_space(make):
    space = SearchSpace.parse(CONDITIONAL)
    configs = run(make(space, seed=2), range(60))
    assert [space.contains(config) for config in configs] == [[]] * 60


@pytest.mark.parametrize("make", [RandomSearch, SobolSearch])
def test_seeds_differ(make):
    space = SearchSpace.parse(CONDITIONAL)
    assert run(make(space, seed=0), range(3)) != run(make(space, seed=1), range(3))


@pytest.mark.parametrize("make", SEARCHERS)
def test_a_space_of_constants_has_one_configuration(make):
    searcher = make(SearchSpace.parse({"optimizer": {"lr": 0.1}}), seed=0)
    assert run(searcher, range(1)) == [{"optimizer.lr": 0.1}]


def test_a_rare_configuration_is_found_at_last():
    """Nearest-neighbour encoding makes 1 and 2 of 1, 2, 1e9 rare: 1 in 2e9 for the border between them."""
    tree = {"a": {"type": "ordinal", "choices": [1, 2, 10**9], "encoding": "nearest"}, "b": 1}
    for make in SEARCHERS:
        assert sorted(c["a"] for c in run(make(SearchSpace.parse(tree), seed=0), range(3))) == [1, 2, 10**9]
