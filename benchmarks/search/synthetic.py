"""synthetic: made-up trainings (landscape.py), 4 and 8 continuous hyperparameters, ten instances each.

    benign        the rank correlation of the first unit with the end is about .8
    treacherous   it is below .4: what ends well begins slowly

Regret is the loss over that of the median configuration's end; the best is 0.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

from benchmarks.search.landscape import BENIGN, MEDIAN, TREACHEROUS, Landscape
from benchmarks.search.task import Curve, Task, Value
from hpo_pipeline.seeding import derived_seed
from hpo_pipeline.space import SearchSpace
from hpo_pipeline.trial import Config

FAMILIES = {"benign": BENIGN, "treacherous": TREACHEROUS}
DIMENSIONS = (4, 8)
N_INSTANCES = 10
MAX_RESOURCE = 50


def cube(dim: int) -> SearchSpace:
    return SearchSpace.parse({f"x{i}": {"type": "float", "low": 0.0, "high": 1.0} for i in range(dim)})


@functools.cache
def instance(family: str, dim: int, number: int) -> Landscape:
    seed = derived_seed(number, family, dim)
    return Landscape(cube(dim), FAMILIES[family], MAX_RESOURCE, seed)


def tasks() -> Iterator[Task]:
    for family in FAMILIES:
        for dim in DIMENSIONS:
            for number in range(N_INSTANCES):
                yield Task(
                    suite="synthetic",
                    group=family,
                    name=f"{dim}d-{number}",
                    space=cube(dim),
                    curve=functools.partial(lambda made, _seed: curve(instance(*made)), (family, dim, number)),
                    max_resource=MAX_RESOURCE,
                    n_units=1000,
                    scale=MEDIAN,
                )


def curve(landscape: Landscape) -> Curve:
    curves: dict[int, list[float]] = {}

    def value(trial_id: int, config: Config, resource: int) -> Value:
        if trial_id not in curves:
            curves[trial_id] = landscape.curve(config)
        loss = curves[trial_id][resource - 1]
        return Value(loss, loss)

    return value
