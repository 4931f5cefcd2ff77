"""When a model is refitted, and that this alone decides what it says."""

from __future__ import annotations

import numpy as np
import pytest

from hpo_pipeline.searcher import surrogate
from hpo_pipeline.searcher.gaussian_process import Kernel
from hpo_pipeline.searcher.surrogate import Surrogate
from hpo_pipeline.searcher.targets import normal_scores


def data(n):
    rng = np.random.default_rng(n)
    inputs = np.column_stack([rng.random((n, 2)), np.zeros(n)])
    return inputs, np.sin(5 * inputs[:, 0]) + inputs[:, 1] ** 2


def given(model, inputs, scores, n):
    return model.given(inputs[:n], normal_scores(scores[:n]), lambda k: normal_scores(scores[:k]))


def new(most=1000):
    return Surrogate(Kernel(np.arange(2)), most)


def counts_of_fits(monkeypatch, n, most=1000):
    """The numbers of evaluations at which fits happen, each asked for alone."""
    found = []
    monkeypatch.setattr(surrogate, "fitted", lambda kernel, start, inputs, targets, _n: start)
    model, (inputs, scores) = new(most), data(n)
    for k in range(1, n + 1):
        before = model.n_fits
        given(model, inputs, scores, k)
        found += [k] * (model.n_fits - before)
    return found


def test_fits_happen_at_counts_that_grow_by_three_tenths(monkeypatch):
    # 5 + 2, then 7 * 1.3 = 9.1, 9 * 1.3 = 11.7, 12 * 1.3 = 15.6, 16 * 1.3 = 20.8, 21 * 1.3 = 27.3, 27 * 1.3 = 35.1
    assert counts_of_fits(monkeypatch, 40) == [5, 7, 9, 12, 16, 21, 27, 35]


def test_with_a_full_model_fits_happen_at_equal_distances(monkeypatch):
    assert counts_of_fits(monkeypatch, 40, most=10) == [5, 7, 9, 12, 15, 18, 21, 24, 27, 30, 33, 36, 39]


def test_what_a_model_says_does_not_depend_on_how_often_it_was_asked():
    inputs, scores = data(33)
    often, once, seldom = new(), new(), new()
    for k in range(1, 34):
        last = given(often, inputs, scores, k)
    given(seldom, inputs, scores, 11)
    given(seldom, inputs, scores, 26)
    for other in (given(once, inputs, scores, 33), given(seldom, inputs, scores, 33)):
        np.testing.assert_array_equal(other.weights, last.weights)
        np.testing.assert_array_equal(other.factor.lower, last.factor.lower)
    assert once.n_fits == often.n_fits == 7


def test_a_full_model_keeps_the_best_half_and_the_newest_half():
    inputs, scores = data(24)
    model = new(most=8)
    held = given(model, inputs, scores, 24).factor.inputs
    # refits are at 5, 7, 9, then every 2 (0.3 * 8): the last one at 23, of the newest 4 and the best 4 of the others
    newest = [19, 20, 21, 22]
    best = sorted(np.argsort(scores[:19])[:4])
    np.testing.assert_array_equal(held, inputs[[*best, *newest, 23]])


def test_below_five_evaluations_there_is_no_model():
    inputs, scores = data(4)
    assert given(new(), inputs, scores, 4) is None


@pytest.mark.parametrize("constant", [True, False], ids=["constant targets", "targets that differ"])
def test_twenty_duplicates_leave_a_model_that_knows_their_mean(constant):
    inputs = np.tile(data(1)[0], (20, 1))
    targets = np.zeros(20) if constant else normal_scores(np.arange(20.0))
    posterior = new().given(inputs, targets, lambda k: targets[:k] - targets[:k].mean())
    mean, deviation = posterior.predict(inputs[:1])
    assert mean[0] == pytest.approx(0, abs=1e-6)
    assert np.isfinite(deviation[0])
