"""A function that trains as an objective: `def train(config, trial)`, which reports or yields after each epoch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from hpo_pipeline.build import locate
from hpo_pipeline.errors import ConfigError, Problem
from hpo_pipeline.objective.reporting import Reporting, Trial
from hpo_pipeline.objective.signature import signature_problem


class TrainFunction(Reporting):
    """Calls `train(config, trial)`: a loop that calls `trial.report`, or a generator that yields its metrics.

    Args:
        function: dotted path of `train`. `config` is the trial's nested config, `trial` a `reporting.Trial`.
        threads: that a trial may use.
    """

    def __init__(self, function: str | None = None, threads: int | None = None) -> None:
        if function is None:
            what = "name your function: objective.function=my_module.train, and trust it: HPO_TRUST=my_module"
            raise ConfigError(Problem("function", what))
        try:
            self._train: Callable[[Mapping[str, Any], Trial], Any] = locate(function, "train_function")
        except ConfigError as error:
            raise ConfigError(replace(problem, path="function") for problem in error.problems) from None
        if problem := signature_problem(function, self._train, ("config", "trial")):
            raise ConfigError(problem)
        super().__init__(threads)
        self._name = function

    @property
    def name(self) -> str:
        return self._name

    def train(self, config: Mapping[str, Any], trial: Trial) -> Any:
        return self._train(config, trial)
