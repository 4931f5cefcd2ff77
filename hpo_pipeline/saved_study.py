"""A study, or a training, read back from its folder: one that is over, was interrupted, or is still at work.

    study = load_study("runs/asha-digits")
    study.best.config, study.trials, study.plot.curves(), study.config["scheduler"]

It is what the journal said when it was read; read it again for what has happened since. The folder may be anybody's:
nothing in it is executed, and a file that can't be read is said in one line.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from hpo_pipeline.at_work import Owner, owner_of
from hpo_pipeline.errors import StudyError, nearest, one_line
from hpo_pipeline.evaluation import Metric
from hpo_pipeline.journal import read
from hpo_pipeline.plain_yaml import plain_yaml
from hpo_pipeline.records import Record
from hpo_pipeline.report import frames
from hpo_pipeline.report.notebook import headline, study_html
from hpo_pipeline.trial import Value
from hpo_pipeline.view import StudyView, TrialView

if TYPE_CHECKING:
    import pandas as pd

    from hpo_pipeline.report.plots import Plots

JOURNAL, CONFIG, OVERRIDES = "journal.jsonl", "config.yaml", "overrides.yaml"
_MOST_NAMED = 8


@dataclass(frozen=True, slots=True)
class Best:
    """What a study comes to.

    Attributes:
        trial: its id.
        resource: where it was best; the other attributes are as of then.
        value: of the study's first metric.
        metrics: all that was measured.
        config: path in the config -> value, the hyperparameters.
    """

    trial: int
    resource: int
    value: float
    metrics: dict[str, float]
    config: dict[str, Value]


@dataclass(frozen=True, repr=False)
class Study:
    """What a folder says of a study.

    Attributes:
        folder: as it was named.
        view: what its journal tells.
    """

    folder: Path
    view: StudyView

    def __fspath__(self) -> str:
        """The folder: what takes one takes a study."""
        return str(self.folder)

    @property
    def name(self) -> str:
        return str(self.view.header.get("name") or self.folder.absolute().name)

    @property
    def unit(self) -> str:
        """What one unit of resource is called ("epoch")."""
        return str(self.view.header.get("unit") or "resource")

    @property
    def is_training(self) -> bool:
        """Whether it is a single training (train.py)."""
        return self.view.header.get("kind") == "training"

    @property
    def owner(self) -> Owner | None:
        """The tuner that is at work on it now; None if there is none."""
        return owner_of(self.folder / JOURNAL)

    @property
    def state(self) -> str:
        """`running`, or how it ended: `completed`, `failed`, `interrupted`, or `broken off` by a crash."""
        if self.owner is not None:
            return "running"
        return "broken off" if self.view.end is None else str(self.view.end["state"])

    @cached_property
    def config(self) -> dict[str, Any]:
        """The composed config as it was saved, without secrets; empty if the folder has none.

        Raises:
            StudyError: it can't be read.
        """
        found = self._yaml(CONFIG, {})
        if not isinstance(found, dict):
            raise StudyError(f"{self.folder / CONFIG}: must be a mapping, as a study saves it")
        return {str(key): value for key, value in found.items() if key not in ("defaults", "hydra")}

    @cached_property
    def overrides(self) -> list[str]:
        """What was typed when it began; empty if the folder doesn't say.

        Raises:
            StudyError: it can't be read.
        """
        found = self._yaml(OVERRIDES, [])
        if not isinstance(found, list):
            raise StudyError(f"{self.folder / OVERRIDES}: must be a list, as a study saves it")
        return [str(each) for each in found]

    @property
    def choices(self) -> Mapping[str, str]:
        """Config group -> the option that was chosen ("scheduler" -> "asha")."""
        found = self.config.get("choices")
        return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}

    # -- what came out ---------------------------------------------------------------------------------------------

    @property
    def best(self) -> Best | None:
        """The winner: the best trial, or of finalists that were trained with several seeds the one with the best mean.

        None without a usable value; of several metrics the best by the first one (`front` has them all).
        """
        winner = self.view.winner
        return None if winner is None else self._at(winner, winner.best_resource)

    @property
    def front(self) -> list[Best]:
        """Of several metrics, the members of the Pareto front, by the first metric; else empty."""
        return [self._at(self.view.trials[point.trial_id], point.resource) for point in self.view.front.points]

    def _at(self, trial: TrialView, resource: int) -> Best:
        metrics = trial.at(resource)
        return Best(trial.id, resource, metrics[self.view.metric], dict(metrics), dict(trial.config_at(resource)))

    @property
    def trials(self) -> pd.DataFrame:
        """One row a trial, by its id: its fate, its best value, `params.*` and `metrics.*` (report/frames.py)."""
        return frames.trials_frame(self.view)

    @property
    def evaluations(self) -> pd.DataFrame:
        """One row a rung evaluation, in the order in which they were made."""
        return frames.evaluations_frame(self.view)

    @property
    def reports(self) -> pd.DataFrame:
        """One row a report, the learning curves: by trial and resource."""
        return frames.reports_frame(self.view)

    @property
    def plot(self) -> Plots:
        """`study.plot.curves()`, `.best_so_far()`, `.study()`, `.front()`: figures of matplotlib."""
        from hpo_pipeline.report.plots import Plots

        return Plots(self.view, self.unit)

    def __repr__(self) -> str:
        return f"<Study {str(self.folder)!r}: {one_line(headline(self.view, self.unit, self.state))}>"

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return study_html(self.view, self.name, self.unit, self.state)

    # -- its files -------------------------------------------------------------------------------------------------

    def _yaml(self, name: str, missing: Any) -> Any:
        path = self.folder / name
        if path.is_symlink():
            raise StudyError(f"{path}: is a link, which isn't followed")
        if not path.is_file():
            return missing
        try:
            found = plain_yaml(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, yaml.YAMLError) as error:
            raise StudyError(f"{path}: can't be read ({' '.join(str(error).split())[:200]})") from None
        return missing if found is None else found


def load_study(
    folder: str | os.PathLike[str], metric: Metric | None = None, hear: Callable[[Record], object] | None = None
) -> Study:
    """A study, or a training, read back from its folder; it may be at work.

    Args:
        folder: holds journal.jsonl and, in most cases, config.yaml.
        metric: what trials are ranked by here, instead of the study's own metrics.
        hear: is called with each record, once the view has taken it in.

    Raises:
        StudyError: there is no such study, or its journal can't be read, or says nothing yet.
    """
    journal = journal_of(folder)
    view = StudyView()
    for record, _ in read(journal):
        if metric is not None and record["event"] == "study":
            record = {**record, "metrics": [asdict(metric)]}
        try:
            view.apply(record)
        except StudyError as error:
            raise StudyError(f"{journal}: {error}") from None
        if hear is not None:
            hear(record)
    if not view.header:
        raise StudyError(f"{folder}: nothing is recorded of this study yet")
    return Study(Path(folder), view)


def journal_of(folder: str | os.PathLike[str]) -> Path:
    """Where the journal of a study lies; a StudyError says which studies there are instead."""
    folder = place = Path(folder)
    journal = place / JOURNAL
    try:
        if journal.is_file():
            return journal
        if not place.is_dir():
            names = [path.name for path in studies_in(place.parent)]
            raise StudyError(f"{folder}: there is no such folder{nearest(place.name, names) or _named(names)}")
        inside = [path.name for path in studies_in(place)]
    except OSError as error:  # it may not be entered, or its name is too long
        raise StudyError(f"{folder}: can't be read ({error.strerror or error})") from None
    raise StudyError(f"{folder}: is no study's folder, as there is no {JOURNAL} in it{_named(inside)}")


def _named(names: list[str]) -> str:
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return f"; studies there: {', '.join(names[:_MOST_NAMED])}{more}" if names else ""


def studies_in(folder: str | os.PathLike[str]) -> list[Path]:
    """The folders directly in this one that hold a study or a training, by name."""
    return sorted(path.parent for path in Path(folder).glob(f"*/{JOURNAL}") if path.is_file())
