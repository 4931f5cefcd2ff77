"""Numbers, configurations and durations as people read them: for the live table, the log lines and the summary."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from hpo_pipeline.over_seeds import OverSeeds
from hpo_pipeline.trial import Config, State, Value
from hpo_pipeline.view import StudyView, TrialView

STATE_STYLE = {
    State.RUNNING: "cyan",
    State.PAUSED: "blue",
    State.COMPLETED: "green",
    State.STOPPED: "yellow",
    State.FAILED: "red",
    State.INTERRUPTED: "magenta",
}


def short(value: Value, digits: int = 3) -> str:
    """A value with `digits` significant digits; an en dash for what isn't there."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        # Not '.3g' alone: it would write 512.0 as 512 but 1234.0 as 1.23e+03.
        whole = value.is_integer() and abs(value) < 1e6
        return str(int(value)) if whole else f"{value:.{digits}g}"
    return str(value)


def metric_text(value: float | None) -> str:
    """A metric with four significant digits, or all before the point. Trailing zeros are kept: columns line up."""
    if value is None:
        return "–"
    if 1e4 <= abs(value) < 1e9:
        return f"{value:.0f}"
    return f"{value:#.4g}".removesuffix(".") if math.isfinite(value) else str(value)


def over_seeds_text(found: OverSeeds) -> str:
    """`0.02000 ± 0.0019 (3)`: mean, standard error, seeds; `(2 of 3)` where not all came to a value."""
    if found.n == 1:
        return "–"
    n = len(found.values)
    error = f" ± {found.standard_error:.2g}" if n > 1 else ""
    return f"{metric_text(found.mean)}{error} ({n if n == found.n else f'{n} of {found.n}'})"


def point_text(view: StudyView, trial: TrialView, resource: int, text: Callable[[Any], str] = metric_text) -> str:
    """The study's metrics at one resource: `validation_error 0.1234, n_parameters 5130`."""
    return ", ".join(f"{metric.name} {text(trial.at(resource).get(metric.name))}" for metric in view.metrics)


def plural(count: int, noun: str) -> str:
    """`1 trial`, `2 trials`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def duration(seconds: float) -> str:
    """`7.3 s`, `4:05`, `2:04:05`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def size_text(n_bytes: int) -> str:
    """`532 bytes`, `12.4 MB`."""
    from rich.filesize import decimal

    return decimal(n_bytes)


def short_names(paths: Iterable[str]) -> dict[str, str]:
    """Path -> its last component, or the path itself where two paths would get the same name."""
    paths = list(dict.fromkeys(paths))
    last = [path.rpartition(".")[2] for path in paths]
    return {path: name if last.count(name) == 1 else path for path, name in zip(paths, last, strict=True)}


def config_text(config: Config, names: Mapping[str, str]) -> str:
    """`lr=0.00312 n_units_1=412`."""
    return " ".join(f"{names.get(path, path)}={short(value)}" for path, value in config.items())


def resource_text(trial: TrialView) -> str:
    """`3/9` on the way to 9, `9` when there."""
    at, target = trial.resource, trial.target_resource
    return f"{at}/{target}" if at < target else str(at)


def counts(trials: Iterable[TrialView]) -> dict[State, int]:
    """State -> number of trials, states that no trial is in left out."""
    found = Counter(trial.state for trial in trials)
    return {state: found[state] for state in State if state in found}
