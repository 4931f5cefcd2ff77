"""The head of the page: what was tuned, what was found, how sure it is."""

from __future__ import annotations

import statistics
import time
from typing import Any

from hpo_pipeline.analysis.axes import label
from hpo_pipeline.analysis.job_log import busy_share
from hpo_pipeline.report.page.material import Material
from hpo_pipeline.report.page.rungs import rung_words
from hpo_pipeline.report.page.section import percent
from hpo_pipeline.report.page.settings import commands_of
from hpo_pipeline.report.text import counts, duration, metric_text, over_seeds_text, plural
from hpo_pipeline.space import Constant


def summary(material: Material) -> dict[str, Any]:
    """What page.html needs for it."""
    view = material.view
    end = view.end or {}
    return {
        "name": material.study.name,
        "state": str(end.get("state", "running")).lower(),
        "reason": str(end.get("reason", "")),
        "date": _date(view.header.get("time")),
        "tuned": _tuned(material),
        "found": _found(material),
        "sure": _sure(material),
        "winner": _winner(material),
        "which": f"The best configuration by {view.metric}" if view.has_front else "The best configuration",
        "command": commands_of(material).get("Train the best trial again", ""),
        "tiles": _tiles(material),
    }


def _tuned(material: Material) -> str:
    view, choices = material.view, material.study_choices
    model, data = choices.get("model", "none"), choices.get("dataset", "none")
    subject = f"{model} on {data}" if model != "none" and data != "none" else choices.get("objective", "an objective")
    aims = " and ".join(f"{'minimise' if m.mode == 'min' else 'maximise'} {m.name}" for m in view.metrics)
    count = f"{plural(len(material.axes), 'hyperparameter')} of " if material.axes else ""
    what = f"{count}{subject}, to {aims}"
    how = ", ".join(f"{group} {choices[group]}" for group in ("scheduler", "searcher") if group in choices)
    rungs = rung_words(material)
    bounds = f", within {', '.join(map(str, view.constraints))}" if view.constraints else ""
    return f"{what}{bounds}{f'; {how}' if how else ''}{f'; {rungs}' if rungs else ''}."


def _found(material: Material) -> str:
    view = material.view
    if view.has_front and view.front.points:
        n = len(view.front.points)
        best = [f"{m.name} {metric_text(_best_of(material, m.name, m.mode))}" for m in view.metrics]
        return f"A front of {plural(n, 'member')}; the best of each metric on it: {', '.join(best)}."
    if (winner := view.winner) is None:
        failed = f" {view.failures_text[0].upper()}{view.failures_text[1:]}." if view.failures else ""
        return f"No trial has a usable {view.metric} yet.{failed}" if view.trials else "No trial was started yet."
    value = winner.best(view.metric)
    values = [v for trial in view.trials.values() if trial.is_usable and (v := trial.best(view.metric)) is not None]
    typical = f"; the median trial came to {metric_text(statistics.median(values))}" if len(values) > 2 else ""
    outside = "" if winner.is_feasible else " It is outside the constraints: no trial is within them."
    return (
        f"{view.metric} {metric_text(value)}, by trial {winner.id} at {material.unit} {winner.best_resource}{typical}."
        f"{outside}"
    )


def _best_of(material: Material, name: str, mode: str) -> float:
    k = [metric.name for metric in material.view.metrics].index(name)
    return material.view.metrics[k].value(min(point.scores[k] for point in material.view.front.points))


def _sure(material: Material) -> str:
    view = material.view
    if view.has_front and view.front.points:
        return "Each member is one training with one seed: the front is where luck was best, too."
    winner = view.winner
    if winner is None:
        return "There is nothing to be sure of."
    over = view.over_seeds(winner)
    if over.n > 1:
        runner = [trial for trial in view.compared() if trial is not winner][:1]
        text = f"Trained with {over.n} seeds it comes to {over_seeds_text(over)}, mean ± standard error"
        if runner:
            text += f"; the next finalist, trial {runner[0].id}, to {over_seeds_text(view.over_seeds(runner[0]))}"
        return f"{text}. The data and their split are the same in all of them."
    n = sum(trial.is_usable for trial in view.trials.values())
    best_of = (
        f"It is the best of {n} trials, so by luck it looks better than it is" if n > 1 else "It is a single trial"
    )
    return (
        f"{best_of}; with one seed each, how much of a difference is chance wasn't measured (finalists.seeds=3 "
        "trains the best ones again with more)."
    )


def _winner(material: Material) -> list[tuple[str, str, str]]:
    """(path, value, what it was looked for in) of the winner's hyperparameters, the most important first."""
    winner = material.view.winner
    if winner is None:
        return []
    config = winner.best_config
    domains: dict[str, str] = {}
    for parameter in material.space.parameters if material.space else ():
        if not isinstance(parameter.domain, Constant) and parameter.is_active(config):
            domains[parameter.path] = str(parameter.domain)
    order = [*(axis.path for axis in material.axes), *config]
    return [(path, label(config[path]), domains.get(path, "")) for path in dict.fromkeys(order) if path in config]


def _tiles(material: Material) -> list[tuple[str, str]]:
    view = material.view
    found = counts(view.trials.values())
    states = ", ".join(f"{n} {state.value.lower()}" for state, n in found.items())
    seconds = f"{duration(view.seconds)}{' simulated' if view.is_simulated else ''}"
    n_workers, share = busy_share(material.log.spans(), material.log.seconds)
    tiles = [(str(len(view.trials)), f"trial{'' if len(view.trials) == 1 else 's'} ({states or 'none'})")]
    tiles.append((f"{view.total_resource:,}", f"{material.unit}s in {plural(view.evaluations, 'rung evaluation')}"))
    tiles.append((seconds, plural(view.sessions, "session")))
    if n_workers:
        tiles.append((percent(share), f"of the time of {plural(n_workers, 'worker')} in jobs"))
    return tiles


def _date(seconds: Any) -> str:
    if not isinstance(seconds, (int, float)) or not 0 < seconds < 4e9:
        return ""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
