"""How good a study was at any time."""

from __future__ import annotations

import math

import numpy as np
import pytest
from written_journal import Written

from hpo_pipeline.analysis.anytime import Anytime, anytime, quantiles
from hpo_pipeline.evaluation import Metric


def of(study: Written, metric: str = "loss", mode: str = "min", is_over: bool = True) -> Anytime:
    return anytime(study.view, study.log, Metric(metric, mode), is_over)


def steps(found: Anytime) -> list[list[float]]:
    return np.array([found.seconds, found.resource, found.scores]).T.tolist()


def test_steps_are_the_reports_that_were_better_with_the_seconds_and_the_resource_of_all_trials():
    study = Written()
    study.trial(0, [0.5, 0.3], {})  # reports after 4 and 5 s
    study.trial(1, [0.4, math.nan, 0.2], {})  # after 11, 12 and 13 s
    assert steps(of(study)) == [[4, 1, 0.5], [5, 2, 0.3], [13, 5, 0.2]]


def test_a_maximised_metric_falls_as_a_score():
    study = Written("max")
    study.trial(0, [0.5, 0.3, 0.9], {})
    assert of(study, mode="max").scores.tolist() == [-0.5, -0.9]
    assert of(study, mode="max").final == -0.9


def test_what_failed_and_further_seeds_are_never_the_best_but_cost_what_they_cost():
    study = Written()
    study.job(0, 1)
    study.report(0, 1, 0.1)
    study.fail(0)
    study.add("suggested", trial=1, config={}, repeats=0)
    study.trial(1, [0.2], {})
    study.trial(2, [0.3], {})
    assert [step[1:] for step in steps(of(study))] == [[3, 0.3]]


def test_what_is_outside_the_constraints_does_not_count():
    study = Written()
    study.records[0]["constraints"] = [{"name": "size", "max": 10.0}]
    study.view.apply(study.records[0])
    study.job(0, 2)
    study.report(0, 1, 0.1, size=11.0)
    study.report(0, 2, 0.4, size=9.0)
    assert of(study).scores.tolist() == [0.4]


def test_a_finished_study_keeps_its_best_and_of_another_nobody_knows():
    study = Written()
    study.trial(0, [0.5, 0.3], {})
    before, at, after = 0.5, [1.0, 2.0], 2.5
    assert of(study).at([before, *at, after], "resource").tolist() == [math.inf, 0.5, 0.3, 0.3]
    unfinished = of(study, is_over=False).at([before, *at, after], "resource").tolist()
    assert unfinished[:3] == [math.inf, 0.5, 0.3]
    assert math.isnan(unfinished[3])


def test_a_score_is_reached_when_it_is_there_for_the_first_time_or_never():
    study = Written()
    study.trial(0, [0.5, 0.3, 0.2], {})
    found = of(study)
    assert [found.reached(score, "resource") for score in (0.6, 0.5, 0.4, 0.2, 0.1)] == [1, 1, 2, 3, math.inf]
    assert found.reached(0.3, "seconds") == 5


def test_a_study_without_a_value_has_no_step():
    found = of(Written())
    assert (found.final, found.at([1.0], "seconds").tolist(), found.reached(1.0, "seconds")) == (
        math.inf,
        [math.inf],
        math.inf,
    )


def test_quartiles_of_finite_scores_are_numpys():
    table = np.random.default_rng(0).normal(size=(6, 5))
    expected = np.quantile(table, [0.25, 0.5, 0.75], axis=0)
    np.testing.assert_allclose(quantiles(table, (0.25, 0.5, 0.75)), expected)


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([1.0, 2.0, math.inf], [1.5, 2.0, math.inf]),  # one hasn't come to a value: a quartile with it isn't finite
        ([1.0, math.inf, math.inf], [math.inf, math.inf, math.inf]),
        ([1.0, 3.0, math.nan], [1.5, 2.0, 2.5]),  # one isn't there any more: of the other two
        ([2.0, math.nan, math.nan], [2.0, 2.0, 2.0]),
        ([math.inf, math.inf, math.nan], [math.inf, math.inf, math.inf]),
        ([math.nan] * 3, [math.nan] * 3),
    ],
)
def test_quartiles_where_some_have_no_score(scores, expected):
    np.testing.assert_array_equal(quantiles(np.array(scores)[:, None], (0.25, 0.5, 0.75))[:, 0], expected)
