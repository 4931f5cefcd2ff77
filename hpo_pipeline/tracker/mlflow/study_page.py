"""A study's note on its run in MLflow's UI: where it stands, its rungs, its best trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hpo_pipeline.report.rung_table import RungRow
from hpo_pipeline.report.text import duration, metric_text, short
from hpo_pipeline.tracker.mlflow.links import run_link
from hpo_pipeline.tracker.mlflow.naming import TAG_LENGTH, clipped, escaped
from hpo_pipeline.view import StudyView, TrialView

_BEST = 5
_MEMBERS = 15
"""Of a front."""
_RUNGS = 30


def note(view: StudyView, rungs: Sequence[RungRow], experiment_id: str, runs: Mapping[int, str], resume: str) -> str:
    """The study in Markdown: where it stands, its rungs, and its best trials.

    Args:
        rungs: those of `RungTable`.
        runs: trial id -> run id.
        resume: the command that goes on with it; may be empty.
    """
    state = "running" if view.end is None else f"{view.end['state']} ({view.end['reason']})"
    unit = str(view.header.get("unit", "")) or "resource"
    lines = [
        f"**{escaped(str(view.header['name']))}**: {escaped(state)}. {len(view.trials)} trials, "
        f"{view.evaluations} rung evaluations, {view.total_resource} {unit}s in {duration(view.seconds)}.",
        "",
    ]
    if view.has_front:
        lines[0] += f" A front of {len(view.front.points)}, hypervolume {metric_text(view.front.hypervolume())}."
    best = [(trial, trial.best_resource) for trial in view.top(_BEST)] if not view.has_front else []
    best += [(view.trials[point.trial_id], point.resource) for point in view.front.points[:_MEMBERS]]
    lines += [*_trials(view, best, unit, experiment_id, runs), ""] if best else []
    lines += [*_rungs(rungs, view.metric, unit), ""] if len(rungs) > 1 else []
    if resume and (view.end is None or view.end["state"] != "completed"):
        lines += [f"Resume: `{resume}`"]
    return clipped("\n".join(lines).rstrip(), TAG_LENGTH)


def _trials(
    view: StudyView, best: Sequence[tuple[TrialView, int]], unit: str, experiment_id: str, runs: Mapping[int, str]
) -> list[str]:
    """A row a trial, at a resource."""
    names, metrics = list(best[0][0].config_at(best[0][1])), [metric.name for metric in view.metrics]
    lines = _head(["trial", *metrics, unit, *names])
    for trial, at in best:
        run = runs.get(trial.id)
        title = f"trial-{trial.id:04d}"
        config, reported = trial.config_at(at), trial.at(at)
        row = [f"[{title}]({run_link(experiment_id, run)})" if run else title]
        row += [metric_text(reported.get(metric)) for metric in metrics]
        row += [str(at), *(escaped(short(config.get(name), 4)) for name in names)]
        lines.append(f"| {' | '.join(row)} |")
    return lines


def _rungs(rungs: Sequence[RungRow], metric: str, unit: str) -> list[str]:
    """A row a rung; the bracket is only named where there are several."""
    several = len({row.bracket for row in rungs}) > 1
    lines = _head([*(["bracket"] if several else []), "rung", unit, "trials", "went on", f"best {metric}"])
    for row in rungs[:_RUNGS]:
        cells = [row.rung, row.resource, row.n_trials, row.n_went_on, metric_text(row.best)]
        lines.append(f"| {' | '.join(map(str, [*([row.bracket] if several else []), *cells]))} |")
    return lines


def _head(names: Sequence[str]) -> list[str]:
    return [f"| {' | '.join(escaped(name) for name in names)} |", "|" + "---|" * len(names)]
