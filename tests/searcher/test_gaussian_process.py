"""Gaussian process regression, beside direct solves, finite differences and closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm

from hpo_pipeline.searcher.gaussian_process import Factor, Kernel, Posterior, fitted, negative_log_posterior

KERNEL = Kernel(np.array([0, 1, 2, 2, 2]))  # two numbers and a choice of three


def inputs_of(rng, n, resources=(1, 3, 9)):
    one_hot = np.eye(3)[rng.integers(3, size=n)] / math.sqrt(2)
    return np.column_stack([rng.random((n, 2)), one_hot, np.log(rng.choice(resources, size=n))])


def theta_of(rng, kernel=KERNEL):
    return kernel.prior[0] + 0.5 * rng.standard_normal(kernel.n_scales + 3)


def by_the_formula(theta, a, b):
    """k of two inputs of KERNEL, written down once more."""
    scales, scale, decay = np.exp(theta[:3]), math.exp(theta[-3]), math.exp(theta[-1])
    other = not np.array_equal(a[2:5], b[2:5])
    d = math.sqrt(((a[0] - b[0]) / scales[0]) ** 2 + ((a[1] - b[1]) / scales[1]) ** 2 + other / scales[2] ** 2)
    matern = (1 + math.sqrt(5) * d + 5 / 3 * d * d) * math.exp(-math.sqrt(5) * d)
    return scale * matern * math.exp(-abs(a[5] - b[5]) / decay)


def test_the_kernel_is_matern_times_exponential_and_two_categories_are_at_distance_1():
    rng = np.random.default_rng(0)
    a, b, theta = inputs_of(rng, 7), inputs_of(rng, 5), theta_of(rng)
    expected = [[by_the_formula(theta, x, y) for y in b] for x in a]
    np.testing.assert_allclose(KERNEL(theta, a, b), expected, rtol=1e-12)


def test_mean_and_deviation_are_those_of_a_direct_solve():
    rng = np.random.default_rng(1)
    inputs, new, targets, theta = inputs_of(rng, 30), inputs_of(rng, 8), rng.standard_normal(30), theta_of(rng)
    covariance = KERNEL(theta, inputs, inputs) + math.exp(theta[-2]) * np.eye(30)
    between = KERNEL(theta, new, inputs)
    mean = between @ np.linalg.solve(covariance, targets)
    variance = math.exp(theta[-3]) - np.sum(between * np.linalg.solve(covariance, between.T).T, axis=1)
    posterior = Posterior.of(Factor.of(KERNEL, theta, inputs), targets)
    found = posterior.predict(new)
    np.testing.assert_allclose(found[0], mean, rtol=1e-8)
    np.testing.assert_allclose(found[1] ** 2, variance, rtol=1e-8)
    np.testing.assert_allclose(posterior.mean(new), mean, rtol=1e-8)


@pytest.mark.parametrize("resources", [(1, 3, 9), (9,)])
def test_the_value_is_the_log_density_of_the_targets_and_of_the_prior(resources):
    rng = np.random.default_rng(2)
    inputs, targets, theta = inputs_of(rng, 20, resources), rng.standard_normal(20), theta_of(rng)
    covariance = KERNEL(theta, inputs, inputs) + math.exp(theta[-2]) * np.eye(20)
    mean, deviation = KERNEL.prior
    density = multivariate_normal(np.zeros(20), covariance).logpdf(targets) + norm(mean, deviation).logpdf(theta).sum()
    constants = 10 * math.log(2 * math.pi) - norm(mean, deviation).logpdf(mean).sum()
    value = negative_log_posterior(KERNEL, theta, inputs, targets)[0]
    assert value == pytest.approx(-(density + constants))


@pytest.mark.parametrize("resources", [(1, 3, 9), (9,)])
def test_the_gradient_is_that_of_finite_differences(resources):
    rng = np.random.default_rng(3)
    inputs, targets = inputs_of(rng, 25, resources), rng.standard_normal(25)
    for _ in range(5):
        theta = theta_of(rng)
        steps = 1e-5 * np.eye(len(theta))
        numerical = [
            (
                negative_log_posterior(KERNEL, theta + step, inputs, targets)[0]
                - negative_log_posterior(KERNEL, theta - step, inputs, targets)[0]
            )
            / 2e-5
            for step in steps
        ]
        gradient = negative_log_posterior(KERNEL, theta, inputs, targets)[1]
        np.testing.assert_allclose(gradient, numerical, rtol=1e-5, atol=1e-7 * np.abs(gradient).max())


def test_an_extended_factor_is_a_fresh_one():
    rng = np.random.default_rng(4)
    inputs, theta = inputs_of(rng, 40), theta_of(rng)
    factor = Factor.of(KERNEL, theta, inputs[:25])
    for row in range(25, 30):
        factor = factor.extended(inputs[row : row + 1])
    factor = factor.extended(inputs[30:])
    np.testing.assert_array_equal(factor.inputs, inputs)
    np.testing.assert_allclose(factor.lower, Factor.of(KERNEL, theta, inputs).lower, atol=1e-9)


def test_believing_in_pending_points_is_observing_their_means():
    rng = np.random.default_rng(5)
    inputs, pending, new = inputs_of(rng, 20), inputs_of(rng, 4), inputs_of(rng, 9)
    targets, theta = rng.standard_normal(20), theta_of(rng)
    posterior = Posterior.of(Factor.of(KERNEL, theta, inputs), targets)
    believing = posterior.believing(pending)
    observed = np.concatenate([targets, posterior.mean(pending)])
    expected = Posterior.of(Factor.of(KERNEL, theta, np.concatenate([inputs, pending])), observed)
    for found, wanted in zip(believing.predict(new), expected.predict(new), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-7, atol=1e-9)
    assert np.all(believing.predict(new)[1] <= posterior.predict(new)[1])
    assert posterior.believing(pending[:0]) is posterior


def test_the_order_of_observations_does_not_matter():
    rng = np.random.default_rng(6)
    inputs, new, targets, shuffled = inputs_of(rng, 30), inputs_of(rng, 6), rng.standard_normal(30), rng.permutation(30)
    theta = fitted(KERNEL, KERNEL.prior[0], inputs, targets, 50)
    other = fitted(KERNEL, KERNEL.prior[0], inputs[shuffled], targets[shuffled], 50)
    np.testing.assert_allclose(other, theta, atol=1e-4)
    found = Posterior.of(Factor.of(KERNEL, theta, inputs), targets).predict(new)
    again = Posterior.of(Factor.of(KERNEL, theta, inputs[shuffled]), targets[shuffled]).predict(new)
    np.testing.assert_allclose(again, found, rtol=1e-8)


def test_a_fit_finds_which_dimension_matters_and_how_noisy_the_targets_are():
    rng = np.random.default_rng(7)
    inputs = inputs_of(rng, 120, (1,))
    targets = np.sin(6 * inputs[:, 0]) + 0.3 * rng.standard_normal(120)
    theta = fitted(KERNEL, KERNEL.prior[0], inputs, targets, 100)
    scales, noise = np.exp(theta[:3]), math.exp(theta[-2])
    assert scales[0] < min(scales[1:])
    assert 0.3**2 / 1.5 < noise < 0.3**2 * 1.5
    _, gradient = negative_log_posterior(KERNEL, theta, inputs, targets)
    assert np.abs(gradient).max() < 0.3  # the mode, nearly


@pytest.mark.parametrize("targets", [np.zeros(20), np.arange(20.0), np.ones(20)], ids=["0", "rising", "1"])
def test_twenty_duplicates_and_constant_targets_break_no_fit(targets):
    inputs = np.tile(inputs_of(np.random.default_rng(8), 1), (20, 1))
    theta = fitted(KERNEL, KERNEL.prior[0], inputs, targets, 30)
    factor = Factor.of(KERNEL, theta, inputs).extended(inputs)
    mean, deviation = Posterior.of(factor, np.tile(targets, 2)).predict(inputs[:1])
    assert np.isfinite(theta).all()
    assert 0 < deviation[0] < 1
    assert mean[0] == pytest.approx(targets.mean(), abs=0.05 * max(1, targets.mean()))


def test_without_features_a_model_is_the_mean_of_its_targets():
    kernel = Kernel(np.zeros(0, dtype=int))
    inputs = np.zeros((3, 1))
    theta = np.array([0.0, math.log(1e-3), 0.0])
    mean, deviation = Posterior.of(Factor.of(kernel, theta, inputs), np.array([1.0, 2.0, 3.0])).predict(inputs[:1])
    # a normal mean with prior N(0, 1) and three observations of variance 1e-3
    assert mean[0] == pytest.approx(6 / (3 + 1e-3))
    assert deviation[0] ** 2 == pytest.approx(1 / (1 + 3 / 1e-3))
