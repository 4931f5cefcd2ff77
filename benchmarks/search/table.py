"""The Markdown tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from statistics import mean

import numpy as np

from benchmarks.search.methods import baseline
from benchmarks.search.results import Run, in_order
from benchmarks.search.statistics import holm, mean_and_error, paired_p
from benchmarks.search.suites import Suite
from hpo_pipeline.analysis.ranks import LEVEL, Ranks, average_ranks

_CENTERS: Mapping[str, Callable[[Sequence[float]], float]] = {"mean": lambda v: float(np.mean(v)), "median": np.median}


def markdown(suite: Suite, runs: Sequence[Run]) -> str:
    """The section of a suite."""
    methods = in_order((run.method for run in runs), suite.methods)
    lines = [f"## {suite.name}", "", f"{suite.title}. {_legend(suite)}", ""]
    groups = list(dict.fromkeys(run.group for run in runs))
    for group in groups:
        own = [run for run in runs if run.group == group]
        lines += [f"**{group}**", "", *_scores(suite, methods, own), ""]
        if len({run.task for run in own}) > 1:
            lines += ["Average ranks over its tasks:", "", *_ranks(suite, methods, own), ""]
    if suite.paired:
        lines += _against_random(suite, methods, runs)
    elif len(groups) == len({(run.group, run.task) for run in runs}) > 1:
        lines += ["**Average ranks over the tasks**", "", *_ranks(suite, methods, runs), ""]
    return "\n".join(lines)


def overall(runs: Mapping[str, Sequence[Run]], suites: Mapping[str, Suite]) -> str:
    """Average ranks over the tasks of several suites, at the end of their budgets, a protocol counting once.

    Args:
        runs: of each suite that is to count.
    """
    lines = ["## All tasks", "", f"At the ends of the budgets of {', '.join(runs)}.", ""]
    at_end: list[Run] = []
    for name, own in runs.items():
        groups = suites[name].representative or {run.group for run in own}
        end = suites[name].budgets[-1]
        at_end += [replace(run, scores={0: run.scores[end]}) for run in own if run.group in groups]
    first = suites[next(iter(runs))]
    methods = in_order((run.method for run in at_end), first.methods)
    return "\n".join([*lines, *_ranks(replace(first, budgets=[0]), methods, at_end), ""])


def _legend(suite: Suite) -> str:
    if suite.center == "median":
        return "Median of the runs, in brackets their quartiles"
    return "Mean of the runs ± standard error"


def _scores(suite: Suite, methods: Sequence[str], runs: Sequence[Run]) -> Iterator[str]:
    yield from _head(["method", "runs", *map(str, suite.budgets), "CPU s a run"])
    for method in methods:
        own = [run for run in runs if run.method == method]
        if own:
            cells = [_cell(suite, [run.scores[unit] for run in own]) for unit in suite.budgets]
            yield _row([method, str(len(own)), *cells, f"{mean(run.seconds for run in own):.2f}"])


def _cell(suite: Suite, values: Sequence[float]) -> str:
    if suite.center == "median":
        low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
        return f"{middle:.4g} ({low:.4g} to {high:.4g})"
    center, error = mean_and_error(values)
    return _short(center) if np.isnan(error) else f"{_short(center)} ± {_short(error)}"


def _short(value: float) -> str:
    return f"{value:.3f}".replace("0.", ".", 1) if abs(value) < 1 else f"{value:.3f}"


def _ranks(suite: Suite, methods: Sequence[str], runs: Sequence[Run]) -> Iterator[str]:
    """A task counts once: by the center of its runs. Methods that lack a task are left out."""
    tasks = list(dict.fromkeys((run.suite, run.group, run.task) for run in runs))
    values: dict[tuple[str, ...], list[Run]] = {}
    for run in runs:
        values.setdefault((run.method, run.suite, run.group, run.task), []).append(run)
    methods = [method for method in methods if all((method, *task) in values for task in tasks)]
    if len(methods) < 2:
        yield "Fewer than two methods have run on all tasks."
        return
    center = _CENTERS[suite.center]
    ranks: list[Ranks] = []
    for unit in suite.budgets:
        by_task = [[center([run.scores[unit] for run in values[m, *task]]) for m in methods] for task in tasks]
        ranks.append(average_ranks(by_task))
    yield from _head(["method", *(f"rank at {unit or 'the end'}" for unit in suite.budgets)])
    for index in np.argsort(ranks[-1].average, kind="stable"):
        yield _row([methods[index], *(f"{found.average[index]:.2f}" for found in ranks)])
    yield ""
    ps = [found.p for found in ranks if found.p is not None]
    told = f"; Friedman's p: {', '.join(f'{p:.2g}' for p in ps)}" if ps else ""
    n, difference = ranks[0].n_tasks, ranks[0].critical_difference
    yield f"{n} tasks; ranks {difference:.2f} apart differ (Nemenyi, p < {LEVEL}){told}."


def _against_random(suite: Suite, methods: Sequence[str], runs: Sequence[Run]) -> Iterator[str]:
    """A table for each budget: the mean difference from random with the same scheduler, negative where better."""
    scores = {(run.method, run.group, run.task, run.seed): run.scores for run in runs}
    groups = list(dict.fromkeys(run.group for run in runs))
    for unit in suite.budgets:
        yield from (f"**Minus random with the same scheduler, at {unit}**", "")
        yield from _head(["method", "random", *groups])
        for method in methods:
            other = baseline(method, suite.methods)
            if other is None:
                continue
            differences = []
            for group in groups:
                keys = [key[1:] for key in scores if key[:2] == (method, group) and (other, *key[1:]) in scores]
                differences.append([scores[method, *key][unit] - scores[other, *key][unit] for key in keys])
            yield _row([method, other, *_marked(differences)])
        yield ""
    yield f"↓ better, ↑ worse (Wilcoxon's signed ranks, p < {LEVEL}); twice: also after Holm's correction for the row."
    yield ""


def _marked(differences: Sequence[Sequence[float]]) -> list[str]:
    ps = [paired_p(values) if values else 1.0 for values in differences]
    cells = []
    for values, p, adjusted in zip(differences, ps, holm(ps), strict=True):
        if not values:
            cells.append("–")
            continue
        mark = ("↓" if np.mean(values) < 0 else "↑") * ((p < LEVEL) + (adjusted < LEVEL))
        cells.append(f"{np.mean(values):+.3f} {mark}".strip())
    return cells


def _head(cells: Sequence[str]) -> Iterator[str]:
    yield _row(cells)
    yield _row(["---"] * len(cells))


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
