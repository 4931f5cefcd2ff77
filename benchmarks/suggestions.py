"""What a suggestion costs, beside its peer in the same process, on one core.

    python benchmarks/suggestions.py                  every row
    python benchmarks/suggestions.py tpe gp           those of some searchers
    python benchmarks/suggestions.py tpe --sizes 1000 10000 100000    how it grows with the trials, of one searcher

A searcher hears of n evaluations of a smooth function at random configurations; before each of the last quarter it
suggests. "median" is over the last 50 suggestions; "slowest" is over all of them, among which there is a refit, where
models are refitted when there is a third more. The peer, a sampler of Optuna, is asked in a study of the same trials.
Processor time; the medians of --repeats runs.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy

import argparse
import statistics
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from composing import composed
from hydra.errors import MissingConfigException

from hpo_pipeline.build import build
from hpo_pipeline.evaluation import Metric, evaluation
from hpo_pipeline.searcher import Searcher
from hpo_pipeline.seeding import generator
from hpo_pipeline.space import SearchSpace
from hpo_pipeline.trial import Config, Job, Trial
from hpo_pipeline.warm_start import component

LAST = 50
N_GROWN = 12


@dataclass(frozen=True)
class Row:
    """A decision that is measured.

    Attributes:
        searcher: its YAML file, with overrides.
        n: evaluations.
        limits: milliseconds that the median, and the slowest, are to stay below.
        peer: a sampler of Optuna, and how often it is asked.
        rungs: several resources: a third of the trials on each goes on to the next.
    """

    searcher: str
    dim: int
    n: int
    limits: tuple[float | None, float | None]
    peer: tuple[str, int] | None = None
    rungs: tuple[int, ...] = (1,)


ROWS = (
    Row("tpe", 10, 1000, (1.0, None), ("TPESampler", 50)),
    Row("trees", 8, 1000, (5.0, None), ("TPESampler", 50)),
    Row("gp", 8, 200, (20.0, 60.0), ("GPSampler", 5)),
    Row("gp", 8, 1000, (20.0, 600.0), ("GPSampler", 3)),
    Row("gp", 8, 400, (None, 150.0), None, rungs=(1, 3, 9, 27)),
)


def space_of(dim: int) -> SearchSpace:
    return SearchSpace.parse({f"x{i}": {"type": "float", "low": 0.0, "high": 1.0} for i in range(dim)})


def score(config: Config, resource: int = 1) -> float:
    """A bowl with an edge, the lower the longer it was trained."""
    x = np.array(list(config.values()), dtype=float)
    return float(np.sum((x - 0.35) ** 2) + 0.1 * np.abs(x[0] - x[-1]) + 1 / resource)


def evaluations(space: SearchSpace, row: Row, seed: int) -> Iterator[tuple[int, Config, int, int]]:
    """(trial id, configuration, resource, rung) of random trials, until there are as many as the row says."""
    configs = [space.sample(generator(seed, "random", i)) for i in range(row.n)]
    share = sum(3.0**-k for k in range(len(row.rungs)))
    on_rung = list(range(round(row.n / share)))
    for k, resource in enumerate(row.rungs):
        for i in on_rung:
            yield i, configs[i], resource, k
        on_rung = sorted(on_rung, key=lambda i: score(configs[i]))[: len(on_rung) // 3]


def hear(searcher: Searcher, trial_id: int, config: Config, resource: int, rung: int) -> None:
    job = Job(Trial(trial_id, config), resource, rung=rung)
    searcher.on_submitted(job)
    searcher.on_evaluation(evaluation(job, resource, {"loss": score(config, resource)}, [Metric("loss")]))


def seconds_of(searcher: Searcher, row: Row, seed: int) -> list[float]:
    """Of a suggestion before each of the last quarter of the evaluations."""
    heard = list(evaluations(space_of(row.dim), row, seed))
    n_before = len(heard) * 3 // 4
    for one in heard[:n_before]:
        hear(searcher, *one)
    searcher.suggest(row.n - 1)  # imports, and the fits that are due
    seconds = []
    for trial_id, one in enumerate(heard[n_before:], start=row.n):
        began = time.process_time()
        searcher.suggest(trial_id)
        seconds.append(time.process_time() - began)
        hear(searcher, *one)
    return seconds


def growth(name: str, sizes: Sequence[int], dim: int = 8) -> Iterator[str]:
    """Lines on one searcher: what suggestions cost after so many evaluations."""
    config, space = composed("objective=function", f"searcher={name}").config["searcher"], space_of(dim)
    learns = {"uniform": 0.0} if "uniform" in config else {}
    searcher = build(component({**config, **learns}), "searcher", space=space, seed=0)
    heard = 0
    for n in sizes:
        seconds = []
        while len(seconds) <= N_GROWN:
            if heard >= n:
                began = time.process_time()
                searcher.suggest(heard)
                seconds.append(time.process_time() - began)
            hear(searcher, heard, space.sample(generator(0, "random", heard)), 1, 0)
            heard += 1
        first, *others = (1e3 * one for one in seconds)
        yield f"{name:10}{n:>9}{first:>12.1f}{statistics.median(others):>10.2f}"


def peer_seconds(row: Row, seed: int) -> list[float]:
    """Of asking Optuna's sampler, with its defaults."""
    import optuna
    from optuna.distributions import FloatDistribution

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    assert row.peer is not None
    name, n_asked = row.peer
    space = space_of(row.dim)
    distributions = {path: FloatDistribution(0.0, 1.0) for path in space.paths}
    study = optuna.create_study(sampler=getattr(optuna.samplers, name)(seed=seed))
    for _, config, _, _ in list(evaluations(space, row, seed))[: row.n - n_asked]:
        study.add_trial(
            optuna.trial.create_trial(params=dict(config), distributions=distributions, value=score(config))
        )
    seconds = []
    for _ in range(n_asked):
        began = time.process_time()
        trial = study.ask(distributions)
        seconds.append(time.process_time() - began)
        study.tell(trial, score(trial.params))
    return seconds


def line(row: Row, repeats: int) -> str:
    try:
        config = composed("objective=function", f"searcher={row.searcher}").config["searcher"]
    except MissingConfigException:
        return "        there is no such searcher"
    learns = {"uniform": 0.0} if "uniform" in config else {}
    runs = []
    for seed in range(repeats):
        searcher = build(component({**config, **learns}), "searcher", space=space_of(row.dim), seed=seed)
        runs.append(seconds_of(searcher, row, seed))
    median = statistics.median(1e3 * statistics.median(seconds[-LAST:]) for seconds in runs)
    slowest = statistics.median(1e3 * max(seconds) for seconds in runs)
    told = f"{median:9.2f}{_limit(row.limits[0], median)}{slowest:10.1f}{_limit(row.limits[1], slowest)}"
    if row.peer is None:
        return told
    peer = statistics.median(1e3 * statistics.median(peer_seconds(row, seed)) for seed in range(repeats))
    return f"{told}   {row.peer[0]} {peer:.1f}"


def _limit(limit: float | None, value: float) -> str:
    return " " * 14 if limit is None else f" {'<=' if value <= limit else '> '} {limit:<10g}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("searchers", nargs="*", help="names of YAML files in conf/searcher")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--sizes", nargs="+", type=int, help="evaluations after which to measure, instead of the rows")
    arguments = parser.parse_args()
    if arguments.sizes:
        print("milliseconds a suggestion\nsearcher  evaluations       first    median")
        for name in arguments.searchers or ("tpe", "trees", "gp"):
            for told in growth(name, sorted(arguments.sizes)):
                print(told, flush=True)
        return
    print("milliseconds a suggestion, with the most that it is to take")
    print(f"{'searcher':10}{'dimensions':>11}{'evaluations':>12}{'rungs':>6}{'median':>10}{'slowest':>24}{'peer':>19}")
    for row in ROWS:
        if arguments.searchers and row.searcher.split()[0] not in arguments.searchers:
            continue
        begin = f"{row.searcher:10}{row.dim:>11}{row.n:>12}{len(row.rungs):>6} "
        print(begin + line(row, arguments.repeats), flush=True)


if __name__ == "__main__":
    main()
