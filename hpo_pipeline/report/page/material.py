"""What the sections of a page are drawn from: a study's folder, read once, and what follows from it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from hpo_pipeline.analysis.axes import Axis, Floats, axes_of, positions
from hpo_pipeline.analysis.job_log import JobLog, JobSpan
from hpo_pipeline.analysis.ped_anova import PedAnova, ped_anova
from hpo_pipeline.analysis.permutation import PermutationImportance, permutation_importance
from hpo_pipeline.analysis.standing import Standing, rung_resources, standing
from hpo_pipeline.errors import ConfigError, StudyError
from hpo_pipeline.report.text import short_names
from hpo_pipeline.saved_study import Study, load_study
from hpo_pipeline.seeding import generator
from hpo_pipeline.space import SearchSpace
from hpo_pipeline.trial_view import TrialView
from hpo_pipeline.view import StudyView

MOST_TRIALS = 5000
"""On the page; of more, the best ones."""
MOST_AXES = 12
"""Of more hyperparameters the most important ones are drawn."""


@dataclass(frozen=True)
class Material:
    """A study and what its sections share.

    Attributes:
        log: when its jobs ran.
    """

    study: Study
    log: JobLog

    @staticmethod
    def of(folder: Path) -> Material:
        """Reads a study's folder; it may be at work.

        Raises:
            StudyError: there is no such study, or its journal can't be read, or says nothing yet.
        """
        log = JobLog()
        return Material(load_study(folder, hear=log.apply), log)

    @property
    def view(self) -> StudyView:
        return self.study.view

    @property
    def unit(self) -> str:
        return self.study.unit

    @cached_property
    def config(self) -> dict[str, Any]:
        """Empty if it can't be read: the journal alone makes a page."""
        try:
            return self.study.config
        except StudyError:
            return {}

    @property
    def study_choices(self) -> dict[str, str]:
        """Config group -> option; empty if the config can't be read."""
        return dict(self.study.choices) if self.config else {}

    @cached_property
    def typed(self) -> list[str]:
        """What was typed when the study began; empty if it can't be read."""
        try:
            return self.study.overrides
        except StudyError:
            return []

    @cached_property
    def is_changing(self) -> bool:
        """Whether hyperparameters changed while trials were trained (population-based training)."""
        return any(trial.changes for trial in self.view.trials.values())

    @cached_property
    def spans(self) -> list[JobSpan]:
        """All jobs by their beginnings."""
        return self.log.spans()

    @cached_property
    def ranking(self) -> list[TrialView]:
        """The trials on the page, best first."""
        return self.view.ranking()[:MOST_TRIALS]

    @cached_property
    def rank_of(self) -> dict[int, int]:
        """Trial -> its place on the page, from 0."""
        return {trial.id: place for place, trial in enumerate(self.ranking)}

    @cached_property
    def resources(self) -> list[int]:
        """Those of the rungs, ascending."""
        return rung_resources(self.view)

    @cached_property
    def n_usable(self) -> int:
        """How many trials on the page have a value, further seeds left out."""
        return sum(trial.is_usable and trial.repeats is None for trial in self.ranking)

    # -- hyperparameters -----------------------------------------------------------------------------------------------

    @cached_property
    def space(self) -> SearchSpace | None:
        """None if the folder doesn't say, or says what is none."""
        tree = self.config.get("search_space")
        if not isinstance(tree, dict):
            return None
        try:
            return SearchSpace.parse(tree)
        except ConfigError:
            return None

    @cached_property
    def standing(self) -> Standing:
        return standing(self.view)

    @cached_property
    def unsorted_axes(self) -> list[Axis]:
        """One for each hyperparameter, as the search space has them."""
        return axes_of(self.space, [trial.best_config for trial in self.view.trials.values()])

    @cached_property
    def _points(self) -> Floats:
        return positions(self.unsorted_axes, [trial.best_config for trial in self.standing.trials])

    def _rng(self, what: str) -> np.random.Generator:
        """The same page for the same journal."""
        return generator(0, "report", what)

    @cached_property
    def ped_anova(self) -> PedAnova | None:
        """Of `unsorted_axes`."""
        found = self.standing
        return ped_anova(self.unsorted_axes, self._points, found.places, self._rng("ped-anova"), found.n_bad)

    @cached_property
    def permutation(self) -> PermutationImportance | None:
        """Of `unsorted_axes`."""
        return permutation_importance(self.unsorted_axes, self._points, self.standing.places, self._rng("permutation"))

    @cached_property
    def order(self) -> list[int]:
        """The numbers of `unsorted_axes`, the most important one first.

        By the mean of both importances, each as a share of its sum; as they are declared where there is neither.
        """
        total = np.zeros(len(self.unsorted_axes))
        if self.ped_anova is not None:
            total += self.ped_anova.share
        if self.permutation is not None and self.permutation.explained > 0:
            positive = np.maximum(self.permutation.mean, 0)
            total += positive / max(float(positive.sum()), 1e-12)
        return [int(i) for i in np.argsort(-total, kind="stable")]

    @cached_property
    def axes(self) -> list[Axis]:
        """One for each hyperparameter, the most important first."""
        return [self.unsorted_axes[i] for i in self.order]

    @property
    def drawn_axes(self) -> list[Axis]:
        """Of very many, the most important ones."""
        return self.axes[:MOST_AXES]

    @cached_property
    def points(self) -> Floats:
        """`(n, d)`: where each trial of `standing` lies on each of `axes`."""
        points: Floats = self._points[:, self.order]
        return points

    @cached_property
    def names(self) -> dict[str, str]:
        """Path -> what it is called on the page."""
        return short_names(axis.path for axis in self.axes)

    # -- values --------------------------------------------------------------------------------------------------------

    @cached_property
    def limits(self) -> tuple[float, float] | None:
        """Between which values are drawn: diverged ones are beyond. None without a finite value."""
        from hpo_pipeline.report.plot import value_limits

        curves = [[self.value(metrics) for _, metrics, _ in trial.curve] for trial in self.view.trials.values()]
        values = np.array([value for curve in curves for value in curve], dtype=float)
        first = np.array([curve[0] for curve in curves if curve], dtype=float)
        return value_limits(values, first, self.view.mode)

    def value(self, metrics: dict[str, float]) -> float:
        """The study's first metric in a report; NaN if it isn't finite."""
        value = metrics.get(self.view.metric, math.nan)
        return value if math.isfinite(value) else math.nan

    @property
    def better(self) -> str:
        return "lower" if self.view.mode == "min" else "higher"

    def units(self, n: int) -> str:
        """`1 epoch`, `27 epochs`."""
        return f"{n} {self.unit}" if n == 1 else f"{n} {self.unit}s"
