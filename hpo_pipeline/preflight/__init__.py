"""Checks a whole config before anything starts, and builds its components: every error at once, or none.

Both checks raise a ConfigError with every problem. With `data`, they make sure that the data is there, too, which may
download, and raise a StudyError if it isn't.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from hpo_pipeline import replay
from hpo_pipeline.budget import Budget
from hpo_pipeline.build import build, takes
from hpo_pipeline.checks import option_problems
from hpo_pipeline.config.composed import Composed
from hpo_pipeline.config.hydra_keys import name_problems
from hpo_pipeline.errors import Problem
from hpo_pipeline.evaluation import MODES
from hpo_pipeline.executor import Executor
from hpo_pipeline.executor.runner import StudySetup
from hpo_pipeline.metric_checks import metric_problems, required_metrics, searcher_for_metrics
from hpo_pipeline.objective import (
    Objective,
    SupportsData,
    SupportsDevices,
    SupportsTest,
)
from hpo_pipeline.preflight.collected import Preflight
from hpo_pipeline.preflight.samples import NO_SPACE, check_config, check_models, search_space
from hpo_pipeline.ranking import ranking_of
from hpo_pipeline.scheduler import Scheduler
from hpo_pipeline.scheduler.finalists import NO_FINALISTS, FinalistSettings, finalist_settings
from hpo_pipeline.searcher.scalarised import Scalarised
from hpo_pipeline.searcher.trial_generator import TrialGenerator
from hpo_pipeline.seeding import trial_seed
from hpo_pipeline.space import SearchSpace
from hpo_pipeline.tracker import Tracker
from hpo_pipeline.warm_start import WarmStart, component, warm_start

_MOST_THREADS = 1024
"""Of one training: where a process can't have as many, the threads' library ends it without a word."""


@dataclass(frozen=True, slots=True)
class Components:
    """A study's parts, built and ready; none of them has started anything."""

    space: SearchSpace
    trials: TrialGenerator
    scheduler: Scheduler
    objective: Objective
    executor: Executor
    trackers: list[Tracker]
    budget: Budget
    finalists: FinalistSettings
    earlier: WarmStart | None


def check_training(composed: Composed, *, data: bool = True) -> tuple[Objective, list[Tracker]]:
    """Builds what train.py needs."""
    flight = Preflight(composed.config, composed.problems)
    flight.numbers(least=1, keys=("resource",))
    objective = _training_part(flight, composed)
    check_config(flight, composed, objective, composed.training)
    check_models(flight, objective, [composed.training])
    trackers = flight.trackers(look=data)
    flight.raise_problems()
    assert objective is not None
    if data and isinstance(objective, SupportsData):  # before several workers ask for it at the same time
        objective.available(composed.training)
    return objective, trackers


def check_study(composed: Composed, *, data: bool = True) -> Components:
    """Builds a study's parts."""
    config = composed.config
    flight = Preflight(config, composed.problems)
    objective = _training_part(flight, composed)
    flight.numbers(least=1, keys=("n_trials", "max_total_resource", "max_seconds"))
    flight.numbers(least=0, keys=("max_failures",))
    budget = Budget(**{limit.name: config[limit.name] for limit in fields(Budget)})
    space = search_space(flight, composed, objective)
    node, offered = component(config["searcher"]), {"space": space or NO_SPACE, "seed": config["seed"]}
    searcher = flight.built("searcher", node, **offered)
    points = config["points_to_evaluate"]
    trials: TrialGenerator | None = None
    if space and searcher:
        compared = searcher_for_metrics(composed, searcher, lambda: build(node, "searcher", **offered))
        trials = flight.attempt(lambda: TrialGenerator(compared, space, budget.n_trials, points))
    if not budget.is_limited and not (searcher and searcher.finite):
        what = "no limit is set; give n_trials, max_total_resource, max_seconds or target"
        flight.problems.append(Problem("n_trials", what))
    ranking = ranking_of(composed.metrics)
    scheduler = flight.build("scheduler", trials=trials, space=space or NO_SPACE, ranking=ranking, seed=config["seed"])
    finalists = flight.attempt(lambda: finalist_settings(config)) or NO_FINALISTS
    devices: list[str] = objective.devices() if isinstance(objective, SupportsDevices) else []
    executor = flight.build("executor", setup=_setup(composed), devices=devices)
    trackers = flight.trackers(look=data)
    earlier: WarmStart | None = None
    if data and space and searcher:
        earlier = flight.attempt(lambda: warm_start(searcher, config, space, composed.metrics[0], trackers))
    flight.raise_problems()
    assert space is not None
    assert trials is not None
    assert objective is not None
    if data and isinstance(objective, SupportsData):  # before several workers ask for it at the same time
        objective.available(composed.training)
    if earlier:
        trials.notes += earlier.notes
        if isinstance(compared, Scalarised):
            compared.begin_with(earlier.studies)
    return Components(space, trials, scheduler, objective, executor, trackers, budget, finalists, earlier)


def _training_part(flight: Preflight, composed: Composed) -> Objective | None:
    config = composed.config
    flight.problems += name_problems(config["name"])
    flight.numbers(least=0, keys=("seed", "trial"))
    flight.numbers(least=1, keys=("max_resource", "threads"))
    flight.problems += option_problems(MODES, mode=config["mode"])
    if config["threads"] > _MOST_THREADS:
        flight.problems.append(Problem("threads", f"must be at most {_MOST_THREADS}", config["threads"]))
    threads = min(max(1, config["threads"]), _MOST_THREADS)
    final, uri = config.get("final", False), replay.tracker_uri(config)
    made = flight.build("objective", threads=threads, final=final, tracker_uri=uri)
    objective: Objective | None = made
    if objective is None:
        return None
    flight.problems += _unmet_wishes(config, objective)
    flight.problems += metric_problems(composed, objective)
    return objective


def _unmet_wishes(config: dict[str, Any], objective: Objective) -> Iterator[Problem]:
    """What a person has asked for and the objective has no use for."""
    node = config["objective"]
    if config.get("final", False) and not (takes(node, "objective", "final") and isinstance(objective, SupportsTest)):
        what = f"{node['_target_']} has no final training, which takes an argument `final` and a method `test`"
        yield Problem("final", f"{what}; leave final=true out")
    if config["threads"] > 1 and not takes(node, "objective", "threads"):
        yield Problem("threads", f"{node['_target_']} takes no threads, got {config['threads']}; leave them at 1")


def _setup(composed: Composed) -> StudySetup:
    config = composed.config
    return StudySetup(
        objective=config["objective"],
        metrics=tuple(required_metrics(composed)),
        folder=Path(config["folder"]) / "trials",
        merge=composed.trial_config,
        trial_seed=lambda trial_id: trial_seed(config["seed"], trial_id),
        best_by=composed.metrics[0],
        log_levels=composed.log_levels,
    )
