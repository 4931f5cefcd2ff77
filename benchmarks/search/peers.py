"""Runs Optuna's samplers and pruners on the same tasks: the same curves, workers and clock (the `bench` extra)."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import Any

from benchmarks.search.task import Task, Trace
from hpo_pipeline.space import Choice, Constant, Float, Int, Ordinal, SearchSpace
from hpo_pipeline.trial import Config, Value


@dataclass(frozen=True)
class Optuna:
    """A sampler and a pruner by the names of their classes; everything else is Optuna's default.

    The pruners get the rungs of the task's other methods: `min_resource` 1, `reduction_factor` 3.

    Attributes:
        n_seeds: the most seeds that it is run with, where it is slow.
    """

    sampler: str
    pruner: str = "NopPruner"
    n_seeds: int | None = None

    def missing(self) -> str | None:
        """Why it can't run here, or None."""
        return None if importlib.util.find_spec("optuna") else "Optuna is not installed: pip install -e '.[bench]'"

    def run(self, task: Task, seed: int) -> Trace:
        """One study: a worker asks for a trial, reports each unit, and asks for the next when it is pruned or done."""
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        sampler = getattr(optuna.samplers, self.sampler)(seed=seed)
        study = optuna.create_study(sampler=sampler, pruner=self._pruner(optuna, task))
        trace, curve = Trace(task), task.curve(seed)
        at_work: list[_Running] = []
        n_trials = 0
        while len(trace.regrets) < task.n_units:
            while len(at_work) < task.n_workers and (task.n_trials is None or n_trials < task.n_trials):
                trial = study.ask()
                at_work.append(_Running(n_trials, trial, suggested(trial, task.space)))
                n_trials += 1
            if not at_work:
                break
            for running in list(at_work):  # one unit of time: each worker reports one unit of resource
                running.resource += 1
                value = curve(running.id, running.config, running.resource)
                if value is None:
                    study.tell(running.trial, state=optuna.trial.TrialState.FAIL)
                    at_work.remove(running)
                    continue
                if len(trace.regrets) == task.n_units:
                    break
                trace.add(value)
                running.trial.report(value.observed, running.resource)
                if running.resource == task.max_resource:
                    study.tell(running.trial, value.observed)
                    at_work.remove(running)
                elif running.trial.should_prune():
                    study.tell(running.trial, state=optuna.trial.TrialState.PRUNED)
                    at_work.remove(running)
        return trace

    def _pruner(self, optuna: Any, task: Task) -> Any:
        match self.pruner:
            case "SuccessiveHalvingPruner":
                return optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=3)
            case "HyperbandPruner":
                return optuna.pruners.HyperbandPruner(
                    min_resource=1, max_resource=task.max_resource, reduction_factor=3
                )
            case name:
                return getattr(optuna.pruners, name)()


@dataclass
class _Running:
    """A trial at work; `trial` is Optuna's."""

    id: int
    trial: Any
    config: Config
    resource: int = 0


def suggested(trial: Any, space: SearchSpace) -> dict[str, Value]:
    """Optuna's configuration for a trial; what a condition excludes isn't asked for."""
    config: dict[str, Value] = {}
    for index, parameter in enumerate(space.parameters):
        if not parameter.is_active(config):
            continue
        path, domain = parameter.path, parameter.domain
        name = f"{path} ({index})"  # a path may have another domain under another condition
        match domain:
            case Constant():
                config[path] = domain.value
            case Float() if domain.n is None:
                config[path] = trial.suggest_float(name, domain.low, domain.high, log=domain.log, step=domain.step)
            case Int() if domain.base is None:
                config[path] = trial.suggest_int(name, domain.low, domain.high, log=domain.log, step=domain.step or 1)
            case Choice() | Ordinal():
                values = domain.values()
                config[path] = values[trial.suggest_categorical(name, range(len(values)))]
            case _:
                raise NotImplementedError(f"{path}: Optuna has no {domain}")
    return config
