"""Every searcher is held to the contract that anyone's own one is held to, on every kind of space."""

import pytest
from components import SEARCHERS, SPACES

from hpo_pipeline.searcher.grid import GridSearch
from hpo_pipeline.searcher.random import RandomSearch
from hpo_pipeline.searcher.sobol import SobolSearch
from hpo_pipeline.searcher.suggestions import Suggestions
from hpo_pipeline.seeding import generator
from hpo_pipeline.space import SearchSpace
from hpo_pipeline.testing import ContractError, check_searcher


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
@pytest.mark.parametrize("make", SEARCHERS.values(), ids=SEARCHERS)
def test_searchers_keep_the_contract_on_every_kind_of_space(make, space):
    for seed in range(3):
        check_searcher(lambda space, seed=seed: make(space, seed), space)


@pytest.mark.parametrize("cut", [0, 1, 3, 5])
@pytest.mark.parametrize("make", SEARCHERS.values(), ids=SEARCHERS)
def test_with_points_to_evaluate_and_a_break_a_finite_space_is_gone_through_once(make, cut):
    space = SPACES["constrained"]
    points = [{"first": 4, "second": 1}, {"first": 2, "second": 2}, {"first": 4, "second": 1}]
    first = Suggestions(make(space, 0), space, 10, points)
    recorded = [first.new().config for _ in range(cut)]
    resumed = Suggestions(make(space, 0), space, 10, points)
    for config in recorded:
        resumed.replay(config)
    configs = [resumed.new().config for _ in range(10)]
    assert configs[:2] == points[:2]
    assert {(c["first"], c["second"]) for c in configs} == {(i, j) for i in range(1, 5) for j in range(1, i + 1)}


@pytest.mark.parametrize("make", [RandomSearch, SobolSearch, GridSearch])
def test_rare_values_and_a_mid_point_that_is_excluded_are_gone_through_once(make):
    # The mid-point of both is 2. The first is 0 or 4 in one of 16 draws each.
    tree = {
        "first": {"type": "scipy", "distribution": "binom", "n": 4, "p": 0.5},
        "second": {"type": "int", "low": 0, "high": 4},
        "constraints": ["second < first"],
    }
    space = SearchSpace.parse(tree)
    trials = Suggestions(make(space, 0), space, 10, [{}])
    configs = [trials.new().config for _ in range(10)]
    assert {(c["first"], c["second"]) for c in configs} == {(i, j) for i in range(5) for j in range(i)}
    assert len(trials.notes) == 1


def test_the_suite_catches_a_searcher_that_repeats_itself():
    class Stubborn(RandomSearch):
        def suggest(self, trial_id, level=0):
            return super().suggest(0)

        def on_trial(self, trial):
            """Remembers nothing."""

    with pytest.raises(ContractError, match="no configuration twice"):
        check_searcher(lambda space: Stubborn(space, 0), SPACES["continuous"])


def test_the_suite_catches_a_searcher_that_counts_its_calls():
    class Counting(RandomSearch):
        def suggest(self, trial_id, level=0):
            self.calls = getattr(self, "calls", 0) + 1
            return self._space.sample(generator(0, self.calls))

    with pytest.raises(ContractError, match="recorded"):
        check_searcher(lambda space: Counting(space, 0), SPACES["continuous"])
