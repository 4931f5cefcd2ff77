"""Differential evolution: a generation by hand, its selection, and whose children are whose."""

import numpy as np
import pytest
from heard import evaluated, failed, reached

from hpo_pipeline.errors import ConfigError
from hpo_pipeline.searcher.de import DifferentialEvolution, Population, trial_vectors
from hpo_pipeline.space import SearchSpace
from hpo_pipeline.trial import Job, Trial

LINE = SearchSpace.parse({"x": {"type": "float", "low": 0.0, "high": 1.0}})
SQUARE = SearchSpace.parse({name: {"type": "float", "low": 0.0, "high": 1.0} for name in "xy"})


class Fixed:
    """A generator whose draws are given."""

    def __init__(self, *uniforms, integers=()):
        self.uniforms, self.given = list(uniforms), list(integers)

    def random(self, shape):
        return np.broadcast_to(np.array(self.uniforms.pop(0), dtype=float), shape)

    def integers(self, _high, size):
        return np.array(self.given[:size])


def test_rand_1_bin_by_hand():
    parents = np.array([[0.1, 0.2, 0.3], [0.5, 0.6, 0.7], [0.9, 0.8, 0.1]])
    target = np.array([0.25, 0.35, 0.45])
    # The order of the first draws makes parents 2, 0 and 1 a, b and c: the mutant is
    # (0.9, 0.8, 0.1) + 0.5 * ((0.1, 0.2, 0.3) - (0.5, 0.6, 0.7)) = (0.7, 0.6, -0.1),
    # whose last coordinate is drawn anew: 0.13. Of the crossover's draws only 0.4 is below 0.5, and the last coordinate
    # is the one that always comes from the mutant.
    rng = Fixed([[0.5, 0.9, 0.1]], [[0.11, 0.12, 0.13]], [[0.4, 0.9, 0.9]], integers=[2])
    child = trial_vectors(rng, target, parents, 1, mutation=0.5, crossover=0.5)
    np.testing.assert_allclose(child, [[0.7, 0.35, 0.13]])


def test_without_crossover_a_child_differs_in_one_coordinate():
    rng = np.random.default_rng(0)
    children = trial_vectors(rng, np.full(5, 0.5), rng.random((6, 5)), 100, mutation=0.5, crossover=0.0)
    assert ((children != 0.5).sum(axis=1) == 1).all()


def test_parents_are_three_different_ones():
    children = trial_vectors(np.random.default_rng(0), np.zeros(1), np.array([[0.4], [0.5], [0.7]]), 200, 0.5, 1.0)
    by_hand = {a + 0.5 * (b - c) for a, b, c in [(4, 5, 7), (4, 7, 5), (5, 4, 7), (5, 7, 4), (7, 4, 5), (7, 5, 4)]}
    assert {round(10 * child, 6) for child in children[:, 0]} == by_hand


def test_a_child_takes_its_targets_place_if_it_is_no_worse():
    population = Population(2)
    population.take(0.5, 0, 0)
    population.take(0.4, 1, 1)
    population.take(0.6, 2, 0)
    assert population.ranked() == [1, 0]
    population.take(0.5, 3, 0)
    assert population.ranked() == [1, 3]


def test_a_trial_from_below_takes_a_free_place_or_that_of_the_worst_if_it_is_better():
    population = Population(2)
    population.take(0.5, 0, 1)
    population.take(0.4, 1, None)
    assert population.members == {1: (0.5, 0), 0: (0.4, 1)}
    population.take(0.6, 2, None)
    assert population.ranked() == [1, 0]
    population.take(0.45, 3, None)
    assert population.members == {1: (0.45, 3), 0: (0.4, 1)}


def submitted(searcher, trial_id, point, resource=1):
    job = Job(Trial(trial_id, dict(zip("xy", point, strict=False))), resource)
    searcher.on_submitted(job)
    return job


def test_children_have_the_places_in_turn():
    searcher = DifferentialEvolution(SQUARE, seed=0, population=4)
    for trial_id in range(4):
        job = submitted(searcher, trial_id, (0.2 * trial_id, 0.1))
        searcher.on_evaluation(reached(job, 1, 1.0 - trial_id / 10))
    origins = []
    for trial_id in range(4, 9):
        suggestion = searcher.suggest(trial_id)
        origins.append(suggestion.origin)
        job = submitted(searcher, trial_id, suggestion.config.values())
        if trial_id == 4:
            searcher.on_evaluation(reached(job, 1, 0.0))  # takes the place of trial 0
    assert origins == [f"de, child of trial {target}" for target in (0, 1, 2, 3, 4)]


def test_a_failed_trial_and_one_that_diverged_have_no_place():
    searcher = DifferentialEvolution(SQUARE, seed=0, population=4)
    jobs = [submitted(searcher, trial_id, (0.1 * trial_id, 0.1)) for trial_id in range(6)]
    searcher.on_evaluation(failed(jobs[0]))
    searcher.on_evaluation(reached(jobs[1], 1, float("nan")))
    for job in jobs[2:5]:
        searcher.on_evaluation(reached(job, 1, 0.5))
    assert searcher.suggest(6).origin == "uniform"  # three members only
    searcher.on_evaluation(reached(jobs[5], 1, 0.4))
    assert searcher.suggest(6).origin.startswith("de, child of trial")


def test_where_a_resource_has_too_few_its_parents_come_from_the_one_below():
    """Trial 9 begins at 3 epochs, where nothing is but trial 0; all its coordinates lie between those of rung 0."""
    searcher = DifferentialEvolution(LINE, seed=0, population=4, crossover=1.0)
    for trial_id in range(8):
        job = submitted(searcher, trial_id, (0.4 + trial_id / 100,))
        searcher.on_evaluation(reached(job, 1, trial_id / 10))
    job = submitted(searcher, 0, (0.4,), resource=3)
    searcher.on_evaluation(reached(job, 3, 0.1))
    suggestion = searcher.suggest(9, first_rung=1)
    assert suggestion.origin == "de, child of trial 0"
    # The best of below are 0.40 to 0.43: a + (b - c) / 2 lies within 0.015 of them.
    assert 0.385 <= suggestion.config["x"] <= 0.445


def test_a_trial_that_came_up_is_compared_at_each_resource_with_those_there():
    searcher = DifferentialEvolution(SQUARE, seed=0, population=4)
    for trial_id in range(4):
        evaluated_at = submitted(searcher, trial_id, (0.2 * trial_id, 0.1))
        searcher.on_evaluation(reached(evaluated_at, 1, 0.5))
    up = submitted(searcher, 0, (0.0, 0.1), resource=3)
    searcher.on_evaluation(reached(up, 3, 0.3))
    assert searcher.suggest(4, first_rung=1).origin == "de, child of trial 0"


def test_stopped_on_its_way_a_trial_counts_where_it_began():
    searcher = DifferentialEvolution(SQUARE, seed=0, population=4)
    for trial_id in range(4):
        job = Job(Trial(trial_id, {"x": 0.1 * trial_id, "y": 0.5}), 9, milestones=(1, 3))
        searcher.on_submitted(job)
        searcher.on_evaluation(reached(job, 1, 0.5))
    assert searcher.suggest(4).origin == "de, child of trial 0"


def test_after_as_many_as_the_population_the_first_child_comes():
    searcher = DifferentialEvolution(SQUARE, seed=0)
    for trial_id in range(11):
        suggestion = searcher.suggest(trial_id)
        assert (suggestion.origin == "uniform") == (trial_id < 10)
        searcher.on_submitted(Job(Trial(trial_id, suggestion.config), 1))
        evaluated(searcher, trial_id, suggestion.config, 1, 0.5)


def test_wrong_numbers_are_named():
    with pytest.raises(ConfigError) as caught:
        DifferentialEvolution(LINE, 0, population=3, mutation=0, crossover=1.5)
    assert [problem.path for problem in caught.value.problems] == ["population", "mutation", "crossover"]
