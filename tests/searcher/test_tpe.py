"""TPE: what it models, what it keeps away from, and that nothing odd breaks it."""

import math

import numpy as np
import pytest
from heard import LOSS, failed, reached

from hpo_pipeline.errors import ConfigError
from hpo_pipeline.evaluation import evaluation
from hpo_pipeline.scheduler.asha import ASHA
from hpo_pipeline.scheduler.hyperband import Hyperband
from hpo_pipeline.searcher import tpe
from hpo_pipeline.searcher.random import RandomSearch
from hpo_pipeline.searcher.tpe import TPE
from hpo_pipeline.space import SearchSpace
from hpo_pipeline.testing import check_scheduler, check_searcher
from hpo_pipeline.trial import Job, Trial

UNIT = {"type": "float", "low": 0.0, "high": 1.0}
LINE = SearchSpace.parse({"x": UNIT})
SQUARE = SearchSpace.parse({"x": UNIT, "y": UNIT})
MIXED = SearchSpace.parse(
    {
        "width": {"type": "int", "low": 3, "high": 40, "log": True},
        "layers": {"type": "int", "low": 1, "high": 6},
        "near": {"type": "ordinal", "choices": [1, 2, 100], "encoding": "nearest"},
        "law": {"type": "scipy", "distribution": "binom", "n": 4, "p": 0.3},
        "flag": {"type": "choice", "choices": [True, False]},
        "only": {"type": "choice", "choices": ["a"]},
        "third": {"type": "float", "low": 0.0, "high": 1.0, "when": {"layers": [3, 4, 5, 6], "flag": True}},
    }
)


def heard(searcher, trial_id, config, score, resource=1):
    job = Job(Trial(trial_id, config), resource, rung=0)
    searcher.on_submitted(job)
    searcher.on_evaluation(reached(job, resource, score))


def suggested(searcher, ids):
    return [searcher.suggest(trial_id).config for trial_id in ids]


def with_a_valley(space=LINE, at=0.3, n=20, **keys):
    """Trials 0 to n - 1, spread evenly, with the distance to `at` as their score."""
    searcher = TPE(space, 0, **keys)
    for i in range(n):
        x = (i + 0.5) / n
        heard(searcher, i, dict.fromkeys(space.paths, x), abs(x - at))
    return searcher


def test_proposals_are_where_good_trials_are_and_say_so():
    searcher = with_a_valley()
    suggestions = [searcher.suggest(i) for i in range(100, 200)]
    assert np.mean([abs(s.config["x"] - 0.3) < 0.2 for s in suggestions]) > 0.9
    good = {"tpe, around trial 5", "tpe, around trial 6", "tpe, around trial 4", "tpe, uniform part"}  # 15 % of 20: 3
    assert {s.origin for s in suggestions} <= good


def test_until_enough_trials_have_an_evaluation_proposals_are_uniform():
    searcher = with_a_valley(n=9)
    assert searcher.suggest(9).origin == "uniform"
    heard(searcher, 9, {"x": 0.99}, 1.0)
    assert searcher.suggest(10).origin.startswith("tpe")


def test_uniform_is_the_share_of_uniform_proposals():
    searcher = with_a_valley(uniform=0.5)
    assert np.mean([searcher.suggest(i).origin == "uniform" for i in range(20, 420)]) == pytest.approx(0.5, abs=0.08)


def test_with_one_resource_no_trial_is_uniform_and_with_several_a_quarter():
    searcher = with_a_valley()
    assert not any(searcher.suggest(i).origin == "uniform" for i in range(20, 120))
    heard(searcher, 20, {"x": 0.31}, 0.1, resource=3)
    assert np.mean([searcher.suggest(i).origin == "uniform" for i in range(21, 421)]) == pytest.approx(0.25, abs=0.07)


def test_pending_trials_push_proposals_away():
    alone, beside = with_a_valley(), with_a_valley()
    for i in range(20, 24):
        beside.on_submitted(Job(Trial(i, {"x": 0.3 + 0.001 * i}), 1, rung=0))
    near = [
        sum(abs(config["x"] - 0.321) < 0.05 for config in suggested(searcher, range(100, 300)))
        for searcher in (alone, beside)
    ]
    assert near[1] < 0.8 * near[0]


def test_failed_trials_push_proposals_away():
    well, badly = with_a_valley(), with_a_valley()
    for i in range(20, 30):
        job = Job(Trial(i, {"x": 0.26 + 0.002 * i}), 1, rung=0)  # around 0.31
        for searcher in (well, badly):
            searcher.on_submitted(job)
        well.on_evaluation(reached(job, 1, 0.001))
        badly.on_evaluation(failed(job))
    means = [np.mean([abs(c["x"] - 0.31) < 0.05 for c in suggested(s, range(100, 300))]) for s in (well, badly)]
    assert means[1] < means[0] / 2


def test_trials_that_fail_later_are_no_good_ones_where_they_were_good():
    """Those about 0.9 are best by far after one unit, and fail on their way to three, where no other one has been."""

    def share_near():
        return np.mean([searcher.suggest(i).config["x"] > 0.7 for i in range(100, 140)])

    searcher = with_a_valley(uniform=0.0)
    for trial_id, x in ((20, 0.88), (21, 0.9), (22, 0.92), (23, 0.91)):
        heard(searcher, trial_id, {"x": x}, -5.0)
    assert share_near() > 0.5
    for trial_id, x in ((20, 0.88), (21, 0.9), (22, 0.92), (23, 0.91)):
        job = Job(Trial(trial_id, {"x": x}), 3, rung=1)
        searcher.on_submitted(job)
        searcher.on_evaluation(failed(job))
    assert share_near() < 0.1


def test_the_highest_resource_with_more_evaluations_than_dimensions_is_modelled():
    searcher = TPE(SQUARE, 0, uniform=0.0)
    for i in range(20):  # the best at 1 unit: near 0
        heard(searcher, i, {"x": i / 20, "y": i / 20}, i)
    promoted = (16, 0, 18)  # at 3 units: 16, near 0.8
    for score, i in enumerate(promoted[:2]):
        heard(searcher, i, {"x": i / 20, "y": i / 20}, score, resource=3)
    assert {searcher.suggest(i).origin for i in range(100, 140)} <= {
        "tpe, around trial 0", "tpe, around trial 1", "tpe, around trial 2", "tpe, uniform part"
    }  # fmt: skip
    heard(searcher, 18, {"x": 0.9, "y": 0.9}, 2, resource=3)
    origins = [searcher.suggest(i).origin for i in range(100, 140)]
    assert set(origins) <= {"tpe, around trial 16", "tpe, uniform part"}
    assert origins.count("tpe, around trial 16") > 20


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, None])
def test_what_is_not_finite_or_failed_is_the_worst_and_nothing_else(bad):
    one, other = TPE(SQUARE, 0), TPE(SQUARE, 0)
    for i in range(30):
        config = SQUARE.sample(np.random.default_rng(i))
        is_bad = i % 3 == 1
        heard(one, i, config, 1e30 if is_bad else float(i))
        job = Job(Trial(i, config), 1, rung=0)
        other.on_submitted(job)
        value = bad if is_bad else float(i)
        other.on_evaluation(failed(job) if value is None else evaluation(job, 1, {"loss": value}, LOSS))
    assert suggested(one, range(30, 40)) == suggested(other, range(30, 40))


def test_where_nothing_is_finite_proposals_are_uniform():
    searcher = TPE(LINE, 0)
    for i in range(20):
        heard(searcher, i, {"x": i / 20}, math.nan)
    assert searcher.suggest(20).origin == "uniform"


@pytest.mark.parametrize("space", [LINE, SQUARE, MIXED], ids=["line", "square", "mixed"])
def test_duplicates_and_constant_targets_break_nothing(space):
    searcher = TPE(space, 0)
    config = space.midpoint()
    for i in range(20):
        heard(searcher, i, config, 1.0)
    with np.errstate(all="raise", under="ignore"):
        for i in range(20, 40):
            suggestion = searcher.suggest(i)
            assert not space.contains(suggestion.config)
            assert suggestion.config != config
            heard(searcher, i, suggestion.config, 1.0)


@pytest.mark.parametrize("dim", [1, 40])
def test_few_and_many_dimensions_are_searched(dim):
    space = SearchSpace.parse({f"x{i}": UNIT for i in range(dim)})
    check_searcher(lambda space: TPE(space, 0, n_startup=2), space, n=2 * dim + 20)


def test_a_mixed_space_is_searched_by_the_contract():
    check_searcher(lambda space: TPE(space, 0, n_startup=4), MIXED, n=40)


@pytest.mark.parametrize(
    "make",
    [lambda trials: ASHA(trials, 3, 1, 9), lambda trials: Hyperband(trials, eta=3, min_resource=1, max_resource=9)],
)
def test_a_resumed_study_goes_on_with_the_same_proposals(make):
    check_scheduler(make, 3, 0, searcher=lambda space, seed: TPE(space, seed, n_startup=3), space=SQUARE)


@pytest.mark.parametrize("seed", range(3))
def test_it_finds_better_than_random_search(seed):
    space = SearchSpace.parse({f"x{i}": UNIT for i in range(4)})
    best = {}
    for make in (TPE, RandomSearch):
        searcher, scores = make(space, seed), []
        for i in range(60):
            config = searcher.suggest(i).config
            scores.append(sum((x - 0.3) ** 2 for x in config.values()))
            heard(searcher, i, config, scores[-1])
        best[make] = min(scores)
    assert best[TPE] < best[RandomSearch]


def test_wrong_options_are_refused_all_at_once():
    with pytest.raises(ConfigError) as caught:
        TPE(LINE, 0, gamma=0, n_candidates=0, n_startup=0, uniform=2)
    assert [problem.path for problem in caught.value.problems] == ["gamma", "n_candidates", "n_startup", "uniform"]


def test_of_very_many_trials_the_best_and_others_of_all_times_are_modelled(monkeypatch):
    monkeypatch.setattr(tpe, "MOST", 5)
    searcher = with_a_valley(at=0.3, n=20, gamma=0.4)  # the best two of five: 0.275 and 0.325
    rows, scores = searcher._modelled()
    assert rows.tolist() == [0, 5, 6, 10, 19]  # of the 18 others the first, the middle (place 8 of 0 to 17), the last
    assert scores == pytest.approx([0.275, 0.025, 0.025, 0.225, 0.675])
    near = [abs(config["x"] - 0.3) < 0.2 for config in suggested(searcher, range(20, 60))]
    assert np.mean(near) > 0.8
