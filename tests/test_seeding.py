"""Random numbers follow from a seed and a key."""

from __future__ import annotations

import numpy as np
import pytest

from hpo_pipeline.evaluation import Metric
from hpo_pipeline.seeding import derived_seed, generator, trial_seed


def test_equal_keys_give_equal_numbers_and_other_keys_others():
    keys = [(0,), (1,), (0, 1), (0, "suggest"), (0, "suggest", 1), (0, 1, "suggest"), (1, "suggest")]
    drawn = [tuple(generator(*key).random(3)) for key in keys]
    assert drawn == [tuple(generator(*key).random(3)) for key in keys]
    assert len(set(drawn)) == len(keys)


def test_numbers_do_not_depend_on_what_was_drawn_before():
    first = generator(0, "a").random()
    np.random.default_rng().random(10)
    generator(0, "b").random(10)
    assert generator(0, "a").random() == first


def test_the_global_generators_are_left_alone():
    np.random.seed(3)  # noqa: NPY002
    expected = np.random.random()  # noqa: NPY002
    np.random.seed(3)  # noqa: NPY002
    generator(0, "a").random()
    derived_seed(0, "a")
    assert np.random.random() == expected  # noqa: NPY002


def test_a_seed_fits_what_torch_takes():
    seeds = [trial_seed(seed, trial) for seed in (0, 1, 2**40) for trial in range(200)]
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert len(set(seeds)) == len(seeds)


@pytest.mark.parametrize(
    ("value", "mode", "expected"),
    [
        (0.5, "min", 0.5),
        (0.5, "max", -0.5),
        *((v, m, np.inf) for v in (np.nan, np.inf, -np.inf) for m in ("min", "max")),
    ],
)
def test_a_score_is_minimised_and_what_is_not_finite_is_worst(value, mode, expected):
    assert Metric("loss", mode).score(value) == expected
