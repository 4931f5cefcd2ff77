"""CMA-ES: what the distribution is told, and when."""

import importlib.util

import numpy as np
import pytest
from heard import failed, reached

from hpo_pipeline.errors import ConfigError
from hpo_pipeline.searcher.cmaes import CMAES
from hpo_pipeline.searcher.earlier import ENOUGH, EarlierStudy, EarlierTrial
from hpo_pipeline.space import SearchSpace
from hpo_pipeline.trial import Job, Trial

SQUARE = SearchSpace.parse({name: {"type": "float", "low": 0.0, "high": 1.0} for name in "xy"})


def hear(searcher, trial_id, config, score, resource=1):
    job = Job(Trial(trial_id, config), resource)
    searcher.on_submitted(job)
    searcher.on_evaluation(failed(job) if score is None else reached(job, resource, score))


def test_the_distribution_is_that_of_the_package_told_the_same():
    from cmaes import CMA

    rng = np.random.default_rng(0)
    points, scores = rng.random((12, 2)), rng.random(12)
    searcher = CMAES(SQUARE, 0, population=6, sigma=0.2)
    for trial_id, (point, score) in enumerate(zip(points, scores, strict=True)):
        hear(searcher, trial_id, dict(zip("xy", point.tolist(), strict=True)), float(score))
    origin = searcher.suggest(12).origin

    expected = CMA(np.array([0.5, 0.5]), 0.2, population_size=6)
    expected.tell(list(zip(points[:6], scores[:6], strict=True)))
    expected.tell(list(zip(points[6:], scores[6:], strict=True)))
    assert origin == "cmaes, generation 2"
    np.testing.assert_allclose(searcher._optimizer.mean, expected.mean)
    expected.reseed_rng(5)
    searcher._optimizer.reseed_rng(5)
    np.testing.assert_allclose(searcher._optimizer.ask(), expected.ask())


def test_a_generation_is_complete_when_enough_were_evaluated_whoever_they_are():
    searcher = CMAES(SQUARE, 0, population=4)
    generations = []
    for trial_id in range(9):
        suggestion = searcher.suggest(trial_id)
        generations.append(suggestion.origin)
        searcher.on_submitted(Job(Trial(trial_id, suggestion.config), 1))
        for done in [trial_id] if trial_id != 3 else []:  # trial 3 stays at work
            searcher.on_evaluation(reached(Job(Trial(done, suggestion.config), 1), 1, 0.1 * done))
    assert generations == ["uniform", *["cmaes, generation 0"] * 4, *["cmaes, generation 1"] * 4]


def test_failed_trials_are_the_worst_and_scores_of_different_resources_are_ranked_apart():
    searcher = CMAES(SQUARE, 0, population=4)
    heard = [(0.9, 1), (0.5, 1), (None, 1), (30.0, 3), (20.0, 3)]
    for trial_id, (score, resource) in enumerate(heard):
        hear(searcher, trial_id, {"x": 0.1 * trial_id, "y": 0.5}, score, resource)
    np.testing.assert_allclose(searcher._ranks([0, 1]), [1 / 2, 0])  # what came later plays no part
    # At 1: 0.5 < 0.9 < failed; at 3: 20 < 30. So two of the three at 1 are better than the failed one.
    np.testing.assert_allclose(searcher._ranks([2, 3, 4]), [2 / 3, 1 / 2, 0])


def test_what_is_told_of_values_in_steps_means_the_same_configuration():
    space = SearchSpace.parse(
        {
            "n": {"type": "int", "low": 1, "high": 3},
            "optimizer": {
                "type": "choice",
                "choices": {"sgd": {"momentum": {"type": "float", "low": 0.0, "high": 1.0}}, "adam": None},
            },
            "x": {"type": "float", "low": 0.0, "high": 1.0},
        }
    )
    searcher = CMAES(space, 0, population=4)
    told = []
    for trial_id in range(60):
        config = {"n": 1 + trial_id % 3, "optimizer": "adam", "x": trial_id / 60}
        hear(searcher, trial_id, config, 0.5)
        searcher.suggest(trial_id + 1)
        told.append(searcher._as_drawn(searcher._optimizer, trial_id))
        assert searcher.cube.config(searcher.cube.canonical(told[-1][None, :])[0]) == pytest.approx(config)
    assert len({round(point[0], 6) for point in told}) > 10  # anywhere within the cells, not their middles alone
    assert len({round(point[2], 6) for point in told}) > 30  # the momentum that adam hasn't is as it is drawn


def test_no_value_in_steps_is_given_up():
    """After many generations that liked 1 alone, another one still comes, by the margin."""
    space = SearchSpace.parse({"n": {"type": "int", "low": 1, "high": 8}, "x": {"type": "float", "low": 0, "high": 1}})
    searcher = CMAES(space, 0, population=4)
    rng = np.random.default_rng(0)
    for trial_id in range(200):
        hear(searcher, trial_id, {"n": 1, "x": float(rng.random())}, float(rng.random()))
    proposed = {searcher.suggest(trial_id).config["n"] for trial_id in range(200, 300)}
    assert 1 in proposed
    assert proposed - {1}


def test_a_resumed_study_tells_the_package_nothing_until_it_is_asked():
    whole, resumed = (CMAES(SQUARE, 3, population=4) for _ in range(2))
    heard = []
    for trial_id in range(30):
        config = whole.suggest(trial_id).config
        score = (config["x"] - 0.3) ** 2 + config["y"]
        heard.append((trial_id, config, score))
        hear(whole, trial_id, config, score)
    for one in heard:
        hear(resumed, *one)
    assert resumed._optimizer is None
    assert resumed.suggest(30) == whole.suggest(30)


def test_after_an_earlier_study_it_begins_at_the_best_there():
    from cmaes import CMA

    searcher = CMAES(SQUARE, 0, population=4)
    there = [EarlierTrial(i, {"x": i / 10, "y": 0.5}, abs(i / 10 - 0.3)) for i in range(10)]
    searcher.begin_with([EarlierStudy("a", there).within(SQUARE)[0]])
    for trial_id in range(ENOUGH + 4):
        config = searcher.suggest(trial_id).config
        hear(searcher, trial_id, config, abs(config["x"] - 0.3))
        if trial_id == ENOUGH - 1:
            searcher.suggest(ENOUGH)
            np.testing.assert_allclose(searcher._optimizer.mean, [0.3, 0.5])
    own = searcher.observed.points[[searcher.observed.ids.index(ENOUGH + i) for i in range(4)]]
    expected = CMA(np.array([0.3, 0.5]), 0.15, population_size=4)
    expected.tell(list(zip(own, np.abs(own[:, 0] - 0.3), strict=True)))
    searcher.suggest(ENOUGH + 4)
    np.testing.assert_allclose(searcher._optimizer.mean, expected.mean)


def test_without_the_package_the_extra_is_named(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "cmaes" else find(name))
    with pytest.raises(ConfigError, match=r"_target_: .*pip install 'hpo_pipeline\[cmaes\]'"):
        CMAES(SQUARE, 0)


def test_wrong_numbers_are_named():
    with pytest.raises(ConfigError) as caught:
        CMAES(SQUARE, 0, population=3, sigma=0)
    assert [problem.path for problem in caught.value.problems] == ["population", "sigma"]
