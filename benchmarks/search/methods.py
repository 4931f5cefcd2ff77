"""The methods: a line each. A `Study` names options of conf/, with the keys that differ from what is written there."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.search.peers import Optuna
from benchmarks.search.product import Study

Method = Study | Optuna

BRACKETS = {"asha": {"brackets": 4}}

MULTI_FIDELITY: Mapping[str, Method] = {
    "random": Study("random", "fifo"),  # every trial to the end
    "asha": Study("random", "asha"),
    "asha, eager": Study("random", "asha_eager"),
    "asha, brackets": Study("random", BRACKETS),
    "hyperband": Study("random", "hyperband"),
    "asha+tpe": Study("tpe", "asha"),
    "BOHB": Study("tpe", "hyperband"),
    "MOBSTER": Study("gp", "asha"),
    "Hyper-Tune": Study("hypertune", BRACKETS),
    "DEHB": Study("de", "hyperband"),
    "trees": Study("trees", "asha_eager"),
    "auto": Study("auto", "asha_eager"),
    "Optuna TPE + SHA": Optuna("TPESampler", "SuccessiveHalvingPruner"),
    "Optuna TPE + Hyperband": Optuna("TPESampler", "HyperbandPruner"),
}

SINGLE_FIDELITY: Mapping[str, Method] = {
    "random": Study("random", "fifo"),
    "sobol": Study("sobol", "fifo"),
    "tpe": Study("tpe", "fifo"),
    "gp": Study("gp", "fifo"),
    "trees": Study("trees", "fifo"),
    "cmaes": Study("cmaes", "fifo"),
    "evolution": Study("evolution", "fifo"),
    "auto": Study("auto", "fifo"),
    "Optuna TPE": Optuna("TPESampler"),
    "Optuna GP": Optuna("GPSampler", n_seeds=5),  # up to a minute a run
}


def baseline(name: str, methods: Mapping[str, Method]) -> str | None:
    """The method that is random under the same scheduler; None of random itself, and of peers."""
    own = methods[name]
    if not isinstance(own, Study) or own.searcher == "random":
        return None
    return next((other for other, method in methods.items() if method == Study("random", own.scheduler)), None)
