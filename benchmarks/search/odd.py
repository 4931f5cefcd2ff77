"""odd: where learning is hard or there is little to learn from: each method against random with the same scheduler.

Benign made-up trainings (landscape.py), another one for each seed; one thing is changed in each case. Regret is the
loss over that of the median configuration's end.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks.search import synthetic
from benchmarks.search.landscape import BENIGN, MEDIAN, START, Landscape
from benchmarks.search.task import Curve, Task, Value
from hpo_pipeline.seeding import generator
from hpo_pipeline.space import SearchSpace
from hpo_pipeline.trial import Config

MAX_RESOURCE = 27
NOISE = 0.05
"""Standard deviation of what is observed, as a part of the loss before training."""
FAILURES = 0.1

CATEGORICAL = {f"c{i}": {"type": "choice", "choices": ["a", "b", "c", "d", "e"]} for i in range(5)}
CONDITIONAL: Mapping[str, Any] = {
    "optimizer": {
        "type": "choice",
        "choices": {
            "sgd": {
                "lr": {"type": "float", "low": 1e-3, "high": 1.0, "log": True},
                "momentum": {"type": "float", "low": 0.0, "high": 0.99},
            },
            "adam": {
                "lr": {"type": "float", "low": 1e-5, "high": 1e-1, "log": True},
                "beta2": {"type": "float", "low": 0.9, "high": 0.999},
            },
        },
    },
    "model": {
        "n_layers": {"type": "int", "low": 1, "high": 3},
        "width_1": {"type": "int", "low": 8, "high": 512, "log": True},
        "width_2": {"type": "int", "low": 8, "high": 512, "log": True, "when": {"model.n_layers": [2, 3]}},
        "width_3": {"type": "int", "low": 8, "high": 512, "log": True, "when": {"model.n_layers": 3}},
        "activation": {"type": "choice", "choices": ["relu", "tanh", "gelu"]},
    },
}


@dataclass(frozen=True)
class Case:
    """What differs from four dimensions, four workers and exact results."""

    space: SearchSpace = field(default_factory=lambda: synthetic.cube(4))
    noise: float = 0.0
    failures: float = 0.0
    limits: Mapping[str, int] = field(default_factory=dict)


CASES = {
    "20 trials": Case(limits={"n_trials": 20}),
    "2 dimensions": Case(synthetic.cube(2)),
    "20 dimensions": Case(synthetic.cube(20)),
    "1 worker": Case(limits={"n_workers": 1}),
    "32 workers": Case(limits={"n_workers": 32}),
    "noise 5 %": Case(noise=NOISE),
    "failures 10 %": Case(failures=FAILURES),
    "categorical": Case(SearchSpace.parse(CATEGORICAL)),
    "conditional": Case(SearchSpace.parse(CONDITIONAL)),
}


def tasks() -> Iterator[Task]:
    for name, case in CASES.items():
        yield Task(
            suite="odd",
            group=name,
            name=name,
            space=case.space,
            curve=functools.partial(curve, case),
            max_resource=MAX_RESOURCE,
            n_units=500,
            scale=MEDIAN,
            **case.limits,
        )


def curve(case: Case, seed: int) -> Curve:
    """A new landscape for each seed, with the case's noise and failures."""
    exact = synthetic.curve(Landscape(case.space, BENIGN, MAX_RESOURCE, seed))

    def value(trial_id: int, config: Config, resource: int) -> Value | None:
        if case.failures and generator(seed, "failure", trial_id).random() < case.failures:
            return None
        loss = exact(trial_id, config, resource)
        if not case.noise or loss is None:
            return loss
        error = case.noise * START * generator(seed, "noise", trial_id, resource).standard_normal()
        return Value(loss.true + float(error), loss.true)

    return value
