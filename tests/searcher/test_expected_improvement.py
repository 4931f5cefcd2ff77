"""The logarithm of the expected improvement, beside integrals and bounds that hold far out."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import log_ndtr
from scipy.stats import norm

from hpo_pipeline.searcher.expected_improvement import log_expected_improvement, log_h


@pytest.mark.parametrize(("mean", "deviation"), [(0.0, 1.0), (2.0, 0.5), (-3.0, 0.1), (5.0, 1.0), (1.0, 30.0)])
def test_it_is_the_integral_of_the_improvement(mean, deviation):
    best = 0.3
    density = norm(mean, deviation).pdf
    low = min(mean, best) - 40 * deviation
    integral = quad(lambda f: (best - f) * density(f), low, best, points=[mean] if mean < best else None, limit=200)[0]
    found = log_expected_improvement(np.array([mean]), np.array([deviation]), best)
    assert found[0] == pytest.approx(math.log(integral), rel=1e-7)


def test_in_the_far_tail_its_derivative_is_the_ratio_of_the_normal_tail_to_it():
    # h' = Φ, so that d ln h / dz = exp(ln Φ - ln h), wherever z is: also where h itself is 0 in floating point.
    for z in (-300.0, -60.0, -31.0, -29.0, -5.0, -1.2, -0.8, 2.0):
        step = 1e-4 * abs(z)
        below, at, above = log_h(np.array([z - step, z, z + step]))
        assert (above - below) / (2 * step) == pytest.approx(math.exp(log_ndtr(z) - at), rel=1e-6)


def test_the_tail_goes_to_its_asymptote():
    # h(z) -> φ(z) / z², with a relative error of 3 / z²
    for z in (-1e2, -1e4, -1e7, -1e100):
        asymptote = norm.logpdf(z) - 2 * math.log(-z)
        assert log_h(np.array([z]))[0] == pytest.approx(asymptote, abs=3.1 / z**2, rel=1e-14)


def test_its_pieces_meet_and_it_rises_everywhere():
    for seam in (-1.0, -30.0):
        below, above = log_h(np.array([seam - 1e-9, seam + 1e-9]))
        assert above - below == pytest.approx(math.exp(log_ndtr(seam) - above) * 2e-9, rel=1e-2)
    assert np.all(np.diff(log_h(np.linspace(-1e4, 10, 5000))) > 0)
