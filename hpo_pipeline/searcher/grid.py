"""Grid search: all combinations of each hyperparameter's grid points, one after the other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hpo_pipeline.checks import is_integer, value_problems
from hpo_pipeline.errors import ConfigError, Problem, nearest
from hpo_pipeline.searcher import EXHAUSTED, NoTrial, Searcher, Suggestion
from hpo_pipeline.searcher.seen import Seen
from hpo_pipeline.space import SearchSpace
from hpo_pipeline.trial import Job

DEFAULT_POINTS = 5
MOST_POINTS = 10_000
"""Of one hyperparameter: they are listed before the first trial."""


class GridSearch(Searcher):
    """Goes through the grid with the last parameter varying fastest; exhausted after its end.

    Args:
        n_points: grid points of each range, at (i + 0.5) / n of its scale; or path -> points for some of them, where
            the others have 5. Finite domains with no more values than that, choices, and ranges that list their
            values (`step`, `n`, `base`) are covered exactly, unless a mapping names them.
    """

    finite = True

    def __init__(self, space: SearchSpace, seed: int = 0, n_points: int | Mapping[str, int] = DEFAULT_POINTS) -> None:
        if problems := _problems(space, n_points):
            raise ConfigError(problems)
        self._seen = Seen(space)
        self._left = space.grid(DEFAULT_POINTS, n_points) if isinstance(n_points, Mapping) else space.grid(n_points)
        self._current = next(self._left, None)

    @property
    def exhausted(self) -> bool:
        return self._current is None

    def suggest(self, trial_id: int, first_rung: int = 0) -> Suggestion | NoTrial:
        return EXHAUSTED if self._current is None else Suggestion(self._current, "grid")

    def on_submitted(self, job: Job) -> None:
        self._seen.add(job.trial.config)
        while self._current is not None and self._current in self._seen:
            self._current = next(self._left, None)


def _problems(space: SearchSpace, n_points: Any) -> list[Problem]:
    if not isinstance(n_points, Mapping):
        wanted = f"an integer from 1 to {MOST_POINTS}, or a mapping path -> such"
        return value_problems(wanted, lambda n: is_integer(n, 1, MOST_POINTS), n_points=n_points)
    problems = []
    for path, n in n_points.items():
        if path not in space.paths:
            problems.append(Problem(str(path), f"not in the search space{nearest(str(path), space.paths)}"))
        if not is_integer(n, 1, MOST_POINTS):
            problems.append(Problem(str(path), f"must be an integer from 1 to {MOST_POINTS}", n))
    return [problem.under("n_points") for problem in problems]
