"""The pictures of a study one by one, as figures of matplotlib that a notebook shows."""

from __future__ import annotations

import inspect
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hpo_pipeline.errors import StudyError
from hpo_pipeline.report import plot
from hpo_pipeline.report.front_plot import draw_front
from hpo_pipeline.view import StudyView

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class Plots:
    """`study.plot`: each method draws one figure, which isn't shared with anything (no pyplot).

    Raises, each of them:
        StudyError: there is nothing to draw yet.
    """

    view: StudyView
    unit: str

    def __repr__(self) -> str:
        drawn = [name for name, value in vars(Plots).items() if inspect.isfunction(value) and not name.startswith("_")]
        return f"<pictures of a study: {', '.join(f'.{name}()' for name in drawn)}>"

    def study(self) -> Figure:
        """The best value so far beside all learning curves; of several metrics the front and its hypervolume."""
        return _shown(self._drawn())

    def best_so_far(self) -> Figure:
        """The best value over the total resource that was spent, and every report."""
        return self._values(lambda axes: plot.draw_best_so_far(axes, self.view, self.unit))

    def curves(self) -> Figure:
        """The learning curve of each trial, coloured by its fate; dotted: the rungs."""
        return self._values(lambda axes: plot.draw_curves(axes, self.view, self.unit))

    def front(self) -> Figure:
        """Every report by the first two metrics, and the Pareto front.

        Raises:
            StudyError: the study has a single metric.
        """
        if not self.view.has_front:
            raise StudyError("a front is of several metrics, and this study has one; see plot.best_so_far()")
        return self._one(lambda axes: draw_front(axes, self.view, plot.LEGEND))

    def _drawn(self) -> Figure:
        figure = plot.draw(self.view, self.unit)
        if figure is None:
            raise StudyError("no trial has reported yet: there is nothing to draw")
        return figure

    def _values(self, draw: Callable[[Axes], None]) -> Figure:
        def with_limits(axes: Axes) -> None:
            draw(axes)
            plot.limit_values(axes, self.view)

        return self._one(with_limits)

    def _one(self, draw: Callable[[Axes], None]) -> Figure:
        if not any(trial.curve for trial in self.view.trials.values()):
            raise StudyError("no trial has reported yet: there is nothing to draw")
        from matplotlib.figure import Figure

        figure = Figure(figsize=(7, 5), layout="constrained")
        axes = figure.subplots()
        draw(axes)
        plot.finish(axes)
        return _shown(figure)


def _shown(figure: Figure) -> Figure:
    """The figure, which a notebook shows though pyplot doesn't know it."""

    def png() -> bytes:
        data = io.BytesIO()
        figure.savefig(data, format="png", dpi=100)
        return data.getvalue()

    figure._repr_png_ = png  # type: ignore[attr-defined]
    return figure
