"""Rankings and evaluations: what is better, and what can't be compared."""

from __future__ import annotations

import math

import pytest
from heard import failed, reached

from hpo_pipeline.evaluation import Evaluation, Metric, Status, evaluation, failure
from hpo_pipeline.ranking import ByScore
from hpo_pipeline.trial import Job, Trial


def job(trial_id: int) -> Job:
    return Job(Trial(trial_id, {}), resource=3, rung=1, bracket=2)


def test_an_evaluation_keeps_what_was_reported_and_scores_the_study_s_metrics():
    metrics = [Metric("error"), Metric("f1", "max")]
    reported = {"error": 0.25, "f1": 0.75, "seconds": 1.0}
    assert evaluation(job(0), 3, reported, metrics) == Evaluation(
        Trial(0, {}), 3, 1, 2, reported, (0.25, -0.75), Status.OK
    )
    assert evaluation(job(0), 2, reported, metrics).rung is None


def test_diverged_and_failed_are_told_apart_and_both_score_worse_than_any_number():
    metrics = [Metric("error"), Metric("f1", "max")]
    diverged = evaluation(job(0), 3, {"error": math.nan, "f1": 1.0}, metrics)
    assert (diverged.status, diverged.scores) == (Status.NOT_FINITE, (math.inf, -1.0))
    gone = failure(job(0), metrics)
    assert (gone.status, gone.scores, gone.metrics, gone.resource) == (Status.FAILED, (math.inf, math.inf), {}, 3)
    assert Metric("error").score(1e308) < diverged.score


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_minus_infinity_is_no_good_value_of_a_metric_to_maximise(value):
    assert Metric("f1", "max").score(value) == math.inf


def test_by_score_the_lowest_comes_first_and_equal_ones_by_trial():
    ranking = ByScore()
    ranking.add(failed(job(0)))
    for trial_id, score in ((5, 0.5), (3, 0.5), (4, 0.1), (1, math.nan)):
        ranking.add(reached(job(trial_id), 3, score))
    assert [ranking[rank].trial.id for rank in range(len(ranking))] == [4, 3, 5, 0, 1]
    assert [ranking.rank(trial_id) for trial_id in (4, 3, 5, 0, 1)] == [0, 1, 2, 3, 4]
    ranking.remove(3)
    assert [ranking[rank].trial.id for rank in range(len(ranking))] == [4, 5, 0, 1]
