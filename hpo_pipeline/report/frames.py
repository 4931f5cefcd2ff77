"""A study as flat tables for pandas: one row a trial, a rung evaluation, or a report; one column a value.

Hyperparameters are columns `params.<path>`, what was measured `metrics.<name>`. Times are in UTC, seconds are seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpo_pipeline.checks import is_integer
from hpo_pipeline.view import StudyView, TrialView

if TYPE_CHECKING:
    import pandas as pd


def trials_frame(view: StudyView) -> pd.DataFrame:
    """One row a trial, by its id, with the metrics and the configuration of its best report.

    Columns: rank (1 is the best); state; value (of the study's first metric; NaN without a finite one); resource (where
    that was); trained (how far it came); bracket, rung; mean, standard_error, seeds (of finalists that were compared
    over seeds); violation (with constraints); front (of several metrics: whether it is a member); origin, reason,
    error; seconds (spent in training), started, ended; repeats (the finalist that it is a further seed of).
    """
    ranks = {trial.id: rank for rank, trial in enumerate(view.ranking(), start=1)}
    members = {point.trial_id for point in view.front.points}
    rows = []
    for trial in view.trials.values():
        over = view.over_seeds(trial)
        rows.append(
            {
                "trial": trial.id,
                "rank": ranks[trial.id],
                "state": trial.state.value,
                "value": trial.best(view.metric),
                "resource": trial.best_resource or None,
                "trained": trial.resource,
                "bracket": trial.bracket,
                "rung": trial.rung,
                **({"mean": over.mean, "standard_error": over.standard_error, "seeds": over.n} if over.n > 1 else {}),
                **({"violation": trial.best_violation if trial.best_resource else None} if view.constraints else {}),
                **({"front": trial.id in members} if view.has_front else {}),
                **_prefixed("metrics", trial.at(trial.best_resource)),
                **_prefixed("params", trial.best_config),
                "origin": trial.origin,
                "reason": trial.reason or trial.finished,
                "error": trial.error,
                "seconds": trial.seconds,
                "started": trial.started,
                "ended": trial.ended,
                "finalist": trial.finalist,
                "repeats": trial.repeats,
            }
        )
    columns = ["trial", "rank", "state", "value", "resource", "trained", "bracket", "rung"]
    columns += ["mean", "standard_error", "seeds"] if view.has_further_seeds else []
    columns += ["violation"] if view.constraints else []
    columns += ["front"] if view.has_front else []
    columns += [*_metrics(view), *_params(view.trials.values())]
    columns += ["origin", "reason", "error", "seconds", "started", "ended", "finalist", "repeats"]
    return _frame(rows, columns).set_index("trial").sort_index()


def evaluations_frame(view: StudyView) -> pd.DataFrame:
    """One row a rung evaluation, in the order in which they were made: trial, bracket, rung, resource, value, time."""
    evaluations = [
        (
            rung.time,
            {
                "trial": trial.id,
                "bracket": rung.bracket,
                "rung": rung.rung,
                "resource": rung.resource,
                "value": rung.metrics.get(view.metric),
                **_prefixed("metrics", rung.metrics),
                "time": rung.time,
            },
        )
        for trial in view.trials.values()
        for rung in trial.rungs
    ]
    evaluations.sort(key=lambda one: one[0])
    columns = ["trial", "bracket", "rung", "resource", "value", *_metrics(view), "time"]
    return _frame([row for _, row in evaluations], columns)


def reports_frame(view: StudyView) -> pd.DataFrame:
    """One row a report, the learning curves: trial, resource, value, time; by trial and resource."""
    rows = [
        {
            "trial": trial.id,
            "resource": resource,
            "value": metrics.get(view.metric),
            **_prefixed("metrics", metrics),
            "time": time,
        }
        for trial in view.trials.values()
        for resource, metrics, time in trial.curve
    ]
    return _frame(rows, ["trial", "resource", "value", *_metrics(view), "time"])


def write(frame: pd.DataFrame, path: Path, *, parquet: bool) -> None:
    """Writes a frame as Parquet or else as CSV.

    Raises:
        ImportError: what writes Parquet isn't installed.
    """
    import pandas as pd

    if not parquet:
        frame.to_csv(path, index=False)
        return
    frame = frame.copy()
    for name in frame:
        if pd.api.types.is_object_dtype(frame[name]):  # Parquet knows one type a column
            frame[name] = frame[name].map(str, na_action="ignore")
    frame.to_parquet(path, index=False)


def _prefixed(prefix: str, values: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{prefix}.{name}": value for name, value in values.items()}


def _params(trials: Iterable[TrialView]) -> list[str]:
    return list(dict.fromkeys(f"params.{path}" for trial in trials for path in trial.best_config))


def _metrics(view: StudyView) -> list[str]:
    """The study's own first, then those that are reported besides."""
    own = [metric.name for metric in view.metrics]
    reported = (name for trial in view.trials.values() for _, metrics, _ in trial.curve[-1:] for name in metrics)
    every = (name for trial in view.trials.values() for rung in trial.rungs for name in rung.metrics)
    return [f"metrics.{name}" for name in dict.fromkeys([*own, *reported, *every])]


_TIMES = ("started", "ended", "time")
_COUNTS = ("resource", "seeds", "repeats")
_MEASURED = ("value", "mean", "standard_error", "violation")


def _frame(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> pd.DataFrame:
    import pandas as pd

    frame = pd.DataFrame(list(rows), columns=list(columns))
    for name in columns:
        if name in _TIMES:
            frame[name] = pd.to_datetime(frame[name].astype(float), unit="s", utc=True, errors="coerce")
        elif name in _COUNTS or (name.startswith("params.") and _are_integers(row.get(name) for row in rows)):
            frame[name] = pd.Series(pd.array([row.get(name) for row in rows], dtype="Int64"))
        elif name in _MEASURED or name.startswith("metrics."):
            frame[name] = frame[name].astype(float)
    return frame


def _are_integers(values: Iterable[Any]) -> bool:
    """Whether all that are there are: one that is missing would make floats of them."""
    there = [value for value in values if value is not None]
    return bool(there) and all(is_integer(value, 1 - 2**63, 2**63 - 1) for value in there)
