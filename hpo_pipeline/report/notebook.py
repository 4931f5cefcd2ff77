"""A study as a notebook shows it. Names, values and errors may be anybody's: all text is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from hpo_pipeline.report.text import counts, duration, metric_text, plural, point_text, short
from hpo_pipeline.view import StudyView, TrialView

MOST_ROWS = 10
_CELL = "text-align: right; padding: 2px 8px"
_HEAD = f"{_CELL}; border-bottom: 1px solid #999"


def headline(view: StudyView, unit: str, state: str) -> str:
    """How far it is, and what the best is, in one line. `state`: "running", or how it ended."""
    reason = str(view.end.get("reason", "")) if view.end is not None and state != "running" else ""
    said = f"{state}: {reason}" if reason else state
    states = ", ".join(f"{n} {state.value.lower()}" for state, n in counts(view.trials.values()).items())
    parts = [said, plural(len(view.trials), "trial") + (f" ({states})" if states else "")]
    parts += [f"{plural(view.total_resource, unit)} in {duration(view.seconds)}"]
    if (best := view.winner) is not None and not view.has_front:
        parts.append(f"best {point_text(view, best, best.best_resource)} (trial {best.id})")
    elif view.front.points:
        parts.append(f"a front of {len(view.front.points)}")
    return "; ".join(parts)


def study_html(view: StudyView, name: str, unit: str, state: str) -> str:
    """The headline, and the best trials; of several metrics the members of the front."""
    if view.has_front:
        members = [(view.trials[point.trial_id], point.resource) for point in view.front.points[:MOST_ROWS]]
        hidden = len(view.front.points) - len(members)
    else:
        members = [(trial, trial.best_resource) for trial in view.top(MOST_ROWS)]
        hidden = len(view.trials) - len(members)
    head = f"<p><b>{escape(name)}</b> {escape(headline(view, unit, state))}</p>"
    if not members:
        return f"<div>{head}</div>"
    paths = list(dict.fromkeys(path for trial, at in members for path in trial.config_at(at)))
    titles = ["trial", *(metric.name for metric in view.metrics), unit, "state", *paths]
    rows = [titles, *(_cells(view, *one, paths) for one in members)]
    more = f"<p>and {plural(hidden, 'other')}: <code>study.trials</code></p>" if hidden > 0 else ""
    return f"<div>{head}{table_html(rows)}{more}</div>"


def table_html(rows: Sequence[Sequence[str]]) -> str:
    """A table; the first row is its heading. All text is escaped."""
    head, *others = rows
    lines = [_row(head, "th", _HEAD), *(_row(cells, "td", _CELL) for cells in others)]
    return f'<table style="border-collapse: collapse">{"".join(lines)}</table>'


def _cells(view: StudyView, trial: TrialView, resource: int, paths: list[str]) -> list[str]:
    metrics, config = trial.at(resource), trial.config_at(resource)
    values = [metric_text(metrics.get(metric.name)) for metric in view.metrics]
    chosen = [short(config[path], 4) if path in config else "–" for path in paths]
    return [str(trial.id), *values, str(resource), trial.state.value.lower(), *chosen]


def _row(cells: Sequence[str], tag: str, style: str) -> str:
    return "<tr>" + "".join(f'<{tag} style="{style}">{escape(cell)}</{tag}>' for cell in cells) + "</tr>"
