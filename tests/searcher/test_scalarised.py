"""One score in the place of several metrics and constraints, for any searcher."""

from __future__ import annotations

import math

import numpy as np
import pytest
from components import SEARCHERS, SPACES
from hypothesis import given
from hypothesis import strategies as st

from hpo_pipeline.evaluation import Constraint, Evaluation, Metric, evaluation
from hpo_pipeline.pareto import hypervolume
from hpo_pipeline.searcher import Searcher
from hpo_pipeline.searcher.random import RandomSearch
from hpo_pipeline.searcher.scalarised import Scalarised, Scale, tchebycheff, weightings
from hpo_pipeline.searcher.trees import TreeSearch
from hpo_pipeline.space import SearchSpace
from hpo_pipeline.testing import check_searcher
from hpo_pipeline.trial import Job, State, StateChange, Trial

METRICS = [Metric("a"), Metric("b")]
BOUNDS = [Constraint("c", max=1.0)]
LEARNING = {name: make for name, make in SEARCHERS.items() if name not in ("random", "grid", "sobol")}
PLANE = SearchSpace.parse({name: {"type": "float", "low": 0.0, "high": 1.0} for name in ("x", "y", "z")})


class Listening(RandomSearch):
    """Keeps the scores that it hears."""

    def __init__(self, space: SearchSpace, seed: int) -> None:
        super().__init__(space, seed)
        self.heard: dict[int, Evaluation] = {}

    def on_evaluation(self, evaluation: Evaluation) -> None:
        self.heard[evaluation.trial.id] = evaluation


def told(searcher: Searcher, trial_id: int, **reported: float) -> None:
    """A trial that is trained once, to 1."""
    job = Job(Trial(trial_id, {"x": trial_id / 100, "y": 0.5, "z": 0.5}), 1)
    searcher.on_submitted(job)
    searcher.on_evaluation(evaluation(job, 1, reported, METRICS, BOUNDS if "c" in reported else []))
    searcher.on_state(StateChange(trial_id, State.COMPLETED))


def heard_scores(n_suggestions: int, *reports: dict[str, float]) -> list[dict[int, float]]:
    """What each of the searchers that are asked has heard of these reports, by trial."""
    made: list[Listening] = []

    def make() -> Searcher:
        made.append(Listening(PLANE, 0))
        return made[-1]

    searcher = Scalarised(make, 2, seed=0)
    for trial_id, reported in enumerate(reports):
        told(searcher, trial_id, **reported)
    for trial_id in range(n_suggestions):
        searcher.suggest(100 + trial_id)
    return [{i: e.score for i, e in each.heard.items()} for each in made if each.heard]


@pytest.mark.parametrize("make", LEARNING.values(), ids=LEARNING)
def test_whatever_it_passes_scores_on_to_it_keeps_the_contract(make):
    check_searcher(lambda space: Scalarised(lambda: make(space, 0), 1, 0), SPACES["continuous"], 14)


@pytest.mark.parametrize("n", [2, 3, 5])
def test_weights_add_up_to_one_and_are_spread(n):
    weights = weightings(n)
    assert weights.shape == (10 * (n - 1), n)
    np.testing.assert_allclose(weights.sum(axis=1), 1.0)
    assert len(np.unique(weights.round(9), axis=0)) == len(weights)
    if n == 2:  # ten points of the golden section's sequence leave no gap above 0.2
        assert np.diff(np.sort(weights[:, 0]), prepend=0.0, append=1.0).max() < 0.2


def test_the_augmented_tchebycheff_function_is_the_worst_weighted_one_and_a_little_of_all():
    assert tchebycheff(np.array([0.5, 1.0]), np.array([0.8, 0.2])) == pytest.approx(0.4 + 0.05 * 0.6)
    assert tchebycheff(np.array([2.0, 0.0]), np.array([1.0, 0.0])) == pytest.approx(2 - 1 / 2.1)


@given(st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=8, unique=True), st.floats(-1e300, 1e300))
def test_a_scale_keeps_the_order_of_scores(known, other):
    scale = Scale.of(np.array([known]).T)
    places = [scale([score])[0] for score in sorted([*known, other])]
    assert places == sorted(places)
    assert np.isfinite(places).all()


def test_half_of_the_scores_are_below_a_half():
    scale = Scale.of(np.array([[1.0, 1e6], [2.0, 1e2], [3.0, 1e4]]))
    assert scale([2.0, 1e2]).tolist() == [0.5, 0.0]
    assert scale([0.0, 1e6]).tolist() == [-0.5, 1.0]  # as far below the lowest as the median lies above


def test_every_weighting_hears_what_is_dominated_as_worse():
    for scores in heard_scores(40, {"a": 1, "b": 1}, {"a": 0, "b": 5}, {"a": 2, "b": 3}, {"a": 3, "b": 4}):
        assert scores[0] < scores[2] < scores[3]


def test_what_is_outside_the_constraints_is_worse_than_all_within_by_how_much():
    reports = [
        {"a": 9e9, "b": 9e9, "c": 1.0},
        {"a": 0, "b": 0, "c": 1.5},
        {"a": 1, "b": 0, "c": 7},
        {"a": 0, "b": 0, "c": 1},
    ]
    for scores in heard_scores(40, *reports):
        assert scores[3] < scores[0] < 2 < scores[1] < scores[2] < 3


def test_one_metric_that_is_not_finite_is_heard_as_such():
    for scores in heard_scores(20, {"a": math.nan, "b": 1}, {"a": 1, "b": 1}):
        assert scores[0] == math.inf
        assert math.isfinite(scores[1])


def test_what_it_answers_follows_from_what_was_heard_and_not_from_when_it_was_asked():
    def study(asked: bool) -> list[object]:
        searcher = Scalarised(lambda: TreeSearch(PLANE, 3, n_startup=3), 2, seed=3)
        for trial_id in range(30):
            if asked:
                searcher.suggest(trial_id)
            told(searcher, trial_id, a=float(trial_id % 7), b=float(trial_id * 5 % 11))
        return [searcher.suggest(30 + i) for i in range(5)]

    assert study(asked=True) == study(asked=False)


def test_the_origin_says_which_weights_a_proposal_was_for():
    searcher = Scalarised(lambda: TreeSearch(PLANE, 0, n_startup=2, uniform=0.0), 2, seed=0)
    for trial_id in range(4):
        told(searcher, trial_id, a=float(trial_id), b=float(-trial_id))
    answer = searcher.suggest(4)
    assert "metrics weighted 0." in getattr(answer, "origin", "")
    assert "10 weightings" in searcher.describe()


def test_trees_find_more_of_a_front_than_chance():
    """ZDT1 (Zitzler, Deb & Thiele 2000) of three variables: its front is b = 1 - √a, at y = z = 0."""

    def volume(searcher: Searcher) -> float:
        found = []
        for trial_id in range(40):
            answer = searcher.suggest(trial_id)
            config = getattr(answer, "config", answer)
            g = 1 + 9 * (config["y"] + config["z"]) / 2
            a, b = config["x"], g * (1 - math.sqrt(config["x"] / g))
            found.append([a, b])
            job = Job(Trial(trial_id, config), 1)
            searcher.on_submitted(job)
            searcher.on_evaluation(evaluation(job, 1, {"a": a, "b": b}, METRICS))
        return hypervolume(np.array(found), np.array([1.1, 10.0]))

    for seed in range(3):
        learned = volume(Scalarised(lambda seed=seed: TreeSearch(PLANE, seed), 2, seed))
        assert learned > volume(RandomSearch(PLANE, seed))
