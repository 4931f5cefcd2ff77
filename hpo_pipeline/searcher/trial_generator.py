"""What schedulers see of their searcher: numbered trials, from recorded, given and suggested configurations."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from hpo_pipeline.errors import ComponentError, ConfigError, StudyError, asked
from hpo_pipeline.searcher import Searcher
from hpo_pipeline.space import SearchSpace
from hpo_pipeline.trial import Config, Trial


def check_points(space: SearchSpace, points: Any) -> list[str]:
    """Every reason why `points` can't be evaluated, to be put after their name: `[2].optimizer.lr: 5 is not in ...`."""
    if not isinstance(points, Sequence) or isinstance(points, str):
        return [f": must be a list of configurations, got {points!r}"]
    problems = []
    for i, point in enumerate(points):
        if not isinstance(point, Mapping):
            problems.append(f"[{i}]: must be a mapping path -> value, got {point!r}")
        elif point:  # the mid-point itself is left out where a constraint excludes it
            problems += [f"[{i}].{problem}" for problem in space.contains({**space.midpoint(point), **point})]
    return problems


def _midpoint_problems(space: SearchSpace) -> list[str]:
    """Why the mid-point of the space can't be evaluated, in a line; none if it can."""
    broken = [problem.removeprefix("constraints: ") for problem in space.contains(space.midpoint())]
    return [f"the mid-point of the space is left out: {'; '.join(broken)}"] if broken else []


class TrialGenerator:
    """Numbers trials 0, 1, 2, ... and tells the searcher of each.

        new() -> Trial(0, ...);  new() -> Trial(1, ...);  observe(trial 1, 1, 0.4);  new(first_rung=1) -> Trial(2, ...)

    Configurations come from the journal first (`replay`), then from `points`, then from the searcher.

    An empty point, the mid-point of the space, is left out where the constraints exclude it: every study has it unless
    a person says otherwise.

    Attributes:
        notes: what was left out, one line each.

    Args:
        n_trials: how many trials there may be, recorded ones included; None is no limit.
        points: configurations to try first, in this order. Partly given ones are completed with mid-points; one that
            is there twice, or has a recorded trial, is tried once.

    Raises:
        ConfigError: a point is not in the space.
    """

    def __init__(
        self, searcher: Searcher, space: SearchSpace, n_trials: int | None = None, points: Sequence[Config] = ()
    ) -> None:
        if problems := check_points(space, points):
            raise ConfigError(f"points_to_evaluate{problem}" for problem in problems)
        midpoint_problems = [] if all(points) else _midpoint_problems(space)
        self.notes = [f"points_to_evaluate: {problem}" for problem in midpoint_problems]
        self._searcher = searcher
        self._space = space
        self.n_trials = n_trials
        tried = map(space.midpoint, filter(None, points) if midpoint_problems else points)
        self._points = {space.key(config): config for config in tried}
        self._recorded: deque[Config] = deque()
        self._started = 0

    def replay(self, config: Config) -> None:
        """A recorded trial's configuration, in the order of trial ids, for a `new` to come.

        Raises:
            StudyError: its hyperparameters are those of the space in another order, which decides what each one draws.
        """
        order = [p.path for p in self._space.parameters if p.is_active(config)]
        if list(config) != order and set(config) == set(order):
            raise StudyError(
                "the search space has its keys in another order than when the study began, so that further trials "
                f"would not be what they were to be; restore the order {', '.join(config)}"
            )
        self._recorded.append(config)

    @property
    def remaining(self) -> int | None:
        """How many more trials `n_trials` allows; None is no limit."""
        return None if self.n_trials is None else max(self.n_trials - self._started, 0)

    @property
    def exhausted(self) -> bool:
        """Whether `new` would answer None. May cost as much as a suggestion."""
        return self._next_config(take=False) is None

    @property
    def next_id(self) -> int:
        """The number that the next trial will have, if there is one."""
        return self._started

    def new(self, first_rung: int = 0) -> Trial | None:
        """The next trial; None if there is none now, which changes nothing. Recorded ones are never held back.

        `first_rung`: the rung that the trial begins on, for searchers that mind it.
        """
        config = self._next_config(take=True, first_rung=first_rung)
        if config is None:
            return None
        trial = Trial(self._started, config)
        self._started += 1
        self._points.pop(self._space.key(config), None)
        asked(self._searcher, "on_trial", trial)
        return trial

    def _next_config(self, *, take: bool, first_rung: int = 0) -> Config | None:
        if self._recorded:
            return self._recorded.popleft() if take else self._recorded[0]
        if self.remaining == 0:
            return None
        if self._points:
            return next(iter(self._points.values()))
        config: object = asked(self._searcher, "suggest", self._started, first_rung)
        return None if config is None else self._checked(config)

    def _checked(self, config: object) -> Config:
        """What the searcher suggests, if it is a configuration of the space.

        Raises:
            ComponentError: it isn't.
        """
        name = f"{type(self._searcher).__name__}.suggest"
        if not isinstance(config, Mapping):
            asks = "a mapping path -> value, or None if the space is exhausted"
            raise ComponentError(f"{name} answered {config!r}; the interface asks for {asks}")
        if not all(isinstance(value, (bool, int, float, str, type(None))) for value in config.values()):
            asks = "plain values: bool, int, float, str or None"
            raise ComponentError(f"{name} answered {dict(config)!r}; the interface asks for {asks}")
        if problems := self._space.contains(config):
            asks = "configurations of the space"
            raise ComponentError(f"{name} answered {dict(config)!r}; the interface asks for {asks}: {problems[0]}")
        return config

    def observe(self, trial: Trial, resource: int, score: float) -> None:
        """A rung evaluation, passed on to the searcher. `score` is minimised; +inf for failure and NaN."""
        asked(self._searcher, "observe", trial, resource, score)
