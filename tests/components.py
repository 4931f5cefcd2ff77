"""Schedulers, searchers and search spaces that the contract suites run over."""

from __future__ import annotations

from hpo_pipeline.scheduler.asha import ASHA
from hpo_pipeline.scheduler.fifo import FIFO
from hpo_pipeline.scheduler.hyperband import Hyperband
from hpo_pipeline.scheduler.median_stopping import MedianStopping
from hpo_pipeline.scheduler.pasha import PASHA
from hpo_pipeline.scheduler.pbt import PBT
from hpo_pipeline.scheduler.successive_halving import SuccessiveHalving
from hpo_pipeline.searcher.auto import AutoSearch
from hpo_pipeline.searcher.cmaes import CMAES
from hpo_pipeline.searcher.de import DifferentialEvolution
from hpo_pipeline.searcher.evolution import RegularizedEvolution
from hpo_pipeline.searcher.gp import GPSearch
from hpo_pipeline.searcher.grid import GridSearch
from hpo_pipeline.searcher.hypertune import HyperTune
from hpo_pipeline.searcher.priorband import PriorBand
from hpo_pipeline.searcher.random import RandomSearch
from hpo_pipeline.searcher.sobol import SobolSearch
from hpo_pipeline.searcher.tpe import TPE
from hpo_pipeline.searcher.trees import TreeSearch
from hpo_pipeline.simulation import SPACE
from hpo_pipeline.space import SearchSpace

SCHEDULERS = {
    "fifo": lambda trials, space=SPACE: FIFO(trials, max_resource=4),
    "successive_halving": lambda trials, space=SPACE: SuccessiveHalving(trials, eta=2, min_resource=1, max_resource=8),
    "asha promotion": lambda trials, space=SPACE: ASHA(trials, eta=3, min_resource=1, max_resource=9),
    "asha stopping": lambda trials, space=SPACE: ASHA(trials, eta=2, min_resource=1, max_resource=8, type="stopping"),
    "asha beyond the paper": lambda trials, space=SPACE: ASHA(
        trials, 2, 1, 8, fill_rungs=True, early_eta=[4, 3], early_trials=12, leaders=[4, 2], probes=3
    ),
    "async hyperband": lambda trials, space=SPACE: ASHA(trials, 3, 1, 9, brackets=3),
    "async hyperband stopping": lambda trials, space=SPACE: ASHA(trials, 3, 1, 9, type="stopping", brackets=2),
    "hyperband": lambda trials, space=SPACE: Hyperband(trials, eta=3, min_resource=1, max_resource=9),
    "median_stopping": lambda trials, space=SPACE: MedianStopping(trials, max_resource=5, grace_period=2),
    "pasha": lambda trials, space=SPACE: PASHA(trials, eta=2, min_resource=1, max_resource=16),
    "pbt": lambda trials, space=SPACE: PBT(trials, space, seed=0, max_resource=4, population=6),
}
"""name -> (trials, space) -> scheduler."""

SEARCHERS = {
    "random": RandomSearch,
    "grid": GridSearch,
    "sobol": SobolSearch,
    # the incumbent comes into play after the third evaluation
    "priorband": lambda space, seed: PriorBand(space, seed, max_resource=1),
    # a third of the trials is never evaluated, so that models begin late
    "de": lambda space, seed: DifferentialEvolution(space, seed, population=4),
    "cmaes": lambda space, seed: CMAES(space, seed, population=4),
    "evolution": lambda space, seed: RegularizedEvolution(space, seed, population=6, sample=3, n_startup=3),
    "tpe": lambda space, seed: TPE(space, seed, n_startup=3),
    "gp": lambda space, seed: GPSearch(space, seed, n_startup=4, uniform=0.8),  # quick; test_gp.py has 0
    "hypertune": lambda space, seed: HyperTune(space, seed, brackets=2, n_startup=4, uniform=0.8),
    "trees": lambda space, seed: TreeSearch(space, seed, n_startup=3),
    "auto": lambda space, seed: AutoSearch(space, seed, max_resource=4, n_startup=3),
}
"""name -> (space, seed) -> searcher."""

SPACES = {
    "continuous": {
        "lr": {"type": "float", "low": 1e-6, "high": 1.0, "log": True, "prior": {"center": 1e-3}},
        "momentum": {"type": "float", "low": 0.0, "high": 0.99},
    },
    "finite": {
        "n_layers": {"type": "int", "low": 1, "high": 3, "prior": {"center": 2, "confidence": "high"}},
        "activation": {"type": "choice", "choices": ["relu", "tanh"]},
    },  # 6 configurations
    "conditional": {
        "optimizer": {
            "type": "choice",
            "prior": {"center": "sgd"},
            "choices": {
                "sgd": {
                    "lr": {"type": "float", "low": 1e-3, "high": 1.0, "log": True},
                    "momentum": {"type": "float", "low": 0.0, "high": 0.99, "prior": {"center": 0.9}},
                },
                "adam": {"lr": {"type": "float", "low": 1e-5, "high": 1e-2, "log": True}},
            },
        },
        "epsilon": 1e-8,
    },
    "constrained": {
        "first": {"type": "int", "low": 1, "high": 4, "prior": {"center": 3}},
        "second": {"type": "int", "low": 1, "high": 4, "prior": {"center": 4}},
        "constraints": ["second <= first"],
    },  # 4 + 3 + 2 + 1 = 10 configurations
}
SPACES = {name: SearchSpace.parse(tree) for name, tree in SPACES.items()}
