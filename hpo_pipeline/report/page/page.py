"""Puts the page together."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hpo_pipeline.atomic import write_text
from hpo_pipeline.report.page.assets import file, packed, template
from hpo_pipeline.report.page.front import front
from hpo_pipeline.report.page.hyperparameters import axes_data, pairs, parallel, slices
from hpo_pipeline.report.page.importance import importance
from hpo_pipeline.report.page.material import Material
from hpo_pipeline.report.page.pictures import write_pictures
from hpo_pipeline.report.page.progress import best_so_far, learning_curves
from hpo_pipeline.report.page.rungs import early_stopping, rung_scatter
from hpo_pipeline.report.page.section import Section, short
from hpo_pipeline.report.page.settings import settings, train_command
from hpo_pipeline.report.page.summary import summary
from hpo_pipeline.report.page.trials import trials, trials_data
from hpo_pipeline.report.page.workers import workers

if TYPE_CHECKING:
    import jinja2

NAME = "report.html"
SECTIONS: tuple[Callable[[Material], Section | None], ...] = (
    best_so_far,
    front,
    learning_curves,
    rung_scatter,
    early_stopping,
    importance,
    parallel,
    slices,
    pairs,
    trials,
    workers,
    settings,
)
_SCRIPTS = ("echarts.min.js", "parts.js", "charts.js", "hyperparameters.js", "table.js", "page.js")


@dataclass(frozen=True)
class Report:
    """The page of a study's folder and its pictures, to be written one by one; the study may be at work.

    Its methods raise a StudyError where there is no such study, or its journal can't be read or says nothing yet, and
    an OSError where they can't write.
    """

    folder: Path

    @functools.cached_property
    def material(self) -> Material:
        """What both are drawn from; the journal is read once."""
        return Material.of(self.folder)

    def write(self) -> Path:
        """Writes report.html; returns its path."""
        write_text(self.folder / NAME, page(self.material))
        return self.folder / NAME

    def write_pictures(self) -> list[Path]:
        """Writes the main drawings into plots/; returns their paths."""
        return write_pictures(self.material, self.folder / "plots")


def write_report(folder: str | Path) -> Path:
    """Writes report.html into a study's folder, and its main drawings into plots/. The study may be at work.

    Returns:
        The page.

    Raises:
        StudyError: there is no such study, or its journal can't be read, or says nothing yet.
        OSError: it can't be written.
    """
    report = Report(Path(folder))
    path = report.write()
    report.write_pictures()
    return path


def page(material: Material) -> str:
    """The page's HTML."""
    found = [section for make in SECTIONS if (section := make(material)) is not None]
    data = {
        "name": material.study.name,
        "unit": material.unit,
        "metric": material.view.metric,
        "mode": material.view.mode,
        "limits": [short(limit) for limit in material.limits or ()],
        "train": train_command(material),
        "axes": axes_data(material),
        "trials": trials_data(material),
        "sections": {section.key: section.data for section in found},
    }
    return _template().render(head=summary(material), sections=found, data=packed(data), unit=material.unit)


@functools.cache
def _template() -> jinja2.Template:
    """page.html, with the scripts and their hashes."""
    return template(file("page.html"), [file(name) for name in _SCRIPTS])
