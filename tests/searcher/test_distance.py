"""The least distance between trials, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from components import SPACES
from heard import reached

from hpo_pipeline.searcher.distance import Distance
from hpo_pipeline.searcher.observations import Observations
from hpo_pipeline.space import SearchSpace
from hpo_pipeline.space.unit_cube import UnitCube
from hpo_pipeline.trial import Job, Trial

SQUARE = SearchSpace.parse({axis: {"type": "float", "low": 0.0, "high": 1.0} for axis in ("x", "y")})


def heard(observed, trial_id, x, score, resource=1):
    job = Job(Trial(trial_id, {"x": x, "y": 0.5}), resource)
    observed.on_submitted(job)
    if score is not None:
        observed.on_evaluation(reached(job, resource, score))


def test_points_are_kept_from_all_trials_those_at_work_too():
    observed = Observations(UnitCube(SQUARE))
    distance = Distance(observed)
    assert distance.margins(np.array([[0.5, 0.5]])) == [math.inf]
    heard(observed, 0, 0.1, 1.0)
    heard(observed, 1, 0.9, None)
    r = 0.25 * math.sqrt(2 / 6) * 2 ** (-1 / 2)  # two trials in two dimensions
    points = np.array([[0.1 + 0.99 * r, 0.5], [0.1 + 1.01 * r, 0.5], [0.9 - 0.99 * r, 0.5], [0.9, 0.5 + 1.01 * r]])
    assert (distance.margins(points) >= 0).tolist() == [False, True, False, True]
    assert distance.margins(points)[1] == pytest.approx(0.01 * r)
    assert distance.margins(np.array([[0.9, 0.5]])) == [-math.inf]


def test_only_trials_of_the_same_categories_and_dimensions_keep_others_away():
    space = SPACES["conditional"]
    observed = Observations(UnitCube(space))
    sgd = [{"optimizer": "sgd", "optimizer.lr": lr, "optimizer.momentum": 0.5, "epsilon": 1e-8} for lr in (1e-3, 0.1)]
    adam = {"optimizer": "adam", "optimizer.lr": 1e-5, "epsilon": 1e-8}
    observed.on_submitted(Job(Trial(0, sgd[0]), 1))
    margins = Distance(observed).margins(np.array([observed.cube.point(config) for config in (*sgd, adam)]))
    # sgd has two ranges and one trial; lr 0.1 is 2/3 of the way up from 0.001 to 1
    assert margins == pytest.approx([-math.inf, 2 / 3 - 0.25 * math.sqrt(2 / 6), math.inf])


def test_it_grows_while_neighbours_come_out_equal_and_shrinks_again():
    observed = Observations(UnitCube(SQUARE))
    distance = Distance(observed)
    factors = []
    for i, (x, score) in enumerate(
        [(0.1, 1.0), (0.2, 1.0), (0.9, 2.0), (0.8, 2.0), (0.3, 1.0), (0.5, 3.0), (0.5, math.nan)]
    ):
        heard(observed, i, x, score)
        distance.margins(np.array([[0.5, 0.5]]))
        factors.append(distance.factor)
    grown = 0.25 * 1.3
    assert factors[:3] == pytest.approx([0.25, grown, grown * 0.97])
    assert factors[3:5] == pytest.approx([grown * 0.97 * 1.3, grown * 0.97 * 1.3**2])
    assert factors[5:] == pytest.approx([grown * 0.97**2 * 1.3**2] * 2)


def test_it_has_bounds_and_does_not_depend_on_when_it_was_asked():
    observed = Observations(UnitCube(SQUARE))
    often, once = Distance(observed), Distance(observed)
    for i in range(20):
        heard(observed, i, i / 40, 1.0)
        often.margins(np.array([[0.5, 0.5]]))
    once.margins(np.array([[0.5, 0.5]]))
    assert once.factor == often.factor == 1.2
    for i in range(20, 120):
        heard(observed, i, i / 120, float(i))
    once.margins(np.array([[0.5, 0.5]]))
    assert once.factor == 0.25
