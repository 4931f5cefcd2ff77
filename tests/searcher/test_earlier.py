"""What earlier studies tell a searcher: the arithmetic, by hand."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest
from components import SEARCHERS, SPACES
from heard import reached

from hpo_pipeline.errors import ConfigError
from hpo_pipeline.searcher.earlier import ENOUGH, MOST_TRIALS, EarlierStudy, EarlierTrial, Standings, portfolio
from hpo_pipeline.searcher.evolution import RegularizedEvolution
from hpo_pipeline.seeding import generator
from hpo_pipeline.space import SearchSpace
from hpo_pipeline.space.unit_cube import UnitCube
from hpo_pipeline.testing import check_searcher
from hpo_pipeline.trial import Job, Trial

LINE = SearchSpace.parse({"x": {"type": "float", "low": 0.0, "high": 1.0}})
CUBE = UnitCube(LINE)
LEARNING = {name: SEARCHERS[name] for name in ("de", "cmaes", "evolution")}


def study(*trials, name="runs/a"):
    """Of (x, score) each."""
    return EarlierStudy(name, [EarlierTrial(i, {"x": x}, score) for i, (x, score) in enumerate(trials)])


def standings(*trials, name="runs/a"):
    return Standings.of(study(*trials, name=name).within(LINE)[0], CUBE)


def test_standings_are_normal_scores_of_the_ranks():
    found = standings((0.1, 7.0), (0.2, -1.0), (0.3, 1e9), (0.4, 2.0))
    np.testing.assert_allclose(found.points[:, 0], [0.2, 0.4, 0.1, 0.3])
    quantiles = [NormalDist().inv_cdf(q) for q in (1 / 8, 3 / 8, 5 / 8, 7 / 8)]
    np.testing.assert_allclose(found.values, quantiles)


def test_equal_scores_share_a_standing_and_failed_ones_are_last():
    found = standings((0.1, 1.0), (0.2, math.inf), (0.3, 1.0), (0.4, math.inf))
    low, high = (NormalDist().inv_cdf(1 / 8) + NormalDist().inv_cdf(3 / 8)) / 2, found.values[2]
    np.testing.assert_allclose(found.values, [low, low, -low, -low])
    assert (found.n_bad, high) == (2, pytest.approx(-low))


def test_the_standing_elsewhere_is_that_of_the_three_nearest_by_inverse_squares():
    found = standings((0.0, 1.0), (0.1, 2.0), (0.3, 3.0), (1.0, 4.0))
    a, b, c, _ = found.values
    # From 0.2: distances 0.2, 0.1, 0.1, so weights 25, 100, 100.
    expected = (25 * a + 100 * b + 100 * c) / 225
    np.testing.assert_allclose(found.at(np.array([[0.2], [0.1]])), [expected, b], rtol=1e-6)


def test_standings_are_stretched_to_the_mean_and_deviation_of_the_new_scores():
    found = standings((0.1, 1.0), (0.5, 2.0), (0.9, 3.0))
    z = NormalDist().inv_cdf(5 / 6)
    # The new study has tried the same three: its scores 10, 20, 30 have the deviation sqrt(200 / 3), theirs
    # z * sqrt(2 / 3), so each z is worth 10.
    new = found.scores(np.array([[0.1], [0.5], [0.9]]), np.array([10.0, 20.0, 30.0]))
    np.testing.assert_allclose(found.values, [-z, 0, z], atol=1e-12)
    np.testing.assert_allclose(new, [10.0, 20.0, 30.0], rtol=1e-6)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("diverged", [51.0, 1e6, 1e300])
def test_a_score_far_above_the_median_does_not_stretch_the_others(diverged):
    found = standings((0.1, 1.0), (0.5, 2.0), (0.9, 3.0))
    points = np.array([[0.1], [0.5], [0.9]])
    # The best one is 10 below the median, so what is above 20 + 3 * 10 counts as 50.
    capped = found.scores(points, np.array([10.0, 20.0, 50.0]))
    np.testing.assert_allclose(found.scores(points, np.array([10.0, 20.0, diverged])), capped)


@pytest.mark.filterwarnings("error")
def test_scores_whose_deviation_is_beyond_floats_teach_nothing():
    found = standings((0.1, 1.0), (0.5, 2.0), (0.9, 3.0))
    assert found.scores(np.array([[0.1], [0.5], [0.9]]), np.array([-1e200, 0.0, 1e200])) is None


def test_a_study_that_says_something_else_is_left_out():
    found = standings((0.1, 1.0), (0.5, 2.0), (0.9, 3.0))
    points = np.array([[0.1], [0.5], [0.9]])
    assert found.scores(points, np.array([30.0, 20.0, 10.0])) is None
    assert found.scores(points, np.array([5.0, 5.0, 5.0])) is None
    # (10, 30, 20) and (-z, 0, z) have the correlation 10 z / (sqrt(200) sqrt(2) z) = 0.5.
    assert found.scores(points, np.array([10.0, 31.0, 20.0])) is None
    assert found.scores(points, np.array([10.0, 29.0, 20.0])) is not None
    assert standings((0.1, 1.0), (0.5, 1.0)).scores(points, np.array([1.0, 2.0, 3.0])) is None


def test_a_long_study_is_thinned_evenly_over_its_ranks():
    found = standings(*((i / 1000, float(i)) for i in range(1000)))
    assert len(found.values) == MOST_TRIALS
    np.testing.assert_allclose(found.points[[0, -1], 0], [0.0, 0.999])
    np.testing.assert_allclose(np.diff(found.points[:, 0]), 1 / 200, atol=1.1e-3)


def test_many_studies_are_thinned_together():
    many = [study(*((i / 100, float(i)) for i in range(100)), name=str(k)) for k in range(50)]
    searcher = RegularizedEvolution(LINE, 0)
    searcher.begin_with([each.within(LINE)[0] for each in many])
    assert sum(len(each.values) for each in searcher._earlier) == 1000
    np.testing.assert_allclose(searcher._earlier[7].points[[0, -1], 0], [0.0, 0.99])


def test_the_portfolio_of_one_study_is_its_best():
    assert list(portfolio([standings((0.1, 3.0), (0.2, 1.0), (0.3, 2.0))])) == [({"x": 0.2}, "trial 1 of runs/a")]


def test_the_portfolio_covers_the_studies_greedily():
    """0.5 is second in a, b and c; each one's best is the worst of the other two."""

    def three(best, name):
        rest = sorted({0.1, 0.5, 0.9, 0.3} - {best, 0.5})
        return standings((best, 1.0), (0.5, 2.0), *((x, 3.0) for x in rest), name=name)

    covering = list(portfolio([three(0.1, "a"), three(0.9, "b"), three(0.3, "c")]))
    assert [config["x"] for config, _ in covering] == [0.5, 0.1, 0.9, 0.3]
    assert [origin for _, origin in covering] == [
        "trial 1 of a",
        "trial 0 of a",
        "trial 0 of b",
        "trial 0 of c",
    ]


# -- another space -------------------------------------------------------------------------------------------------

SPACE = SearchSpace.parse(
    {
        "lr": {"type": "float", "low": 1e-4, "high": 1e-2, "log": True},
        "layers": {"type": "int", "low": 1, "high": 5},
        "activation": {"type": "choice", "choices": ["relu", "3", True]},
    }
)


def within(*configs):
    return EarlierStudy("a", [EarlierTrial(i, config, float(i)) for i, config in enumerate(configs)]).within(SPACE)


def test_what_lies_outside_is_left_out_and_what_is_missing_is_completed():
    found, note = within(
        {"lr": 1.0, "layers": 2, "activation": "relu"},
        {"lr": 1e-3, "activation": "relu", "dropout": 0.5},
        {"lr": 1e-4, "layers": 5, "activation": "relu"},
    )
    assert [(trial.id, trial.config) for trial in found.trials] == [
        (1, {"lr": 1e-3, "layers": 3, "activation": "relu"}),
        (2, {"lr": 1e-4, "layers": 5, "activation": "relu"}),
    ]
    assert note == "learning from a: 2 of 3 trials; layers of 1 completed with its mid-point"


def test_a_name_that_a_terminal_would_act_on_is_escaped():
    named = EarlierStudy("a\x1b[2J\nb\ud800", [EarlierTrial(0, {"lr": 1e-3, "layers": 3, "activation": "relu"}, 0.5)])
    found, note = named.within(SPACE)
    assert found.name == r"a\x1b[2J\nb\ud800"
    assert note == rf"learning from {found.name}: 1 of 1 trials"


def test_text_is_read_as_the_space_means_it():
    found, _ = within(
        {"lr": "0.001", "layers": "3", "activation": "3"},
        {"lr": "1e-4", "layers": "5", "activation": "true"},
    )
    assert [list(trial.config.values()) for trial in found.trials] == [[0.001, 3, "3"], [1e-4, 5, True]]


@pytest.mark.parametrize(
    ("configs", "told"),
    [
        ([], "a: it has no trial; leave it out"),
        ([{"lr": 5.0}], "a: none of its 1 trials lies in the search space, e.g. lr: 5.0 is not in"),
        ([{"lr": [1], "layers": "[]"}], "a: none of its 1 trials lies in the search space"),
    ],
)
def test_a_study_without_a_trial_that_fits_is_an_error(configs, told):
    with pytest.raises(ConfigError) as caught:
        within(*configs)
    assert str(caught.value).startswith(told)


# -- searchers -----------------------------------------------------------------------------------------------------


def begun(make, space, n=40, seed=0):
    """A searcher that begins with a study of `n` random trials."""
    searcher = make(space, seed)
    rng = generator(1)
    trials = [EarlierTrial(i, space.sample(rng), float(rng.random())) for i in range(n - 1)]
    trials.append(EarlierTrial(n - 1, space.sample(rng), math.inf))
    searcher.begin_with([EarlierStudy("runs/a", trials).within(space)[0]])
    return searcher


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
@pytest.mark.parametrize("make", LEARNING.values(), ids=LEARNING)
def test_with_an_earlier_study_searchers_keep_the_contract(make, space):
    check_searcher(lambda space: begun(make, space), space, n=30)


def submit(searcher, trial_id):
    suggestion = searcher.suggest(trial_id)
    job = Job(Trial(trial_id, suggestion.config), 1)
    searcher.on_submitted(job)
    return suggestion, job


def test_the_best_comes_first_and_its_study_is_data_once_enough_is_known():
    searcher = RegularizedEvolution(LINE, 0, n_startup=10)
    searcher.begin_with([study(*((x / 10, abs(x / 10 - 0.3)) for x in range(10))).within(LINE)[0]])
    origins = []
    for trial_id in range(ENOUGH + 1):
        assert searcher.observed.n_evaluated == trial_id
        suggestion, job = submit(searcher, trial_id)
        origins.append(suggestion.origin)
        searcher.on_evaluation(reached(job, 1, 100 * abs(suggestion.config["x"] - 0.3)))
        if trial_id == ENOUGH - 1:
            break
    assert origins == ["trial 3 of runs/a", *["uniform"] * (ENOUGH - 1)]
    assert searcher.observed.n_evaluated == ENOUGH + 10
    assert searcher.observed.ids[:ENOUGH] == list(range(ENOUGH))
    assert searcher.observed.ids[-1] == "3 of runs/a"  # the best one last: the youngest
    assert searcher.suggest(ENOUGH).origin.startswith("evolution, child of trial ")
    # On the new study's scale, nearer to 0.3 is better still.
    order, n_bad = searcher.observed.order()
    best = [float(searcher.observed.points[row, 0]) for row in order[:3]]
    assert n_bad == 0
    assert all(abs(x - 0.3) < 0.15 for x in best)


def test_an_earlier_study_that_says_the_opposite_is_no_data():
    searcher = RegularizedEvolution(LINE, 0, n_startup=10)
    searcher.begin_with([study(*((x / 10, x / 10) for x in range(11))).within(LINE)[0]])
    for trial_id in range(ENOUGH):
        suggestion, job = submit(searcher, trial_id)
        searcher.on_evaluation(reached(job, 1, -suggestion.config["x"]))
    assert searcher.observed.n_trials == searcher.observed.n_evaluated == ENOUGH
