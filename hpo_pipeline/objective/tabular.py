"""Recorded learning curves in place of training: what trials report was reported before, there or nearby.

    lookup     a trial has the curve of
    nearest    the nearest row; of equals that of the trial's own number, which makes a replay the study that it was
    unique     the nearest row that no trial before it has had, as real training never repeats itself
    surrogate  a smooth function that is fitted to all rows

Past the end of a row the nearest one that goes on stands in; where the recorded trial had failed, this one fails.
"""

from __future__ import annotations

import functools
import json
import math
import operator
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from hpo_pipeline.atomic import write_text
from hpo_pipeline.checks import integer_problems, is_number, option_problems, value_problems
from hpo_pipeline.errors import ConfigError, Problem, StudyError, nearest
from hpo_pipeline.evaluation import names_of
from hpo_pipeline.objective import Metrics, TrialSpec
from hpo_pipeline.objective.curve_surrogate import CurveSurrogate
from hpo_pipeline.objective.lookup import Assignment, Rows
from hpo_pipeline.objective.recorded_study import read_study
from hpo_pipeline.objective.recording import Floats, Recording, read_table
from hpo_pipeline.plain_yaml import plain_yaml
from hpo_pipeline.saved_study import CONFIG, JOURNAL
from hpo_pipeline.space import Constant, SearchSpace
from hpo_pipeline.tree import at
from hpo_pipeline.trial import Value

LOOKUPS = ("nearest", "unique", "surrogate")
REPLAYED = "replayed"
"""The folder within a study's in which it keeps the earlier study that it replays."""


@dataclass(slots=True)
class TabularState:
    """A trial.

    Attributes:
        row: the recorded row that it is on; of a surrogate none.
        point: where its configuration lies, `(d,)`.
        curves: of a surrogate, metric -> `(R,)`.
    """

    point: Floats
    row: int = -1
    resource: int = 0
    curves: Mapping[str, Floats] | None = None


class Tabular:
    """Looks up what a table, or an earlier study, has for a configuration.

    Args:
        tracker_uri: the tracker's, where an earlier study is looked for.
        The other arguments are explained in `conf/objective/tabular.yaml`.
    """

    unit = "epoch"
    metrics: tuple[str, ...] = ()

    def __init__(
        self,
        file: str | None = None,
        study: str | None = None,
        mlflow_study: str | None = None,
        lookup: str = "nearest",
        columns: Mapping[str, Any] | None = None,
        metrics: Mapping[str, Any] | None = None,
        resource: str = "epoch",
        first_resource: int = 1,
        seconds: float | str | None = None,
        space: str | None = None,
        folder: str | None = None,
        tracker_uri: str | None = None,
    ) -> None:
        sources = {"file": file, "study": study, "mlflow_study": mlflow_study}
        texts = {**sources, "seconds": None if is_number(seconds) else seconds, "space": space, "folder": folder}
        problems = value_problems("text or null", lambda x: x is None or (isinstance(x, str) and x != ""), **texts)
        problems += value_problems("the name of a column", lambda x: isinstance(x, str), resource=resource)
        problems += option_problems(LOOKUPS, lookup=lookup) + integer_problems(least=0, first_resource=first_resource)
        if is_number(seconds):
            problems += value_problems("a number from 0 on, or a column", lambda x: x >= 0, seconds=seconds)
        self._columns, self._metrics = flat(columns or {}), dict(metrics or {})
        for name, mapping in (("columns", self._columns), ("metrics", self._metrics)):
            names = {f"{name}.{key}": value for key, value in mapping.items()}
            problems += value_problems("the name of a column", lambda x: isinstance(x, str), **names)
        given = [name for name, value in sources.items() if value is not None]
        if len(given) != 1:
            what = f"{' and '.join(given)} are given" if given else "nothing is given"
            problems.append(Problem("", f"{what}; give one of file, study and mlflow_study to take the curves from"))
        if problems:
            raise ConfigError(problems)
        self.space, self.folder = space, folder
        self._file, self._study, self._mlflow_study = file, study, mlflow_study
        self._lookup, self._seconds = lookup, seconds
        self._resource, self._first_resource = resource, first_resource
        self._tracker_uri = tracker_uri

    # -- what is recorded ------------------------------------------------------------------------------------------

    @functools.cached_property
    def _earlier(self) -> tuple[Recording, dict[str, str]]:
        """The recording, and the files of the study that it comes from."""
        if self._file is not None:
            return read_table(Path(self._file), self._resource, self._first_resource), {}
        kept = None if self.folder is None else Path(self.folder, REPLAYED)
        key = "study" if self._study is not None else "mlflow_study"
        try:
            if kept is not None and (kept / JOURNAL).is_file():
                return _study_in(kept)
            if self._study is not None:
                return _study_in(Path(self._study))
            from hpo_pipeline.tracker.mlflow import MLflowTracker

            with tempfile.TemporaryDirectory() as folder:
                MLflowTracker(self._tracker_uri).fetch(str(self._mlflow_study), (JOURNAL, CONFIG), Path(folder))
                return _study_in(Path(folder))
        except ConfigError as error:
            raise error.under(key) from None

    @property
    def _recording(self) -> Recording:
        return self._earlier[0]

    def search_space(self) -> Mapping[str, Any] | None:
        """That of the recorded study; None of a table."""
        return self._recording.space

    def keep(self, folder: Path) -> None:
        """Copies the earlier study into the folder of the one that replays it: resumed, it reads the copy."""
        files = self._earlier[1]
        if files and not (folder / REPLAYED / JOURNAL).exists():
            (folder / REPLAYED).mkdir(exist_ok=True)
            for name in sorted(files):  # the journal last: with it the copy is there
                write_text(folder / REPLAYED / name, files[name])

    @functools.cached_property
    def _space(self) -> SearchSpace:
        tree = self._recording.space
        if self.space is not None:
            try:
                tree = plain_yaml(self.space)
            except (ValueError, yaml.YAMLError) as error:
                raise ConfigError(Problem("space", f"is no search space ({' '.join(str(error).split())})")) from None
        if not isinstance(tree, Mapping):
            what = "distances are measured in a search space, and there is none; take the study's"
            raise ConfigError(Problem("space", what))
        return SearchSpace.parse(tree, "space")

    @functools.cached_property
    def _rows(self) -> Rows:
        return Rows(self._space, self._recording, self._columns)

    @functools.cached_property
    def _assignment(self) -> Assignment:
        return Assignment(self._rows, None if self.folder is None else Path(self.folder, JOURNAL))

    @functools.cached_property
    def _names(self) -> dict[str, str]:
        """Metric -> the recorded curve."""
        known = self._recording.curves
        if not self._metrics:
            used = {self._columns.get(p, p.rpartition(".")[2]) for p in self._space.paths} | {self._seconds}
            return {name: name for name in known if name not in used}
        problems = [
            Problem(f"metrics.{name}", f"there is no curve {c!r}, only {', '.join(known)}{nearest(c, known)}")
            for name, c in self._metrics.items()
            if c not in known
        ]
        if problems:
            raise ConfigError(problems)
        return dict(self._metrics)

    @functools.cached_property
    def _lists(self) -> dict[str, list[list[float]]]:
        """Metric -> its curves: lists are read faster than arrays, value by value."""
        return {name: self._recording.curves[column].tolist() for name, column in self._names.items()}

    @functools.cached_property
    def _surrogates(self) -> dict[str, CurveSurrogate]:
        rows, curves = self._rows, {**self._names}
        if isinstance(self._seconds, str) and self._seconds in self._recording.curves:
            curves["seconds"] = self._seconds
        return {n: CurveSurrogate(rows.points, self._recording.curves[c][rows.numbers]) for n, c in curves.items()}

    def problems(self, config: Mapping[str, Any]) -> list[Problem]:
        """What keeps trials from being looked up."""
        try:
            return list(self._found(config))
        except ConfigError as error:
            return error.under("objective").problems

    def _found(self, config: Mapping[str, Any]) -> Iterator[Problem]:
        recording, names = self._recording, self._names
        longest, wanted = int(recording.lengths.max()), config["max_resource"]
        if wanted > longest:
            what = f"is {wanted}, and what is recorded ends at {longest}; set it to {longest} at most"
            yield Problem("max_resource", what)
        for metric in sorted(names_of({"metric": config["metric"]}) - set(names)):
            mend = f"choose one, metric=…, or name its column, objective.metrics{nearest(metric, names)}"
            yield Problem("metric", f"{metric!r} is not recorded, only {', '.join(names)}; {mend}")
        seconds = self._seconds
        if isinstance(seconds, str) and seconds not in recording.curves and seconds not in recording.columns:
            known = [*recording.curves, *recording.columns]
            yield Problem("objective.seconds", f"there is no column {seconds!r}{nearest(seconds, known)}")
        _ = self._rows

    # -- trials ----------------------------------------------------------------------------------------------------

    def start(self, trial: TrialSpec) -> TabularState:
        config: dict[str, Value] = {}
        for p in self._space.parameters:
            if p.is_active(config):
                is_fixed = isinstance(p.domain, Constant)
                config[p.path] = p.domain.midpoint if is_fixed else at(trial.config, p.path)
        point, own = self._rows.point(config), int(trial.config.get("trial") or 0)
        if self._lookup == "surrogate":
            longest = int(self._recording.lengths.max())
            return TabularState(point, curves={n: s.curve(point, longest) for n, s in self._surrogates.items()})
        if self._lookup == "unique":
            return TabularState(point, int(self._rows.numbers[self._assignment.index(own, point)]))
        return TabularState(point, self._rows.nearest(point, own))

    def advance(self, state: TabularState) -> Metrics:
        resource = state.resource + 1
        if state.curves is not None:
            values = {name: float(curve[resource - 1]) for name, curve in state.curves.items()}
        else:
            if resource > self._recording.lengths[state.row]:
                if error := self._recording.error(state.row):
                    raise RuntimeError(f"the recorded trial failed here: {error}")
                state.row = self._rows.further(state.point, resource)
            values = {name: curves[state.row][resource - 1] for name, curves in self._lists.items()}
        state.resource = resource
        seconds = values.get("seconds") if self._seconds is None else self._cost(state, values)
        if seconds is None or not math.isfinite(seconds):
            values.pop("seconds", None)
        else:
            values["seconds"] = max(0.0, seconds)
        return values

    def finished(self, state: TabularState) -> str:
        """Why the recorded trial was through here, if it was."""
        reasons = self._recording.finished
        is_last = state.row >= 0 and state.resource == self._recording.lengths[state.row]
        return reasons[state.row] if reasons and is_last else ""

    def _cost(self, state: TabularState, values: Metrics) -> float | None:
        if not isinstance(self._seconds, str):
            return self._seconds
        if state.curves is not None:
            return values.get("seconds")
        if self._seconds in self._recording.curves:
            return float(self._recording.curves[self._seconds][state.row, state.resource - 1])
        value = self._recording.columns[self._seconds][state.row]
        return float(value) if is_number(value) else None  # type: ignore[arg-type]

    def save(self, state: TabularState, path: Path) -> None:
        path.write_text(json.dumps({"resource": state.resource, "row": state.row}))

    def load(self, trial: TrialSpec, path: Path) -> TabularState:
        """The trial that was saved.

        Raises:
            StudyError: the file is missing or no checkpoint of this objective.
        """
        try:
            saved = json.loads(path.read_bytes())
            resource, row = operator.index(saved["resource"]), operator.index(saved["row"])
            if not (0 <= resource <= self._recording.lengths.max() and -1 <= row < len(self._recording)):
                raise ValueError(f"{saved!r} is no place in the recording")
        except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
            raise StudyError(f"{path}: not a checkpoint ({error!r}); remove it and run the trial again") from None
        state = self.start(trial)
        state.resource, state.row = resource, row
        return state


def _study_in(folder: Path) -> tuple[Recording, dict[str, str]]:
    recording = read_study(folder)
    files = {name: folder / name for name in (CONFIG, JOURNAL)}
    return recording, {name: path.read_text(encoding="utf-8") for name, path in files.items() if path.is_file()}


def flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """`{params: {lr: a}}`, as the command line makes it of `columns.params.lr=a`, is `{params.lr: a}`."""
    found: dict[str, Any] = {}
    for key, value in tree.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return found
