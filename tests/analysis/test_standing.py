"""All trials in one order, whatever resource each has come to."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from written_journal import Written

from hpo_pipeline.analysis.standing import scores_at, standing
from hpo_pipeline.evaluation import Metric


def ids(study: Written) -> list[int]:
    return [trial.id for trial in standing(study.view).trials]


def climbing(values: Sequence[Sequence[float]], mode: str = "min") -> Written:
    """A trial for each list: its values at resources 1, 2 and 4, a rung each."""
    study = Written(mode=mode)
    for trial, own in enumerate(values):
        for rung, value in enumerate(own):
            study.job(trial, 2**rung, rung)
            study.report(trial, 2**rung, value, rung)
    return study


def test_a_comparison_at_a_higher_rung_outweighs_those_below():
    # At 1: 3, 0, 1, 2. At 2 trials 0, 1 and 3 turn out as 1, 0, 3: in that order on the places that they held.
    study = climbing([[0.2, 0.5], [0.3, 0.4], [0.4], [0.1, 0.6]])
    assert ids(study) == [1, 0, 3, 2]
    np.testing.assert_allclose(standing(study.view).places, [0.125, 0.375, 0.625, 0.875])


def test_the_order_of_a_maximised_metric_is_the_other_way_round():
    assert ids(climbing([[0.2], [0.9], [0.5]], "max")) == [1, 2, 0]


def test_equally_good_trials_share_a_place():
    study = climbing([[0.5], [0.5, 0.3], [0.5], [0.1]])
    assert ids(study) == [3, 0, 1, 2]
    np.testing.assert_allclose(standing(study.view).places, [0.125, 0.625, 0.625, 0.625])


def test_what_failed_or_diverged_is_equally_bad_and_last():
    study = climbing([[math.nan], [0.5], [0.1, math.inf]])
    study.job(3, 1)
    study.fail(3)
    found = standing(study.view)
    assert found.trials[0].id == 1
    assert found.n_bad == 3
    np.testing.assert_allclose(found.places, [0.125, 0.625, 0.625, 0.625])


def test_a_trial_without_an_evaluation_has_no_place():
    study = climbing([[0.5]])
    study.job(1, 1)
    assert ids(study) == [0]


def test_further_seeds_have_no_place():
    study = climbing([[0.5]])
    study.add("suggested", trial=1, config={"x": 0.1}, repeats=0)
    study.job(1, 1)
    study.report(1, 1, 0.1, 0)
    assert ids(study) == [0]


def test_a_trial_that_has_finished_early_counts_where_its_scheduler_counts_it():
    study = Written()
    study.job(0, 4)
    study.report(0, 1, 0.3)
    study.add("result", trial=0, outcome="done", error="", traceback="", finished="patience")
    (trial,) = study.view.trials.values()
    np.testing.assert_equal(scores_at([trial], [1, 2, 4, 8], Metric("loss")), [[0.3, 0.3, 0.3, math.nan]])


@pytest.mark.parametrize("study", [Written(), climbing([])])
def test_a_study_without_trials_has_an_empty_order(study: Written):
    found = standing(study.view)
    assert (found.trials, found.places.tolist(), found.n_bad) == ((), [], 0)
