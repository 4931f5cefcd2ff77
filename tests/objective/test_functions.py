"""The ready functions at their known optima, and as studies by one word on the command line."""

from __future__ import annotations

import math
import statistics

import pytest
from commands import journal, run

from hpo_pipeline.errors import ConfigError
from hpo_pipeline.objective import functions
from hpo_pipeline.objective.function import Function

HARTMANN = (0.20169, 0.150011, 0.476874, 0.275332, 0.311652, 0.6573)


def at(name: str, *x: float, resource: int = 1, seed: int = 0, **keys: int) -> float:
    config = {"params": {f"x{i}": value for i, value in enumerate(x)}, **keys}
    return getattr(functions, name)(config, resource, seed)["value"]


@pytest.mark.parametrize("x", [(-math.pi, 12.275), (math.pi, 2.275), (9.42478, 2.475)])
def test_branin_has_three_minima(x):
    assert at("branin", *x) == pytest.approx(0.397887, abs=1e-6)


def test_hartmann_ackley_and_the_garden_have_one_optimum():
    assert at("hartmann6", *HARTMANN) == pytest.approx(-3.32237, abs=1e-5)
    assert at("ackley", *[0.0] * 10) == pytest.approx(0, abs=1e-12)
    # at (1, 1): -20 exp(-0.2) - e + 20 + e
    assert at("ackley", 1.0, 1.0) == pytest.approx(20 - 20 * math.exp(-0.2))
    areas = [functions.garden({"params": {"width": width}}, 1, 0)["area"] for width in (124, 125, 126)]
    assert areas == [31248, 31250, 31248]


def test_multi_fidelity_hartmann_is_hartmann_in_the_end_and_biased_and_noisy_before():
    assert at("mf_hartmann", *HARTMANN, resource=27, max_resource=27) == at("hartmann6", *HARTMANN)
    # At resource 1 the four summands lose 0.5 of their weight each; at 3 of 27, z = 1/3.
    sums = [sum(math.exp(-a) for a in exponents()), at("hartmann6", *HARTMANN)]
    for resource, left in ((1, 1.0), (3, 2 / 3)):
        values = [at("mf_hartmann", *HARTMANN, resource=resource, seed=seed, max_resource=27) for seed in range(300)]
        spread = 0.1 * left
        assert statistics.mean(values) == pytest.approx(sums[1] + 0.5 * left**2 * sums[0], abs=4 * spread / 300**0.5)
        assert statistics.stdev(values) == pytest.approx(spread, rel=0.2)


def exponents() -> list[float]:
    """Of Hartmann's four summands at its optimum."""
    return [
        sum(a * (x - p) ** 2 for a, x, p in zip(row, HARTMANN, place, strict=True))
        for row, place in zip(functions._A, functions._P, strict=True)
    ]


@pytest.mark.parametrize("name", ["branin", "hartmann6", "ackley", "mf_hartmann"])
def test_each_is_a_study_by_one_word(name):
    ended = run(f"experiment={name}", "executor=serial", "tracker=none", "n_trials=2", "name=s", "searcher=random")
    assert ended.code == 0, ended.err
    assert any("value" in record["metrics"] for record in journal("s") if record["event"] == "report")


def test_fifty_trials_find_the_garden():
    ended = run("experiment=garden", "executor=serial", "tracker=none", "name=s")
    assert ended.code == 0, ended.err
    best = max(record["metrics"]["area"] for record in journal("s") if record["event"] == "report")
    assert 31200 < best <= 31250


@pytest.mark.parametrize("name", ["generator", "_hartmann", "math"])
def test_what_is_beside_them_is_not_offered(name):
    with pytest.raises(ConfigError, match=r"is no function; it may be|is not a class or a function"):
        Function(f"hpo_pipeline.objective.functions.{name}")
