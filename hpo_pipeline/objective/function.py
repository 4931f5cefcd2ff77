"""Any plain Python function as an objective: for benchmarks, for tests, and for what is not a network.

Nothing here needs torch: an evaluation of the function below costs microseconds.
"""

from __future__ import annotations

import json
import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hpo_pipeline.build import locate
from hpo_pipeline.errors import ConfigError, StudyError
from hpo_pipeline.objective import Metrics, TrialSpec
from hpo_pipeline.objective.signature import signature_problem


@dataclass(slots=True)
class FunctionState:
    """A trial: what the function is called with. `resource` is the number of units spent."""

    config: Mapping[str, Any]
    seed: int
    resource: int = 0


class Function:
    """Calls `f(config, resource, seed) -> {"name": value, ...}` once for each unit of resource.

    Args:
        function: dotted path of `f`. `config` is the trial's nested config, `resource` counts from 1, `seed` is the
            trial's own.
        threads: that a trial may use. They are for `f` to heed, which finds them as `config["threads"]`.
    """

    unit = "step"
    metrics: tuple[str, ...] = ()

    def __init__(self, function: str = "hpo_pipeline.objective.function.learning_curve", threads: int = 1) -> None:
        try:
            self.function: Callable[[Mapping[str, Any], int, int], Mapping[str, float]] = locate(function, "function")
        except ConfigError as error:
            raise ConfigError(replace(problem, path="function") for problem in error.problems) from None
        if problem := signature_problem(function, self.function, ("config", "resource", "seed")):
            raise ConfigError(problem)

    def start(self, trial: TrialSpec) -> FunctionState:
        return FunctionState(trial.config, trial.seed)

    def advance(self, state: FunctionState) -> Metrics:
        metrics = self.function(state.config, state.resource + 1, state.seed)
        state.resource += 1
        return {name: float(value) for name, value in metrics.items()}

    def save(self, state: FunctionState, path: Path) -> None:
        path.write_text(json.dumps({"resource": state.resource}))

    def load(self, trial: TrialSpec, path: Path) -> FunctionState:
        """The trial that was saved.

        Raises:
            StudyError: the file is missing or no checkpoint of this objective.
        """
        try:
            resource = operator.index(json.loads(path.read_bytes())["resource"])
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise StudyError(f"{path}: not a checkpoint ({error!r}); remove it and run the trial again") from None
        return FunctionState(trial.config, trial.seed, resource)


def learning_curve(config: Mapping[str, Any], resource: int, seed: int) -> Metrics:
    """A made-up learning curve in closed form, best at a learning rate of 0.003.

    With z = log10(lr / 0.003), w = log10(weight_decay) + 5, and p the dropout rates `dropout_1` and `dropout_2`, where
    `params`, or else `optimizer` and `model`, have them:

        asymptote a  = min(0.9, 0.1 + 0.02 z^2 + 0.002 w^2 + 0.1 (p_1^2 + p_2^2))
        speed c      = 0.8 * 2^(z / 4), within 0.4 to 1.6: larger steps learn faster, so curves cross
        error(r)     = a + (0.9 - a) (1 + r)^-c, from 0.9 (chance among ten classes) down to a

    The loss is -ln(1 - error), as if the right class always got the same probability; the training loss is 0.9 of it.
    Every metric is NaN where lr is not positive. `seed` plays no part.
    """
    values: dict[str, Any] = {}
    for group in ("model", "optimizer", "params"):
        values |= config.get(group) or {}
    lr, weight_decay = values.get("lr", 0.003), values.get("weight_decay")
    if not lr > 0:
        return dict.fromkeys(("validation_error", "validation_loss", "train_loss"), math.nan)
    z = math.log10(lr / 0.003)
    asymptote = 0.1 + 0.02 * z**2 + 0.1 * sum(values.get(key, 0.0) ** 2 for key in ("dropout_1", "dropout_2"))
    if weight_decay:
        asymptote += 0.002 * (math.log10(weight_decay) + 5) ** 2
    asymptote = min(0.9, asymptote)
    speed = min(1.6, max(0.4, 0.8 * 2 ** (z / 4)))
    error = asymptote + (0.9 - asymptote) * (1 + resource) ** -speed
    loss = -math.log(1 - error)
    return {"validation_error": error, "validation_loss": loss, "train_loss": 0.9 * loss}
