"""Numbered trials, from recorded, given and suggested configurations: what schedulers see of their searcher."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from hpo_pipeline.errors import ConfigError, Problem, StudyError
from hpo_pipeline.searcher import EXHAUSTED, NoTrial, Searcher, Suggestion
from hpo_pipeline.searcher.asking import AskedSearcher
from hpo_pipeline.space import SearchSpace
from hpo_pipeline.trial import Config, Trial


def check_points(space: SearchSpace, points: Any) -> list[Problem]:
    """Every reason why `points` can't be evaluated: `[2].optimizer.lr: 5 is not in ...`."""
    if not isinstance(points, Sequence) or isinstance(points, str):
        return [Problem("", "must be a list of configurations", points)]
    problems = []
    for i, point in enumerate(points):
        if not isinstance(point, Mapping):
            problems.append(Problem(f"[{i}]", "must be a mapping path -> value", point))
        elif point:  # the mid-point itself is left out where a constraint excludes it
            found = space.contains({**space.midpoint(point), **point})
            problems += [problem.under(f"[{i}]") for problem in found]
    return problems


class TrialGenerator:
    """What a scheduler asks for new trials: it numbers them 0, 1, 2, ...

        new() -> Trial(0, ...);  new() -> Trial(1, ...);  new(first_rung=1) -> NOT_READY ... -> Trial(2, ...)

    Configurations come from the journal first (`replay`), then from `points`, then from the searcher.

    An empty point, the mid-point of the space, is left out where the constraints exclude it: every study has it unless
    a person says otherwise.

    Attributes:
        searcher: what suggests; whoever runs the study tells it what happens.
        notes: what was left out, one line each.

    Args:
        n_trials: how many trials there may be, recorded ones included; None is no limit.
        points: configurations to try first, in this order. Partly given ones are completed with mid-points; one that
            is there twice, or has a recorded trial, is tried once.
    """

    def __init__(
        self, searcher: Searcher, space: SearchSpace, n_trials: int | None = None, points: Sequence[Config] = ()
    ) -> None:
        if problems := check_points(space, points):
            raise ConfigError(problems).under("points_to_evaluate")
        broken = [] if all(points) else space.contains(space.midpoint())
        excluded = "; ".join(problem.message for problem in broken)
        self.notes = [f"points_to_evaluate: the mid-point of the space is left out: {excluded}"] if excluded else []
        self.searcher = AskedSearcher(searcher, space)
        self._space = space
        self.n_trials = n_trials
        tried = [
            Suggestion(space.midpoint(point), "point given" if point else "mid-point")
            for point in points
            if point or not excluded
        ]
        self._points = {space.key(point.config): point for point in tried}
        self._recorded: deque[Suggestion] = deque()
        self._started = 0
        self._n_repeats = 0

    def replay(self, config: Config, origin: str = "", first_rung: int | None = None) -> None:
        """A recorded trial's suggestion, in the order of trial ids, for a `new` to come.

        Raises:
            StudyError: its hyperparameters are those of the space in another order, which decides what each one draws.
        """
        order = [p.path for p in self._space.parameters if p.is_active(config)]
        if list(config) != order and set(config) == set(order):
            raise StudyError(
                "the search space has its keys in another order than when the study began, so that further trials "
                f"would not be what they were to be; restore the order {', '.join(config)}"
            )
        self._recorded.append(Suggestion(config, origin, first_rung))

    @property
    def exhausted(self) -> bool:
        """Whether there will be no further trial. Costs no suggestion; a searcher that only finds out by `suggest` that
        it has no more may say so later."""
        if self._recorded:
            return False
        return self._is_full or (not self._points and self.searcher.exhausted)

    @property
    def _is_full(self) -> bool:
        return self.n_trials is not None and self._started - self._n_repeats >= self.n_trials

    @property
    def next_id(self) -> int:
        """The number that the next trial will have, if there is one."""
        return self._started

    def repeat(self, trial_id: int, config: Config, origin: str) -> Trial:
        """A new trial that repeats another one with its own seed. It is on top of `n_trials`."""
        self._started += 1
        self._n_repeats += 1
        return Trial(self._started - 1, config, origin, repeats=trial_id)

    def new(self, first_rung: int = 0) -> Trial | NoTrial:
        """The next trial, or why there is none, which changes nothing. Recorded ones are never held back.

        `first_rung`: the rung that the trial begins on, for searchers that mind it.
        """
        found: Suggestion | NoTrial
        if self._recorded:
            found = self._recorded.popleft()  # with the very configuration that the view has
        elif self._is_full:
            return EXHAUSTED
        elif self._points:
            found = next(iter(self._points.values()))
        else:
            found = self.searcher.suggest(self._started, first_rung)
            if isinstance(found, Suggestion):  # the searcher may go on with its own
                found = replace(found, config=dict(found.config))
        if isinstance(found, NoTrial):
            return found
        self._started += 1
        if self._points:
            self._points.pop(self._space.key(found.config), None)
        return Trial(self._started - 1, found.config, found.origin, found.first_rung)
