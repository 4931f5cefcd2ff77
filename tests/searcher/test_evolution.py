"""Regularized evolution: who is alive, who wins, and what a child differs in."""

import numpy as np
import pytest
from heard import failed, reached

from hpo_pipeline.errors import ConfigError
from hpo_pipeline.searcher.evolution import RegularizedEvolution, mutated, reflected
from hpo_pipeline.space import SearchSpace
from hpo_pipeline.space.unit_cube import UnitCube
from hpo_pipeline.trial import Job, Trial

LINE = SearchSpace.parse({"x": {"type": "float", "low": 0.0, "high": 1.0}})
MIXED = SearchSpace.parse(
    {
        "lr": {"type": "float", "low": 1e-5, "high": 1.0, "log": True},
        "layers": {"type": "int", "low": 1, "high": 4},
        "optimizer": {
            "type": "choice",
            "choices": {"sgd": {"momentum": {"type": "float", "low": 0.0, "high": 0.99}}, "adam": None, "lion": None},
        },
    }
)


def evolved(scores, **keys):
    """A searcher that has heard of trials 0, 1, … in this order, with these scores (None: failed)."""
    searcher = RegularizedEvolution(LINE, 0, **keys)
    for trial_id, score in enumerate(scores):
        job = Job(Trial(trial_id, {"x": (trial_id + 0.5) / len(scores)}), 1)
        searcher.on_submitted(job)
        searcher.on_evaluation(failed(job) if score is None else reached(job, 1, score))
    return searcher


def test_the_oldest_die_however_good_they_are():
    scores = [0.1, 0.2, 0.9, 0.8, 0.7]
    whole = {"sample": 3, "population": 3, "n_startup": 1}
    assert evolved(scores, **whole).suggest(5).origin == "evolution, child of trial 4"
    assert evolved(scores[:3], **whole).suggest(3).origin == "evolution, child of trial 0"
    assert evolved(scores[:4], **whole).suggest(4).origin == "evolution, child of trial 1"


def test_the_best_of_a_sample_has_the_child():
    """Of 4 alive, 2 are drawn: the worst never wins, the best in half of the pairs (3 of 6), the others in 2 and 1."""
    searcher = evolved([0.1, 0.2, 0.3, 0.4], sample=2, population=4, n_startup=1)
    origins = [searcher.suggest(trial_id).origin for trial_id in range(4, 1204)]
    counts = [origins.count(f"evolution, child of trial {parent}") for parent in range(4)]
    assert counts[3] == 0
    np.testing.assert_allclose(counts[:3], [600, 400, 200], atol=5 * np.sqrt(1200) / 2)


def test_failed_trials_are_alive_and_never_win():
    assert (
        evolved([None, 0.5, None], sample=3, population=3, n_startup=1).suggest(3).origin
        == "evolution, child of trial 1"
    )
    assert evolved([None] * 3, sample=3, population=3, n_startup=1).suggest(3).origin == "uniform"


def test_one_hyperparameter_changes_and_what_comes_to_exist_is_uniform():
    cube = UnitCube(MIXED)
    parent = {"lr": 0.01, "layers": 4, "optimizer": "adam"}
    children = [cube.config(point) for point in mutated(cube, cube.point(parent), np.random.default_rng(0), 600)]
    assert all(MIXED.contains(child) == [] for child in children)
    changed = [[path for path in parent if child[path] != pytest.approx(parent[path])] for child in children]
    assert {tuple(paths) for paths in changed} == {("lr",), ("layers",), ("optimizer",)}
    np.testing.assert_allclose([changed.count([path]) for path in parent], 200, atol=60)
    momenta = [child["optimizer.momentum"] for child in children if child["optimizer"] == "sgd"]
    assert 60 <= len(momenta) <= 140  # one of two other choices, in a third of the children
    assert min(momenta) < 0.15 < 0.84 < max(momenta)


def test_a_number_of_few_values_moves_to_another_one():
    cube = UnitCube(SearchSpace.parse({"n": {"type": "int", "low": 1, "high": 4}}))
    children = mutated(cube, cube.point({"n": 4}), np.random.default_rng(0), 300)
    values = [cube.config(point)["n"] for point in children]
    assert set(values) <= {1, 2, 3}
    assert values.count(3) > 250  # steps are short: mostly the neighbour


def test_reflection_by_hand():
    np.testing.assert_allclose(reflected(np.array([-0.2, 0.3, 1.25, 2.1, -1.4])), [0.2, 0.3, 0.75, 0.1, 0.6])


def test_wrong_numbers_are_named():
    with pytest.raises(ConfigError, match="sample: must be at most the population \\(4\\), got 5"):
        RegularizedEvolution(LINE, 0, population=4, sample=5)
    with pytest.raises(ConfigError, match="population: must be an integer of at least 1"):
        RegularizedEvolution(LINE, 0, population=0)
