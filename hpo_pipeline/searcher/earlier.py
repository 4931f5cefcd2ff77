"""What earlier studies say about a new one (warm start): configurations to try first, and scores for its models.

Studies are not comparable by their values: another dataset, metric or budget shifts and stretches them. What they tell
is a standing, Φ⁻¹((rank + ½) / n) of each of a study's n trials, the best one first. The standing of a configuration
that the study hasn't tried is that of its three nearest trials, weighted by their inverse squared distances.

First come the configurations that cover the studies best (a zero-shot portfolio, Wistuba et al. 2015): greedily the one
that lowers the mean over the studies of the best standing most, up to ten; of one study that is its best.

Once `ENOUGH` trials of the new study have a score, an earlier study's standings are stretched and shifted to the mean
and deviation of these scores, and its trials are data like others from there on. A score that is far above the median
counts as `TAIL` times as far above it as the best is below, so that one that diverged doesn't stretch all the others.
But where scores and standings don't go together (a correlation below `LEAST_CORRELATION`), the study is about
something else, and is left out.
"""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Protocol, runtime_checkable

import numpy as np

from hpo_pipeline.errors import ConfigError, one_line
from hpo_pipeline.space import SearchSpace
from hpo_pipeline.space.unit_cube import Floats, UnitCube
from hpo_pipeline.trial import Config, Value

ENOUGH = 5
"""Scores of the new study's own trials before models learn from the earlier ones."""
LEAST_CORRELATION = 0.5
"""Between them and the standings there: above .8 for nine of ten pairs of like functions, below .5 for six of seven of
unlike ones."""
TAIL = 3.0
"""How far above the median a score counts, in units of how far below it the best one is."""
MOST_TRIALS = 200
"""Of one earlier study, evenly over its ranks: a model's time grows with its data."""
MOST_IN_ALL = 1000
"""Of all earlier studies together: an experiment may hold hundreds of them."""
MOST_FIRST = 10
"""Configurations of earlier studies that are tried first."""
_NEAREST = 3


@dataclass(frozen=True, slots=True)
class EarlierTrial:
    """A trial of an earlier study.

    Attributes:
        config: as it was there; text where the study's store knows no other values.
        score: its best, minimised; +inf if it failed, or never had a finite one.
    """

    id: int
    config: Config
    score: float


@dataclass(frozen=True, slots=True)
class EarlierStudy:
    """What is known of an earlier study; `name` is for people."""

    name: str
    trials: Sequence[EarlierTrial]

    def within(self, space: SearchSpace) -> tuple[EarlierStudy, str]:
        """The trials that are configurations of `space`, best first, and a line on what was changed for that.

        A hyperparameter that a trial lacks is completed with its mid-point, and one that the space lacks is left out of
        account. Trials with a value outside the space, or that its constraints exclude, are left out.

        Raises:
            ConfigError: it has no trial, or none that fits.
        """
        name = one_line(self.name)  # a run in MLflow may be called anything
        fitting: list[EarlierTrial] = []
        completed: dict[str, int] = {}
        why = "it has no trial"
        for trial in sorted(self.trials, key=lambda trial: trial.score):
            given = {path: _read(space, path, value) for path, value in trial.config.items()}
            config = space.midpoint(given)
            if problems := space.contains(config):
                why = f"none of its {len(self.trials)} trials lies in the search space, e.g. {problems[0]}"
                continue
            fitting.append(replace(trial, config=config))
            for path in config.keys() - given.keys():
                completed[path] = completed.get(path, 0) + 1
        if not any(trial.score < math.inf for trial in fitting):
            raise ConfigError(f"{name}: {why if not fitting else 'no trial has a finite score'}; leave it out")
        told = [f"{len(fitting)} of {len(self.trials)} trials"]
        told += [f"{path} of {n} completed with its mid-point" for path, n in completed.items()]
        return EarlierStudy(name, fitting), f"learning from {name}: {'; '.join(told)}"


@runtime_checkable
class SupportsWarmStart(Protocol):
    """A searcher that learns from earlier studies."""

    def begin_with(self, studies: Sequence[EarlierStudy]) -> None:
        """They are told before all else; their trials are configurations of the space, best first."""


def _read(space: SearchSpace, path: str, value: Value) -> Value:
    """A value as one of the space, where it is text that means one."""
    readings = [value]
    if isinstance(value, str):
        with contextlib.suppress(ValueError, RecursionError):
            readings.append(json.loads(value))
    domains = [p.domain for p in space.parameters if p.path == path]
    return next((reading for reading in readings for domain in domains if domain.contains(reading)), value)


@dataclass(frozen=True, slots=True)
class Standings:
    """An earlier study as arrays, best first.

    Attributes:
        points: (n, dim) in the unit cube.
        values: (n,) lower is better.
        n_bad: how many, at the end, have no finite score.
    """

    study: EarlierStudy
    cube: UnitCube
    points: Floats
    values: Floats
    n_bad: int

    @staticmethod
    def of(study: EarlierStudy, cube: UnitCube, most: int = MOST_TRIALS) -> Standings:
        """Those of `most` of its trials; trials with the same score share the mean of their standings."""
        n = len(study.trials)
        scores = np.array([trial.score for trial in study.trials])
        normal = np.array([NormalDist().inv_cdf((rank + 0.5) / n) for rank in range(n)])
        _, group = np.unique(scores, return_inverse=True)
        values = (np.bincount(group, normal) / np.bincount(group))[group]
        kept = np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(int))
        study = replace(study, trials=[study.trials[i] for i in kept])
        points = np.array([cube.point(trial.config) for trial in study.trials])
        return Standings(study, cube, points, values[kept], int(np.isinf(scores[kept]).sum()))

    def at(self, points: Floats) -> Floats:
        """The standings (m,) of points (m, dim)."""
        squares = self.cube.distances(points, self.points) ** 2
        nearest = np.argsort(squares, axis=1, kind="stable")[:, :_NEAREST]
        weights = 1 / np.maximum(np.take_along_axis(squares, nearest, axis=1), 1e-12)
        means: Floats = (weights * self.values[nearest]).sum(axis=1) / weights.sum(axis=1)
        return means

    def scores(self, points: Floats, scores: Floats) -> Floats | None:
        """The study's trials (n,) on the scale of `scores` (m,) at `points` (m, dim); None if it doesn't go with them.

        +inf of those that have no finite score.
        """
        expected = self.at(points)
        with np.errstate(over="ignore", invalid="ignore"):
            scores = _without_tail(scores)
            deviations = scores.std(), expected.std()
            if not 0 < min(deviations) <= max(deviations) < math.inf:
                return None
            correlation = ((scores - scores.mean()) * (expected - expected.mean())).mean() / math.prod(deviations)
        if not correlation >= LEAST_CORRELATION:
            return None
        stretched: Floats = scores.mean() + deviations[0] / deviations[1] * (self.values - expected.mean())
        stretched[len(stretched) - self.n_bad :] = math.inf
        return stretched


def _without_tail(scores: Floats) -> Floats:
    median = np.median(scores)
    spread = median - scores.min()
    return np.minimum(scores, median + TAIL * spread) if spread > 0 else scores


def portfolio(studies: Sequence[Standings]) -> Iterator[tuple[Config, str]]:
    """The configurations to try first, each with where it comes from."""
    tried = [(s, i) for i in range(MOST_TRIALS) for s in studies if i < len(s.values) - s.n_bad]
    if not tried:
        return
    standings = np.array([study.at(np.array([s.points[i] for s, i in tried])) for study in studies])  # (studies, tried)
    covered = np.full(len(studies), np.inf)
    for _ in range(MOST_FIRST):
        with_each = np.minimum(covered[:, None], standings).mean(axis=0).round(6)  # so that equal ones are
        best = int(np.argmin(with_each))
        if with_each[best] >= covered.mean().round(6):
            return
        covered = np.minimum(covered, standings[:, best])
        study, i = tried[best]
        trial = study.study.trials[i]
        yield trial.config, f"trial {trial.id} of {study.study.name}"
