"""single: functions without a training; one evaluation at a time, 100 in all. What counts is the lowest value found.

    Branin       2 dimensions, least value 0.397887
    Hartmann-6   6 dimensions, least value -3.32237
    Ackley-10    10 dimensions in [-32.768, 32.768], least value 0
    mixed        a logarithmic range, an integer, a choice and a range with steps; least value 0
    conditional  two optimizers, each with hyperparameters of its own; least value 0

The first three are those of `hpo_pipeline.objective.functions`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from benchmarks.search.task import Curve, Task, Value
from hpo_pipeline.objective import functions
from hpo_pipeline.space import SearchSpace
from hpo_pipeline.trial import Config

Function = Callable[[Mapping[str, Any]], float]


def _of(function: Callable[[Mapping[str, Any], int, int], Mapping[str, float]]) -> Function:
    return lambda c: function({"params": c}, 1, 0)["value"]


def mixed(c: Mapping[str, Any]) -> float:
    """Wider networks want smaller learning rates; the best is lr 1e-3, 64 units, gelu, dropout 0.3."""
    log_lr, doublings = math.log10(c["lr"]) + 3, math.log2(c["n_units"] / 64)
    activation = {"gelu": 0.0, "relu": 0.15, "tanh": 0.4, "sigmoid": 1.0}[c["activation"]]
    return (log_lr + 0.3 * doublings) ** 2 / 2 + doublings**2 / 8 + activation + 4 * (c["dropout"] - 0.3) ** 2


def conditional(c: Mapping[str, Any]) -> float:
    """The best is adam with lr 1e-3 and beta2 0.99; sgd comes to 0.05 with lr 0.1 and momentum 0.9."""
    depth = (c["n_layers"] - 3) ** 2 / 10
    if c["optimizer"] == "adam":
        return depth + (math.log10(c["lr"]) + 3) ** 2 / 2 + (math.log10(1 - c["beta2"]) + 2) ** 2 / 4
    return 0.05 + depth + (math.log10(c["lr"]) + 1) ** 2 / 4 + 2 * (c["momentum"] - 0.9) ** 2


def _box(low: float, high: float, dim: int) -> dict[str, Any]:
    return {f"x{i}": {"type": "float", "low": low, "high": high} for i in range(dim)}


FUNCTIONS: Mapping[str, tuple[Function, Mapping[str, Any]]] = {
    "Branin": (
        _of(functions.branin),
        {"x0": _box(-5.0, 10.0, 1)["x0"], "x1": {"type": "float", "low": 0.0, "high": 15.0}},
    ),
    "Hartmann-6": (_of(functions.hartmann6), _box(0.0, 1.0, 6)),
    "Ackley-10": (_of(functions.ackley), _box(-32.768, 32.768, 10)),
    "mixed": (
        mixed,
        {
            "lr": {"type": "float", "low": 1e-6, "high": 1.0, "log": True},
            "n_units": {"type": "int", "low": 4, "high": 1024, "log": True},
            "activation": {"type": "choice", "choices": ["relu", "tanh", "sigmoid", "gelu"]},
            "dropout": {"type": "float", "low": 0.0, "high": 0.9, "step": 0.1},
        },
    ),
    "conditional": (
        conditional,
        {
            "optimizer": {
                "type": "choice",
                "choices": {
                    "sgd": {"momentum": {"type": "float", "low": 0.0, "high": 0.99}},
                    "adam": {"beta2": {"type": "float", "low": 0.9, "high": 0.9999}},
                },
            },
            "lr": {"type": "float", "low": 1e-6, "high": 1.0, "log": True},
            "n_layers": {"type": "int", "low": 1, "high": 6},
        },
    ),
}


def tasks() -> Iterator[Task]:
    for name, (function, tree) in FUNCTIONS.items():
        yield Task(
            suite="single",
            group=name,
            name=name,
            space=SearchSpace.parse(tree),
            curve=functools.partial(lambda function, _seed: _curve(function), function),
            max_resource=1,
            n_units=100,
            n_workers=1,
        )


def _curve(function: Function) -> Curve:
    def value(_trial_id: int, config: Config, _resource: int) -> Value:
        found = function({path.rpartition(".")[2]: value for path, value in config.items()})
        return Value(found, found)

    return value
