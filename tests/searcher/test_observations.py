"""What searchers have heard, against counts by hand and a plain re-sort."""

import math

import numpy as np
from heard import LOSS, failed, reached
from hypothesis import given
from hypothesis import strategies as st

from hpo_pipeline.evaluation import Status, evaluation
from hpo_pipeline.searcher.observations import Observations
from hpo_pipeline.simulation import SPACE
from hpo_pipeline.space.unit_cube import UnitCube
from hpo_pipeline.trial import Job, State, StateChange, Trial


def new():
    return Observations(UnitCube(SPACE))


def job(trial_id, resource, **keys):
    return Job(Trial(trial_id, {"x": trial_id / 200}), resource, **keys)


def test_resource_by_resource_those_that_got_there_are_sorted_among_themselves():
    # At 1: trials 3, 0, 1, 2, 5 by score. All but 3 went on, to 3: 2, 1, 0, 5 on the positions after 3, since 5 is not
    # a number there. At 9 trial 1 is better than 2, so they swap. Trial 4 failed: it is behind all.
    heard = new()
    scores = {1: {0: 0.2, 1: 0.3, 2: 0.4, 3: 0.1, 5: 0.5}, 3: {0: 0.25, 1: 0.22, 2: 0.15, 5: math.nan}}
    scores[9] = {1: 0.1, 2: 0.12}
    for resource, reports in scores.items():
        for trial_id in range(6):
            if trial_id in reports:
                heard.on_submitted(job(trial_id, resource))
                heard.on_evaluation(reached(job(trial_id, resource), resource, reports[trial_id]))
    heard.on_submitted(job(4, 1))
    heard.on_evaluation(failed(job(4, 1)))
    rows, n_bad = heard.order()
    assert [heard.ids[row] for row in rows] == [3, 1, 2, 0, 5, 4]
    assert n_bad == 2
    # Of those alone that came to 3: 1, 2, 0, and 5, whose score isn't finite there and doesn't count as known.
    rows, n_bad = heard.order(at=3)
    assert [heard.ids[row] for row in rows] == [1, 2, 0, 5]
    assert n_bad == 1
    assert [heard.highest(n) for n in (1, 2, 3, 4, 5, 6)] == [9, 9, 3, 1, 1, None]
    assert heard.resources == [1, 3, 9]
    assert heard.n_evaluated == 6
    assert not heard.pending


@given(st.lists(st.tuples(st.integers(0, 14), st.integers(0, 5)), max_size=60), st.randoms(use_true_random=False))
def test_the_order_is_that_of_a_plain_sort_and_no_score_goes_astray(steps, random):
    heard, curves, resources = new(), {}, (1, 3, 9)
    for trial_id, score in steps:
        curve = curves.setdefault(trial_id, [])
        if len(curve) < len(resources):
            at = resources[len(curve)]
            heard.on_submitted(job(trial_id, at))
            heard.on_evaluation(reached(job(trial_id, at), at, score))
            curve.append(score)
    expected = list(curves)
    for k in range(len(resources)):
        there = [i for i, trial_id in enumerate(expected) if len(curves[trial_id]) > k]
        by_score = sorted((expected[i] for i in there), key=lambda trial_id: curves[trial_id][k])
        for i, trial_id in zip(there, by_score, strict=True):
            expected[i] = trial_id
    rows, n_bad = heard.order()
    assert n_bad == 0
    assert [[*curves[heard.ids[row]]] for row in rows] == [curves[trial_id] for trial_id in expected]
    for entry in heard.log:
        assert curves[heard.ids[entry.row]][resources.index(entry.resource)] == entry.score
        assert heard.points[entry.row] == heard.ids[entry.row] / 200


def test_what_is_passed_on_the_way_counts_where_others_have_a_rung():
    heard = new()
    heard.on_submitted(job(0, 3, bracket=1))
    heard.on_evaluation(reached(job(0, 3), 1, 0.5))
    assert heard.pending == {0: 3}
    assert heard.log == []
    heard.on_submitted(job(1, 1))
    heard.on_evaluation(reached(job(1, 1), 1, 0.4))
    heard.on_evaluation(reached(job(0, 3), 3, 0.3))
    rows, scores = heard.at(1)
    assert (rows.tolist(), scores.tolist()) == ([0, 1], [0.5, 0.4])
    assert [heard.ids[row] for row in heard.order()[0]] == [1, 0]


def test_where_a_trial_could_have_been_stopped_it_is_evaluated():
    heard, running = new(), job(7, 4, milestones=(1, 2, 3))
    heard.on_submitted(running)
    for resource in (1, 2):
        heard.on_evaluation(evaluation(running, resource, {"loss": 1.0}, LOSS))
    assert [(entry.resource, entry.status) for entry in heard.log] == [(1, Status.OK), (2, Status.OK)]
    assert heard.pending == {0: 4}
    heard.on_state(StateChange(7, State.STOPPED))
    assert not heard.pending


def test_a_trial_that_goes_on_as_another_keeps_what_was_heard_before():
    heard = new()
    heard.on_submitted(job(0, 1))
    heard.on_evaluation(reached(job(0, 1), 1, 0.5))
    other = Job(Trial(0, {"x": 0.9}), 2, source=(3, 1))
    heard.on_submitted(other)
    heard.on_evaluation(reached(other, 2, 0.1))
    assert [(entry.resource, entry.score) for entry in heard.log] == [(1, 0.5)]
    assert heard.points.tolist() == [[0.0]]
    assert not heard.pending


def test_more_trials_than_there_was_room_for():
    heard = new()
    for trial_id in range(200):
        heard.on_submitted(job(trial_id, 1))
    assert np.allclose(heard.points[:, 0], np.arange(200) / 200)


def test_trials_of_an_earlier_study_are_rows_and_entries_like_others():
    heard = new()
    for trial_id, score in enumerate((0.3, 0.1)):
        heard.on_submitted(job(trial_id, 3))
        heard.on_evaluation(reached(job(trial_id, 3), 3, score))
    heard.add_earlier("7 of runs/a", np.array([0.9]), 3, math.inf)
    heard.add_earlier("4 of runs/a", np.array([0.8]), 3, 0.2)
    heard.on_submitted(job(2, 3))
    assert heard.ids == [0, 1, "7 of runs/a", "4 of runs/a", 2]
    assert heard.points[:, 0].tolist() == [0.0, 0.005, 0.9, 0.8, 0.01]
    rows, n_bad = heard.order()
    assert (rows.tolist(), n_bad) == ([1, 3, 0, 2], 1)
    assert [(entry.row, entry.status) for entry in heard.log[2:]] == [(2, Status.FAILED), (3, Status.OK)]
    assert heard.failed.tolist() == [False, False, True, False, False]
    assert list(heard.first_heard.items()) == [(0, 1), (1, 2), (2, 3), (3, 4)]
    assert (heard.n_evaluated, list(heard.pending)) == (4, [4])
