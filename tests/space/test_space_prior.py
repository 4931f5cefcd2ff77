"""Priors: drawn as PriorBand defines them, ignored by plain sampling."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from small_spaces import LR

from hpo_pipeline.errors import ConfigError
from hpo_pipeline.space import SearchSpace


def space_with(prior, leaf=LR) -> SearchSpace:
    return SearchSpace.parse({"x": {**leaf, "prior": prior}})


@pytest.mark.parametrize(("confidence", "deviation"), [("low", 0.5), ("medium", 0.25), ("high", 0.125)])
def test_a_scale_is_drawn_from_a_normal_truncated_to_the_unit_interval(confidence, deviation):
    space = space_with({"center": 1e-2, "confidence": confidence})  # encoded: 4 of 6 decades
    rng = np.random.default_rng(0)
    drawn = [space.to_unit(space.sample_prior(rng))[0] for _ in range(2000)]
    center = 2 / 3
    law = stats.truncnorm(-center / deviation, (1 - center) / deviation, loc=center, scale=deviation)
    assert stats.kstest(drawn, law.cdf).pvalue > 0.01


@pytest.mark.parametrize(("confidence", "weight"), [("low", 2), ("medium", 4), ("high", 6)])
def test_the_central_choice_is_as_many_times_as_likely_as_each_other(confidence, weight):
    space = space_with({"center": "b", "confidence": confidence}, {"type": "choice", "choices": ["a", "b", "c"]})
    rng = np.random.default_rng(0)
    drawn = [space.sample_prior(rng)["x"] for _ in range(3000)]
    expected = [3000 / (weight + 2) * w for w in (1, weight, 1)]
    assert stats.chisquare([drawn.count(v) for v in "abc"], expected).pvalue > 0.01


def test_confidence_is_medium_by_default():
    assert (
        space_with({"center": 1e-2}).parameters[0].prior
        == space_with({"center": 1e-2, "confidence": "medium"}).parameters[0].prior
    )


def test_plain_samples_ignore_priors():
    rng, other = np.random.default_rng(0), np.random.default_rng(0)
    plain = SearchSpace.parse({"x": LR})
    assert [space_with({"center": 1e-5}).sample(rng) for _ in range(5)] == [plain.sample(other) for _ in range(5)]


def test_hyperparameters_without_a_prior_are_uniform_and_constraints_hold():
    tree = {
        "a": {"type": "int", "low": 1, "high": 4, "prior": {"center": 4, "confidence": "high"}},
        "b": {"type": "int", "low": 1, "high": 4},
        "constraints": ["b <= a"],
    }
    space = SearchSpace.parse(tree)
    rng = np.random.default_rng(0)
    assert all(not space.contains(space.sample_prior(rng)) for _ in range(200))


@pytest.mark.parametrize(
    ("prior", "expected"),
    [
        ({"center": 2.0}, "search_space.x.prior.center: 2.0 is not in the search space (log-uniform [1e-6, 1])"),
        ({"center": 1e-3, "confidence": "hihg"}, "search_space.x.prior.confidence: must be one of low, medium, high"),
        ({"confidence": "high"}, "search_space.x.prior: must be a mapping with center and confidence"),
        (1e-3, "search_space.x.prior: must be a mapping with center and confidence, got 0.001"),
    ],
)
def test_a_wrong_prior_is_refused(prior, expected):
    with pytest.raises(ConfigError) as caught:
        space_with(prior)
    assert caught.value.lines[0].startswith(expected)
