"""One-tree Thompson sampling: targets, candidates and the rule of distance by hand; resumes, odd spaces."""

import math

import numpy as np
import pytest
from components import SPACES
from heard import failed, new_trials, reached

from hpo_pipeline.budget import Budget
from hpo_pipeline.errors import ConfigError
from hpo_pipeline.scheduler.asha import ASHA
from hpo_pipeline.searcher import trees
from hpo_pipeline.searcher.earlier import ENOUGH, EarlierStudy, EarlierTrial
from hpo_pipeline.searcher.trees import TreeSearch
from hpo_pipeline.searcher.trial_generator import TrialGenerator
from hpo_pipeline.simulation import simulate
from hpo_pipeline.space import SearchSpace
from hpo_pipeline.trial import Job, Trial


def cube(dim):
    return SearchSpace.parse({f"x{i}": {"type": "float", "low": 0.0, "high": 1.0} for i in range(dim)})


def hear(searcher, trial_id, config, score, resource=1):
    job = Job(Trial(trial_id, config), resource)
    searcher.on_submitted(job)
    searcher.on_evaluation(failed(job) if score is None else reached(job, resource, score))


def test_changes_of_a_choice_reach_every_option_with_its_own_hyperparameters():
    space = SPACES["conditional"]
    searcher, rng = TreeSearch(space, 0), np.random.default_rng(0)
    parent = searcher.cube.point(space.midpoint({"optimizer": "sgd"}))
    configs = [searcher.cube.config(point) for point in searcher._changed(parent[None, :], rng)]
    assert all(space.contains(config) == [] for config in configs)
    assert len({tuple(config) for config in configs}) == 2
    adam = [config for config in configs if len(config) == min(map(len, configs))]
    assert len({tuple(config.values()) for config in adam}) == len(adam)  # drawn, not the middle of the range


@pytest.mark.parametrize("name", ["finite", "constrained"])
def test_a_finite_space_is_gone_through_once_each(name):
    space = SPACES[name]
    searcher = TreeSearch(space, 0, n_startup=2, uniform=0.0)
    seen = set()
    for i in range(space.size):
        config = searcher.suggest(i).config
        assert space.contains(config) == []
        seen.add(space.key(config))
        hear(searcher, i, config, float(i % 3))
    assert len(seen) == space.size


def test_it_goes_to_where_results_are_good():
    space = cube(2)
    searcher = TreeSearch(space, 0, uniform=0.0)
    configs = []
    for i in range(60):
        configs.append(searcher.suggest(i).config)
        hear(searcher, i, configs[-1], (configs[-1]["x0"] - 0.8) ** 2 + (configs[-1]["x1"] - 0.2) ** 2)
    late = np.array([list(config.values()) for config in configs[30:]])
    # Of uniform points a share of 0.16 lies in that square.
    assert (np.abs(late - [0.8, 0.2]).max(axis=1) < 0.2).mean() > 0.5


def test_origins_name_a_trial_or_say_uniform():
    searcher = TreeSearch(cube(1), 0, n_startup=2, uniform=0.0)
    assert searcher.suggest(0).origin == "uniform"
    hear(searcher, 0, {"x0": 0.2}, 1.0)
    hear(searcher, 7, {"x0": 0.9}, 2.0)
    suggestion = searcher.suggest(8)
    nearest = 0 if suggestion.config["x0"] < 0.55 else 7
    assert suggestion.origin == f"tree, near trial {nearest}"


def test_a_resumed_study_goes_on_as_if_it_had_never_ended_and_grows_no_tree_in_the_replay(monkeypatch):
    def study(cuts):
        grown = []
        lowest_leaves = trees.lowest_leaves
        monkeypatch.setattr(trees, "lowest_leaves", lambda *a: grown.append(1) or lowest_leaves(*a))
        outcome = simulate(
            lambda trials: ASHA(trials, 3, 1, 9),
            lambda _id, config, resource: sum(config.values()) + 1 / resource,
            budget=Budget(n_trials=40),
            searcher=lambda space, seed: TreeSearch(space, seed, n_startup=5),
            space=cube(3),
            interrupt_after=cuts,
        )
        monkeypatch.undo()
        return outcome, len(grown)

    (whole, n_whole), (pieces, n_pieces) = study(()), study((31, 17))
    assert whole.suggested() == pieces.suggested()
    assert n_whole <= n_pieces <= n_whole + 2  # at a cut, a suggestion may be made again that was not recorded


@pytest.mark.parametrize("dim", [1, 40])
def test_ties_not_a_number_and_failures_are_no_obstacle(dim):
    space = cube(dim)
    searcher = TreeSearch(space, 0, n_startup=3)
    for i, score in enumerate([1.0] * 20 + [math.nan, math.inf, None, 1.0]):
        config = searcher.suggest(i).config
        assert space.contains(config) == []
        hear(searcher, i, config, score)
    assert space.contains(searcher.suggest(24).config) == []


def test_with_nothing_but_failures_it_still_proposes():
    searcher = TreeSearch(cube(2), 0, n_startup=2, uniform=0.0)
    for i in range(5):
        hear(searcher, i, searcher.suggest(i).config, None)
    assert searcher.suggest(5).origin.startswith("tree")


def test_constants_alone_are_one_configuration():
    space = SearchSpace.parse({"x": 1})
    assert new_trials(TrialGenerator(TreeSearch(space, 0, n_startup=1), space, 2), 2) == [{"x": 1}, {"x": 1}]


def test_trials_of_an_earlier_study_are_data_like_others():
    searcher = TreeSearch(cube(1), 0, n_startup=2, uniform=0.0)
    earlier = [EarlierTrial(i, {"x0": i / 20}, abs(i / 20 - 0.7)) for i in range(20)]
    searcher.begin_with([EarlierStudy("runs/a", earlier).within(cube(1))[0]])
    for i in range(ENOUGH + 2):
        hear(searcher, i, {"x0": i / (ENOUGH + 1)}, abs(i / (ENOUGH + 1) - 0.7))
    assert searcher.observed.n_trials > ENOUGH + 2
    assert searcher.suggest(99).config["x0"] == pytest.approx(0.7, abs=0.2)


def test_the_tree_of_the_highest_resource_goes_where_it_is_good_there():
    # After one unit small x look good, after nine large ones: four trials, more than the dimensions, know that.
    searcher = TreeSearch(cube(1), 0, high=1.0, n_startup=2, uniform=0.0)
    for i in range(20):
        hear(searcher, i, {"x0": i / 20}, i / 20)
    for i in (1, 6, 11, 16):
        hear(searcher, i, {"x0": i / 20}, 1 - i / 20, resource=9)
    suggested = [searcher.suggest(i) for i in range(20, 40)]
    assert all(suggestion.origin.endswith(", by trials at 9") for suggestion in suggested)
    assert np.mean([suggestion.config["x0"] for suggestion in suggested]) > 0.6


@pytest.mark.parametrize("high", [-0.1, 1.5, "half", True])
def test_a_wrong_share_of_the_highest_resource_is_named(high):
    with pytest.raises(ConfigError, match="high: must be a number from 0 to 1"):
        TreeSearch(SPACES["continuous"], 0, high=high)


@pytest.mark.parametrize("distance", [-0.1, 2.5, "far", math.nan, True])
def test_a_wrong_distance_is_named(distance):
    with pytest.raises(ConfigError, match="distance: must be a number from 0 to 2"):
        TreeSearch(SPACES["continuous"], 0, distance=distance)


def test_of_very_many_trials_a_tree_is_grown_on_the_best_and_on_others_of_all_times(monkeypatch):
    monkeypatch.setattr(trees, "MOST", 4)
    rows, n_bad = trees._learned(np.array([4, 0, 3, 1, 5, 2]), n_bad=2)
    assert (rows.tolist(), n_bad) == ([4, 0, 1, 5], 1)  # 4 and 0 are the best, 1 and 5 the oldest and the newest other
    rows, n_bad = trees._learned(np.array([1, 0, 2, 3]), n_bad=2)
    assert (rows.tolist(), n_bad) == ([1, 0, 2, 3], 2)
