"""Gaussian-process search and Hyper-Tune: pairing, resuming, fits, resources, weights."""

from __future__ import annotations

import math

import numpy as np
import pytest
from components import SPACES
from heard import reached
from hypothesis import given, settings
from hypothesis import strategies as st

from hpo_pipeline.errors import ConfigError
from hpo_pipeline.searcher import Suggestion, hypertune
from hpo_pipeline.searcher.gaussian_process import Factor, Kernel, Posterior
from hpo_pipeline.searcher.gp import GPSearch, Heard
from hpo_pipeline.searcher.hypertune import Ensemble, HyperTune, share_of_pairs, weights
from hpo_pipeline.searcher.observations import Observations
from hpo_pipeline.seeding import generator
from hpo_pipeline.space import SearchSpace
from hpo_pipeline.space.unit_cube import UnitCube
from hpo_pipeline.testing import check_searcher
from hpo_pipeline.trial import Job, Trial

SQUARE = SearchSpace.parse({axis: {"type": "float", "low": 0.0, "high": 1.0} for axis in ("x", "y")})
SEARCHERS = [
    lambda space, seed: GPSearch(space, seed, n_startup=4, uniform=0.0),
    lambda space, seed: HyperTune(space, seed, brackets=2, n_startup=4, uniform=0.0),
]


def bowl(config):
    return (config["x"] - 0.3) ** 2 + (config["y"] - 0.8) ** 2


def began(searcher, n, score=bowl, resource=1):
    """`n` trials that the searcher suggests, each evaluated before the next; what was suggested."""
    suggested = []
    for trial_id in range(n):
        suggestion = searcher.suggest(trial_id)
        suggested.append(suggestion)
        job = Job(Trial(trial_id, suggestion.config), resource)
        searcher.on_submitted(job)
        searcher.on_evaluation(reached(job, resource, score(suggestion.config)))
    return suggested


@given(st.permutations(range(12)), st.integers(0, 11))
@settings(max_examples=30, deadline=None)
def test_results_in_any_order_stay_with_their_configurations(order, n_heard):
    observed = Observations(UnitCube(SQUARE))
    rng = generator(0, "configs")
    jobs = [Job(Trial(i, SQUARE.sample(rng)), 3) for i in range(12)]
    for job in jobs:
        observed.on_submitted(job)
    for i in order[: n_heard + 1]:
        observed.on_evaluation(reached(jobs[i], 3, bowl(jobs[i].trial.config)))
    heard = Heard.of(observed)
    points = observed.points[heard.rows]
    np.testing.assert_allclose(heard.scores, (points[:, 0] - 0.3) ** 2 + (points[:, 1] - 0.8) ** 2)
    assert heard.best_rows()[0] == min(order[: n_heard + 1], key=lambda i: bowl(jobs[i].trial.config))


def test_features_are_told_apart_by_their_dimension():
    cube = UnitCube(SPACES["conditional"])
    # the optimizer is one dimension of two features; lr and momentum of sgd, lr of adam
    assert cube.feature_dimensions.tolist() == [0, 0, 1, 2, 3]
    assert cube.features(cube.uniform(generator(0), 3)).shape == (3, 5)


def test_it_finds_the_bottom_of_a_bowl():
    found = began(GPSearch(SQUARE, 0, n_startup=5, uniform=0.0), 20)
    assert min(bowl(suggestion.config) for suggestion in found) < 1e-4
    assert found[0].origin == "uniform"
    assert found[-1].origin.startswith("Gaussian process, near trial ")


@pytest.mark.parametrize("make", SEARCHERS)
def test_a_study_resumed_in_the_middle_goes_on_the_same_and_fits_nothing_on_the_way(make, monkeypatch):
    from hpo_pipeline.searcher import surrogate

    whole = began(make(SQUARE, 1), 18)
    fits = []
    fitted = surrogate.fitted
    monkeypatch.setattr(surrogate, "fitted", lambda *arguments: fits.append(1) or fitted(*arguments))
    resumed = make(SQUARE, 1)
    for trial_id, suggestion in enumerate(whole[:14]):
        job = Job(Trial(trial_id, suggestion.config), 1)
        resumed.on_submitted(job)
        resumed.on_evaluation(reached(job, 1, bowl(suggestion.config)))
    assert fits == []
    for trial_id in range(14, 18):
        suggestion = resumed.suggest(trial_id)
        assert suggestion == whole[trial_id]
        job = Job(Trial(trial_id, suggestion.config), 1)
        resumed.on_submitted(job)
        resumed.on_evaluation(reached(job, 1, bowl(suggestion.config)))
    assert len(fits) == 5  # at 5, 7, 9, 12 and 16 evaluations


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
@pytest.mark.parametrize("make", SEARCHERS)
def test_they_keep_the_contract_where_no_trial_is_uniform(make, space):
    check_searcher(lambda space: make(space, 0), space)


@pytest.mark.parametrize("make", SEARCHERS)
@pytest.mark.parametrize("score", [math.nan, 1.0])
def test_trials_that_are_all_alike_break_nothing(make, score):
    found = began(make(SQUARE, 0), 12, lambda _config: score)
    assert len({tuple(suggestion.config.values()) for suggestion in found}) == 12


@pytest.mark.parametrize("make", SEARCHERS)
def test_two_proposals_with_nothing_heard_between_them_lie_apart(make):
    searcher = make(SQUARE, 0)
    began(searcher, 8)
    first = searcher.suggest(8)
    searcher.on_submitted(Job(Trial(8, first.config), 1))
    second = searcher.suggest(9)
    assert math.dist(first.config.values(), second.config.values()) > 0.02


@pytest.mark.parametrize("make", SEARCHERS)
def test_forty_dimensions_one_dimension_and_none_with_an_order(make):
    wide = {f"x{i}": {"type": "float", "low": 0.0, "high": 1.0} for i in range(40)}
    names = {f"c{i}": {"type": "choice", "choices": ["a", "b", "c"]} for i in range(4)}
    for tree in (wide, {"x0": wide["x0"]}, names):
        space = SearchSpace.parse(tree)
        found = began(make(space, 0), 8, lambda config: float(len(set(config.values()))))
        assert all(space.contains(suggestion.config) == [] for suggestion in found)


def test_the_improvement_is_that_at_the_highest_resource_with_three_evaluations():
    def at(*resources):
        n = len(resources)
        return Heard(np.arange(n), np.array(resources), np.zeros(n)).top(3)

    assert at(1, 1, 1, 3, 3, 9) == 1
    assert at(1, 1, 1, 3, 3, 3, 9) == 3
    assert at(1, 9) == 1


def test_what_is_best_at_the_top_outweighs_what_was_best_below():
    """Configurations to the left are better after one epoch, those to the right after nine."""
    searcher = GPSearch(SQUARE, 0, n_startup=4, uniform=0.0)
    rng = generator(0, "configs")
    jobs = [Job(Trial(i, SQUARE.sample(rng)), 1) for i in range(24)]
    for job in jobs:
        searcher.on_submitted(job)
        searcher.on_evaluation(reached(job, 1, job.trial.config["x"]))
    assert searcher.suggest(24).config["x"] < 0.2
    for job in jobs:
        on = Job(job.trial, 9, rung=2)
        searcher.on_submitted(on)
        searcher.on_evaluation(reached(on, 9, -job.trial.config["x"]))
    assert searcher.suggest(24).config["x"] > 0.8


# -- Hyper-Tune ----------------------------------------------------------------------------------------------------


def test_pairs_in_the_right_order_are_counted():
    # of (0, 1), (0, 2), (1, 2) the second is wrong
    assert share_of_pairs(np.array([2.0, 3.0, 1.0]), np.array([1.0, 5.0, 2.0])) == pytest.approx(2 / 3)
    # a tie of the model is no right order; a tie of the targets is no pair
    assert share_of_pairs(np.array([1.0, 1.0, 2.0]), np.array([1.0, 2.0, 2.0])) == pytest.approx(1 / 2)
    assert share_of_pairs(np.ones(3), np.ones(3)) == 0


class Straight:
    """A model whose mean is the first feature, times `slope`."""

    def __init__(self, slope):
        self.slope = slope

    def mean(self, inputs):
        return self.slope * np.where(inputs[:, 0] == 3, 1.5, inputs[:, 0])


def test_weights_are_cubes_of_shares():
    # Four trials in this order at the top; the models see 0, 1, 2, 1.5 and its negative: 5 of 6 pairs are right, or 1.
    features, targets = np.array([[0.0], [1.0], [2.0], [3.0]]), np.arange(4.0)
    found = weights({1: Straight(1), 3: Straight(-1)}, 9, features, targets)
    assert found == pytest.approx({1: 125 / 126, 3: 1 / 126})
    # Where nothing is right, all are equal.
    assert weights({1: Straight(1), 3: Straight(1)}, 9, features, np.ones(4)) == {1: 0.5, 3: 0.5}


def test_the_top_has_no_weight_below_ten_evaluations():
    kernel = Kernel(np.array([0]))
    inputs = np.column_stack([np.linspace(0, 1, 10), np.zeros(10)])
    targets = np.linspace(-1, 1, 10)
    top = Posterior.of(Factor.of(kernel, kernel.prior[0], inputs), targets)
    below = Straight(1)
    assert weights({1: below, 3: top}, 3, inputs[:9, :1], targets[:9])[3] == 0
    assert weights({1: below, 3: top}, 3, inputs[:, :1], targets)[3] > 0.3  # 1/2 where no pair is wrong


def test_cross_validation_leaves_out_one_fold_at_a_time():
    rng = np.random.default_rng(0)
    kernel = Kernel(np.array([0, 1]))
    theta = kernel.prior[0] + 0.3 * rng.standard_normal(5)
    inputs, targets = np.column_stack([rng.random((13, 2)), np.zeros(13)]), rng.standard_normal(13)
    predicted, same = Posterior.of(Factor.of(kernel, theta, inputs), targets).cross_validated(5)
    np.testing.assert_allclose(same, targets)
    for fold in range(5):
        out = np.arange(13) % 5 == fold
        others = Posterior.of(Factor.of(kernel, theta, inputs[~out]), targets[~out])
        np.testing.assert_allclose(predicted[out], others.mean(inputs[out]), rtol=1e-5, atol=1e-8)


def test_an_ensemble_adds_means_and_variances():
    kernel = Kernel(np.array([0]))
    rng = np.random.default_rng(1)
    models = {}
    for resource in (1, 3):
        inputs = np.column_stack([rng.random(6), np.full(6, math.log(resource))])
        models[resource] = Posterior.of(Factor.of(kernel, kernel.prior[0], inputs), rng.standard_normal(6))
    features = rng.random((4, 1))
    means, deviations = Ensemble(models, {1: 0.25, 3: 0.75}).predict(features)
    low = models[1].predict(np.column_stack([features, np.zeros(4)]))
    high = models[3].predict(np.column_stack([features, np.full(4, math.log(3))]))
    np.testing.assert_allclose(means, 0.25 * low[0] + 0.75 * high[0])
    np.testing.assert_allclose(deviations**2, 0.0625 * low[1] ** 2 + 0.5625 * high[1] ** 2)


def test_trials_begin_where_evaluations_are_worth_what_they_cost(monkeypatch):
    """With weights 1/4 and 3/4 at resources 1 and 3, both rungs are drawn equally often: 1/4 / 1 and 3/4 / 3."""
    searcher = HyperTune(SQUARE, 0, brackets=2, n_startup=4)
    began(searcher, 6)
    monkeypatch.setattr(hypertune, "weights", lambda *_arguments: {1: 0.25, 3: 0.75})
    monkeypatch.setattr(HyperTune, "_ranked", lambda *_arguments: None)
    rungs = [searcher.suggest(trial_id).first_rung for trial_id in range(6, 206)]
    assert set(rungs) == {0, 1}
    assert 75 < sum(rungs) < 125  # four standard deviations of a fair coin are 28


def test_models_are_judged_by_the_newest_300_of_the_top(monkeypatch):
    searcher = HyperTune(SQUARE, 0)
    n = hypertune.MOST_EVALUATIONS + 5
    heard = Heard(np.arange(n), np.ones(n, dtype=int), np.arange(n, dtype=float))
    searcher.observed.resources = [1]
    judged = []
    monkeypatch.setattr(hypertune.Surrogate, "given", lambda *_arguments: Straight(1))
    monkeypatch.setattr(hypertune, "weights", lambda _models, _top, features, _targets: judged.append(features))
    searcher._model(heard, np.arange(n, dtype=float)[:, None])
    assert judged[0][:, 0].tolist() == list(range(5, n))


def test_a_rung_that_had_few_trials_is_not_given_up():
    """4 trials at resource 1 have no model, and so no weight: were it for those alone, no other would begin there."""
    searcher = HyperTune(SQUARE, 0, brackets=2, n_startup=4)
    for trial_id, resource in enumerate([1] * 4 + [3] * 12):
        job = Job(Trial(trial_id, searcher.suggest(trial_id).config), resource)
        searcher.on_submitted(job)
        searcher.on_evaluation(reached(job, resource, bowl(job.trial.config)))
    assert [searcher.suggest(trial_id).first_rung for trial_id in range(16, 26)] == [None] * 10
    searcher.on_submitted(fifth := Job(Trial(16, {"x": 0.1, "y": 0.2}), 1))
    searcher.on_evaluation(reached(fifth, 1, bowl(fifth.trial.config)))
    assert 0 in [searcher.suggest(trial_id).first_rung for trial_id in range(17, 27)]


def test_with_one_bracket_and_while_nothing_is_known_the_scheduler_says_where_a_trial_begins():
    assert all(suggestion.first_rung is None for suggestion in began(HyperTune(SQUARE, 0, 1, n_startup=4), 8))
    assert all(suggestion.first_rung is None for suggestion in began(HyperTune(SQUARE, 0, 2, n_startup=4), 4))


def test_what_is_wrong_with_its_numbers_is_said():
    with pytest.raises(ConfigError) as caught:
        HyperTune(SQUARE, 0, brackets=0, eta=1, min_resource=0)
    assert sorted(problem.path for problem in caught.value.problems) == ["brackets", "eta", "min_resource"]
    assert isinstance(HyperTune(SQUARE, 0).suggest(0), Suggestion)
