"""Layers, hypervolume and contributions against closed forms; the front as reports come in."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from heard import folded

from hpo_pipeline.evaluation import Constraint, Metric
from hpo_pipeline.front import Front
from hpo_pipeline.pareto import contributions, dominates, hypervolume, layers, order, reference_of

METRICS = [Metric("error"), Metric("f1", "max")]


def staircase(n: int, shift: int = 0) -> list[list[float]]:
    """(i, n - 1 - i): n points, none of which dominates another."""
    return [[float(i + shift), float(n - 1 - i + shift)] for i in range(n)]


def test_one_point_dominates_another_if_it_is_no_worse_anywhere_and_better_somewhere():
    assert dominates((1.0, 2.0), (1.0, 3.0))
    assert not dominates((1.0, 2.0), (1.0, 2.0))
    assert not dominates((1.0, 3.0), (2.0, 2.0))


@pytest.mark.parametrize("n", [1, 2, 5, 40])
def test_the_hypervolume_of_a_staircase_is_the_square_without_what_is_below_it(n):
    volume = hypervolume(np.array(staircase(n)), np.array([n, n], dtype=float))
    assert volume == n**2 - n * (n - 1) / 2


def test_of_three_metrics_a_box_that_two_points_share_counts_once():
    points = np.array([[0.0, 0.0, 1.0], [1.0, 1.0, 0.0]])  # 2·2·1 + 1·1·2 - 1·1·1
    assert hypervolume(points, np.array([2.0, 2.0, 2.0])) == 5.0


def test_what_lies_beyond_the_reference_point_adds_nothing():
    assert hypervolume(np.array([[0.0, 0.0], [-9.0, 3.0]]), np.array([2.0, 2.0])) == 4.0


def test_each_step_of_a_staircase_alone_adds_one_and_of_equal_points_the_first():
    points = np.array([*staircase(4), staircase(4)[1]])
    assert contributions(points, np.array([4.0, 4.0])).tolist() == [1.0, 1.0, 1.0, 1.0, 0.0]


def test_staircases_behind_each_other_are_layers():
    points = [*staircase(3, shift=4), *staircase(3), *staircase(3, shift=2)]
    assert layers(np.array(points)).tolist() == [2, 2, 2, 0, 0, 0, 1, 1, 1]
    assert sorted(order(points)[:3]) == [3, 4, 5]
    assert sorted(order(points)[-3:]) == [0, 1, 2]


def test_within_a_layer_what_adds_most_comes_first_and_a_second_of_equals_last():
    crowded, alone = [[0.0, 10.0], [0.1, 9.9], [0.2, 9.8]], [6.0, 3.0]
    first = order([*crowded, alone, [10.0, 0.0], alone])
    assert first[0] == 3
    assert first[-1] == 5


def test_an_order_knows_no_scales():
    points = np.array([*staircase(6), *staircase(4, shift=3), [2.5, 2.6]])
    assert order(points.tolist()) == order((points * [1e-9, 1e9] + [5.0, -3e8]).tolist())


@pytest.mark.parametrize("extreme", [[1e308, -1e308], [1e-320, 0.0]])
def test_extreme_scores_are_ordered(extreme):
    assert sorted(order([extreme, [0.0, 1.0], extreme, [1.0, 0.0]])) == [0, 1, 2, 3]


def test_the_reference_point_lies_a_tenth_of_the_range_beyond_the_worst():
    assert reference_of(np.array([[0.0, 5.0], [10.0, 5.0]])).tolist() == [11.0, 5.5]
    assert reference_of(np.array([[0.0, -4.0]])).tolist() == [0.1, -3.6]
    assert np.isfinite(reference_of(np.array([[1.7e308], [-1.7e308]]))).all()


# -- as reports come in ------------------------------------------------------------------------------------------


def front_of(reports: list[dict[str, float]], **keys: object) -> Front:
    front = Front(METRICS, **keys)  # type: ignore[arg-type]
    for trial_id, reported in enumerate(reports):
        front.take(trial_id, 1, reported)
    return front


def test_a_front_is_the_same_in_whatever_order_reports_come():
    reports = [{"error": e, "f1": f} for e, f in ((0.1, 0.2), (0.2, 0.5), (0.2, 0.4), (0.3, 0.5), (0.4, 0.9))]
    fronts = {tuple(p.scores for p in front_of(list(mixed)).points) for mixed in itertools.permutations(reports)}
    assert fronts == {((0.1, -0.2), (0.2, -0.5), (0.4, -0.9))}


def test_of_equal_reports_the_first_is_a_member_and_what_is_not_finite_is_none():
    same, bad = {"error": 0.5, "f1": 0.5}, {"error": math.nan, "f1": 1.0}
    front = front_of([bad, same, same, {"error": 0.1, "f1": math.inf}])
    assert [(point.trial_id, point.scores) for point in front.points] == [(1, (0.5, -0.5))]
    assert front.reference is not None
    np.testing.assert_allclose(front.reference, [0.55, -0.45])


def test_what_violates_a_constraint_is_no_member():
    constraints = [Constraint("size", max=10.0)]
    reports = [
        {"error": 0.1, "f1": 0.9, "size": 11.0},
        {"error": 0.3, "f1": 0.5, "size": 10.0},
        {"error": 0.1, "f1": 1},
    ]
    assert [point.trial_id for point in front_of(reports, constraints=constraints).points] == [1]


def test_a_given_reference_point_is_in_the_metrics_own_terms():
    front = front_of([{"error": 0.25, "f1": 0.5}], reference={"error": 1.0, "f1": 0.0})
    assert front.hypervolume() == 0.75 * 0.5
    assert front.anew().hypervolume() == 0.0


def test_a_failed_trial_leaves_the_front_and_those_behind_it_come_back():
    metrics = [{"name": "a", "mode": "min"}, {"name": "b", "mode": "min"}]
    records = [{"event": "study", "name": "s", "metrics": metrics, "reference_point": {"a": 4, "b": 4}}]
    for trial, (a, b) in enumerate([(1.0, 1.0), (0.0, 0.0)]):
        records += [
            {"event": "suggested", "trial": trial, "config": {}},
            {"event": "submitted", "trial": trial, "resource": 2, "rung": 0, "bracket": 0},
            {"event": "report", "trial": trial, "resource": 1, "metrics": {"a": a, "b": b}},
        ]
    records.append({"event": "decision", "trial": 1, "state": "FAILED", "reason": ""})
    view = folded([{**record, "time": 0.0} for record in records])
    assert [(point.trial_id, point.resource) for point in view.front.points] == [(0, 1)]
    assert [(volume, n) for _, volume, n, _ in view.front_history] == [(9.0, 1), (16.0, 1), (9.0, 1)]
    assert view.best is view.trials[0]
