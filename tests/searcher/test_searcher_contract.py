"""Every searcher is held to the contract that anyone's own one is held to, on every kind of space."""

import re

import pytest
from components import SEARCHERS, SPACES
from heard import new_trials

from hpo_pipeline.scheduler.fifo import FIFO
from hpo_pipeline.searcher import EXHAUSTED
from hpo_pipeline.searcher.grid import GridSearch
from hpo_pipeline.searcher.random import RandomSearch
from hpo_pipeline.searcher.sobol import SobolSearch
from hpo_pipeline.searcher.trial_generator import TrialGenerator
from hpo_pipeline.seeding import generator
from hpo_pipeline.simulation import ContractError, simulate
from hpo_pipeline.space import SearchSpace
from hpo_pipeline.testing import check_searcher


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
    first = TrialGenerator(make(space, 0), space, 10, points)
    recorded = new_trials(first, cut)
    resumed = TrialGenerator(make(space, 0), space, 10, points)
    for config in recorded:
        resumed.replay(config)
    configs = new_trials(resumed, 10)
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
    trials = TrialGenerator(make(space, 0), space, 10, [{}])
    configs = new_trials(trials, 10)
    assert {(c["first"], c["second"]) for c in configs} == {(i, j) for i in range(5) for j in range(i)}
    assert len(trials.notes) == 1


def test_the_suite_catches_a_searcher_that_repeats_itself():
    class Stubborn(RandomSearch):
        def suggest(self, trial_id, first_rung=0):
            return super().suggest(0)

        def on_submitted(self, job):
            """Remembers nothing."""

    with pytest.raises(ContractError, match="no configuration twice"):
        check_searcher(lambda space: Stubborn(space, 0), SPACES["continuous"])


def test_the_suite_catches_a_searcher_that_counts_its_calls():
    class Counting(RandomSearch):
        def suggest(self, trial_id, first_rung=0):
            self.calls = getattr(self, "calls", 0) + 1
            return self._space.sample(generator(0, self.calls))

    with pytest.raises(ContractError, match=r"Counting.suggest answered .*, and asked again"):
        check_searcher(lambda space: Counting(space, 0), SPACES["continuous"])


# -- bad searchers: one sentence each, from the suite and from a real study ----------------------------------------


def changing(_searcher, told):
    told.trial.config["lr"] = 0.5


BAD = {
    "text": (
        "suggest",
        lambda *_: "lr=1",
        "answered 'lr=1'; the interface asks for a mapping path -> value",
    ),
    "outside": ("suggest", lambda *_: {"lr": 2.0, "momentum": 0.1}, "configurations of the space: lr: 2.0 is not in"),
    "missing": ("suggest", lambda *_: {"lr": 0.1}, "configurations of the space: momentum: missing"),
    "nothing": ("suggest", lambda *_: {}, "configurations of the space: lr: missing"),
    "objects": ("suggest", lambda *_: {"lr": [0.1], "momentum": 0.1}, "plain values: bool, int, float, str or None"),
    "raises": ("suggest", lambda *_: {}["gone"], r"suggest raised KeyError: 'gone' \(.*contract.py, line \d+\)"),
    "None": ("suggest", lambda *_: None, "answered None; the interface asks for a mapping path -> value, NOT_READY"),
    "on_submitted raises": ("on_submitted", lambda *_: {}["gone"], r"on_submitted raised KeyError: 'gone'"),
    "on_evaluation raises": ("on_evaluation", lambda *_: {}["gone"], r"on_evaluation raised KeyError: 'gone'"),
    "on_state raises": ("on_state", lambda *_: {}["gone"], r"on_state raised KeyError: 'gone'"),
}
ONLY_THE_SUITE = {
    "exhausted at once": (
        "suggest",
        lambda *_: EXHAUSTED,
        "EXHAUSTED after 0 of endlessly many configurations",
    ),
    "on_submitted changes": ("on_submitted", changing, "on_submitted changed the configuration that it was given"),
    "on_evaluation changes": ("on_evaluation", changing, "on_evaluation changed the configuration that it was given"),
    "on_evaluation answers": (
        "on_evaluation",
        lambda *_: 1,
        "answered 1; the interface asks for no answer",
    ),
}


@pytest.mark.parametrize(("method", "answer", "told"), [*BAD.values(), *ONLY_THE_SUITE.values()])
def test_what_a_bad_searcher_does_is_one_sentence_in_the_suite(method, answer, told):
    bad = type("Bad", (RandomSearch,), {method: answer})
    with pytest.raises(ContractError, match=f"broken: Bad.*{told}") as caught:
        check_searcher(lambda space: bad(space, 0), SPACES["continuous"])
    assert "\n" not in str(caught.value)


def test_the_suite_catches_a_searcher_that_ends_before_a_finite_space_is_exhausted():
    class Short(RandomSearch):
        def suggest(self, trial_id, first_rung=0):
            return super().suggest(trial_id) if trial_id < 4 else EXHAUSTED

    with pytest.raises(ContractError, match=r"Short.suggest answered EXHAUSTED after 4 of 6 configurations"):
        check_searcher(lambda space: Short(space, 0), SPACES["finite"])


@pytest.mark.parametrize(("method", "answer", "told"), BAD.values(), ids=BAD)
def test_what_a_bad_searcher_does_ends_a_study_with_that_sentence(method, answer, told):
    bad = type("Bad", (RandomSearch,), {method: answer})
    outcome = simulate(
        lambda trials: FIFO(trials, 2), lambda i, _c, _r: float(i), searcher=bad, space=SPACES["continuous"]
    )
    assert outcome.end.state == "failed"
    assert re.search(f"^Bad.{told}" if "raise" in told else told, outcome.end.reason)
