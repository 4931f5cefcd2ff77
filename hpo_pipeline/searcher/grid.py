"""Grid search: all combinations of each hyperparameter's grid points, one after the other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hpo_pipeline.errors import ConfigError, nearest
from hpo_pipeline.searcher.seen import Seen
from hpo_pipeline.space import SearchSpace
from hpo_pipeline.space.domain import is_integer
from hpo_pipeline.trial import Config, Trial

DEFAULT_POINTS = 5


MOST_POINTS = 10_000
"""Of one hyperparameter: they are listed before the first trial."""


class GridSearch:
    """Goes through the grid with the last parameter varying fastest; None after its end.

    Attributes:
        finite: it ends a study, so that no other limit is needed.

    Args:
        n_points: grid points of each range, at (i + 0.5) / n of its scale; or path -> points for some of them, where
            the others have 5. Finite domains with no more values than that, choices, and ranges that list their
            values (`step`, `n`, `base`) are covered exactly, unless a mapping names them.

    Raises:
        ConfigError: a number of points is no integer from 1 to 10,000, or is given for a path outside the space.
    """

    finite = True

    def __init__(self, space: SearchSpace, seed: int = 0, n_points: int | Mapping[str, int] = DEFAULT_POINTS) -> None:
        if problems := _problems(space, n_points):
            raise ConfigError(problems)
        self._seen = Seen(space)
        self._left = space.grid(DEFAULT_POINTS, n_points) if isinstance(n_points, Mapping) else space.grid(n_points)
        self._current = next(self._left, None)

    def suggest(self, trial_id: int, first_rung: int = 0) -> Config | None:
        # what is skipped here has been seen for good, so the answer depends on what was seen alone
        while self._current is not None and self._current in self._seen:
            self._current = next(self._left, None)
        return self._current

    def on_trial(self, trial: Trial) -> None:
        self._seen.add(trial.config)

    def observe(self, trial: Trial, resource: int, score: float) -> None:
        """Nothing to learn: the grid is fixed."""


def _is_wrong(n: Any) -> bool:
    return not is_integer(n) or not 1 <= n <= MOST_POINTS


def _problems(space: SearchSpace, n_points: Any) -> list[str]:
    if not isinstance(n_points, Mapping):
        what = f"an integer from 1 to {MOST_POINTS}, or a mapping path -> such"
        return [f"n_points: must be {what}, got {n_points!r}"] if _is_wrong(n_points) else []
    problems = []
    for path, n in n_points.items():
        if path not in space.paths:
            problems.append(f"n_points.{path}: not in the search space{nearest(str(path), space.paths)}")
        if _is_wrong(n):
            problems.append(f"n_points.{path}: must be an integer from 1 to {MOST_POINTS}, got {n!r}")
    return problems
