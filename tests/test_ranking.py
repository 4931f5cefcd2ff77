"""Rankings and evaluations: what is better, and what can't be compared."""

from __future__ import annotations

import math

import numpy as np
import pytest
from heard import failed, reached

from hpo_pipeline.evaluation import Constraint, Evaluation, Metric, Status, evaluation, failure
from hpo_pipeline.ranking import ByScore, NonDominated, Ranking, ranking_of
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


# -- constraints and several metrics -----------------------------------------------------------------------------

TWO = [Metric("a"), Metric("b")]


def two(trial_id: int, a: float, b: float, size: float = 0.0) -> Evaluation:
    return evaluation(job(trial_id), 3, {"a": a, "b": b, "size": size}, TWO, [Constraint("size", max=10.0)])


def in_order(ranking: Ranking) -> list[int]:
    return [ranking[rank].trial.id for rank in range(len(ranking))]


@pytest.mark.parametrize(
    ("constraint", "value", "violation"),
    [
        (Constraint("n", max=100.0), 100.0, 0.0),
        (Constraint("n", max=100.0), 150.0, 0.5),
        (Constraint("n", min=0.5), 0.25, 0.5),
        (Constraint("n", min=0.0), -3.0, 3.0),
        (Constraint("n", min=-1.0, max=1.0), 0.0, 0.0),
        (Constraint("n", max=-2.0), 0.0, 1.0),
    ],
)
def test_a_violation_is_in_units_of_the_bound(constraint, value, violation):
    assert constraint.violation(value) == violation


def test_violations_add_up_and_a_bounded_value_that_is_not_finite_counts_as_diverged():
    bounds = [Constraint("n", max=10.0), Constraint("seconds", max=2.0)]
    over = evaluation(job(0), 3, {"error": 0.1, "n": 15.0, "seconds": 3.0}, [Metric("error")], bounds)
    assert (over.violation, over.is_feasible, over.status) == (1.0, False, Status.OK)
    for reported in ({"error": 0.1, "n": math.nan, "seconds": 1.0}, {"error": 0.1, "n": 1.0}):
        assert evaluation(job(0), 3, reported, [Metric("error")], bounds).status is Status.NOT_FINITE


def test_by_score_what_violates_the_constraints_is_behind_all_that_does_not_by_how_much():
    ranking = ByScore()
    bounds = [Constraint("n", max=10.0)]
    for trial_id, error, n in ((0, 0.1, 30), (1, 0.9, 10), (2, 0.2, 20), (3, math.nan, 1), (4, 0.1, 20)):
        ranking.add(evaluation(job(trial_id), 3, {"error": error, "n": n}, [Metric("error")], bounds))
    assert in_order(ranking) == [1, 4, 2, 0, 3]
    ranking.remove(4)
    assert ranking.rank(0) == 2


def test_several_metrics_rank_by_layers_then_violation_and_what_is_not_finite_last():
    ranking = NonDominated()
    for each in (
        two(0, 0.0, math.nan),
        two(1, 5.0, 5.0),
        two(2, 0.0, 1.0),
        two(3, 1.0, 0.0),
        two(4, 0.0, 0.0, size=20.0),
        two(5, 0.0, 0.0, size=15.0),
        failure(job(6), TWO),
    ):
        ranking.add(each)
    assert sorted(in_order(ranking)[:2]) == [2, 3]
    assert in_order(ranking)[2:] == [1, 5, 4, 0, 6]
    ranking.remove(2)
    assert in_order(ranking) == [3, 1, 5, 4, 0, 6]


def test_the_best_of_one_metric_and_of_two_equal_ones_are_in_one_order():
    one, both = ByScore(), NonDominated()
    for trial_id, score in enumerate((0.4, 0.1, 0.3, 0.1, math.nan, 0.2)):
        one.add(evaluation(job(trial_id), 3, {"a": score}, [Metric("a")]))
        both.add(two(trial_id, score, score))
    assert in_order(one) == in_order(both)


def test_a_part_of_a_ranking_is_in_the_order_of_the_whole():
    whole = NonDominated()
    part = whole.part()
    for trial_id in range(40):
        a = (trial_id * 7 % 40) / 40
        whole.add(two(trial_id, a, (1 - a) ** 2 + (trial_id % 3)))
        if trial_id % 2:
            part.add(whole[whole.rank(trial_id)])
    assert in_order(part) == [trial_id for trial_id in in_order(whole) if trial_id % 2]
    assert part.rank(part[3].trial.id) == 3
    part.remove(part[0].trial.id)
    assert len(part) == 19


def test_no_trial_ever_comes_before_its_least_rank():
    ranking, rng = NonDominated(), np.random.default_rng(0)
    least: dict[int, int] = {}
    for trial_id in range(60):
        a, b, size = rng.integers(8, size=3)
        ranking.add(two(trial_id, float(a), float(b), float(3 * size)))
        assert all(ranking.rank(known) >= rank for known, rank in least.items())
        least = {known: ranking.least_rank(known) for known in range(trial_id + 1)}


def test_a_study_of_one_metric_ranks_by_its_score():
    assert ranking_of([Metric("a")]) is ByScore
    assert ranking_of(TWO) is NonDominated
