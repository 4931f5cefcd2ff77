"""comparison.html: compared methods as one page that opens offline; and what a notebook shows of them.

It is made as report.html is (report/page/): texts are escaped, data packed apart from the page's own scripts, and
nothing is loaded or sent.
"""

from __future__ import annotations

import functools
import math
import time
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hpo_pipeline.analysis.anytime import Floats, Spent
from hpo_pipeline.analysis.comparison import Method, MethodComparison
from hpo_pipeline.analysis.methods import shown
from hpo_pipeline.atomic import write_text
from hpo_pipeline.errors import one_line
from hpo_pipeline.report.comparison import words
from hpo_pipeline.report.comparison.rows import study_rows
from hpo_pipeline.report.notebook import table_html
from hpo_pipeline.report.page.assets import file, packed, template
from hpo_pipeline.report.page.section import Section, short
from hpo_pipeline.report.text import metric_text

if TYPE_CHECKING:
    import jinja2

_OWN = "hpo_pipeline.report.comparison"
_SCRIPTS = ("echarts.min.js", "parts.js")
_WAYS: tuple[Spent, ...] = ("resource", "seconds")
_EARLY = 0.1
"""The values of the first tenth of what was spent may lie beyond the axis."""
MOST_STUDIES = 200
"""Thin lines, and rows of the table of studies."""


def write_page(found: MethodComparison, path: Path) -> Path:
    """Writes the page."""
    write_text(path, page(found))
    return path


def page(found: MethodComparison) -> str:
    """The page's HTML."""
    sections = [section for make in (curves, target, ranks, studies, differences) if (section := make(found))]
    data = {
        "metric": found.metric.name,
        "mode": found.metric.mode,
        "unit": found.unit,
        "limits": _limits(found),
        "methods": [method.name for method in found.methods],
        "sections": {section.key: section.data for section in sections},
    }
    return _template().render(head=_head(found), sections=sections, data=packed(data), unit=found.unit)


@functools.cache
def _template() -> jinja2.Template:
    scripts = [*map(file, _SCRIPTS), file("comparison.js", _OWN), file("page.js")]
    return template(file("comparison.html", _OWN), scripts)


def notebook_html(found: MethodComparison) -> str:
    """The headline, the table, and what it is worth."""
    head, rows = _table(found)
    said = [words.ranks_text(found, words.at_end(found)), *found.notes]
    paragraphs = "".join(f"<p>{escape(line)}</p>" for line in said if line)
    return f"<div><p><b>{escape(words.headline(found))}</b></p>{table_html([head, *rows])}{paragraphs}</div>"


def _head(found: MethodComparison) -> dict[str, Any]:
    head, rows = _table(found)
    first = found.members[0].study
    choices = first.choices
    same = [group for group in ("model", "dataset", "objective") if group not in found.keys and choices.get(group)]
    what = ", ".join(f"{group} {one_line(choices[group])}" for group in same if choices[group] != "none")
    differs = ", ".join(map(one_line, found.keys)) or "nothing but the seed"
    return {
        "title": ", ".join(method.name for method in found.methods[:4]) + (" …" if len(found.methods) > 4 else ""),
        "date": time.strftime("%Y-%m-%d %H:%M", time.localtime()),
        "compared": f"{words.headline(found)}{f'; {what}' if what else ''}; they differ in {differs}.",
        "found": words.found_text(found),
        "sure": words.ranks_text(found, words.at_end(found)),
        "notes": found.notes,
        "columns": head,
        "rows": rows,
    }


def _table(found: MethodComparison) -> tuple[list[str], list[list[str]]]:
    """Its heading, and a row a method."""
    head = ["method", "studies", f"final {one_line(found.metric.name)} (median)", "quartiles"]
    if found.target is not None:
        head += [f"to {metric_text(found.target)} in time", f"in {found.unit}s", "reached by"]
    ranks = words.at_end(found).ranks if words.says_something(found) else None
    head += ["rank"] if ranks is not None else []
    rows = []
    for i, method in enumerate(found.methods):
        row = [method.name, str(len(method.members)), words.value_text(found, float(method.finals[1]))]
        row.append(words.range_text(found, method))
        if found.target is not None:
            row += [words.spent_text(words.to_target(found, method, by), by) for by in ("seconds", "resource")]
            row.append(f"{words.n_reached(found, method)} of {len(method.members)}")
        rows.append([*row, *([f"{ranks.average[i]:.2f}"] if ranks is not None else [])])
    return head, rows


# -- sections ----------------------------------------------------------------------------------------------------------


def curves(found: MethodComparison) -> Section | None:
    """The best so far over what was spent; None where there is no value."""
    limits = _limits(found)
    if not limits:
        return None
    methods = [
        {
            "bands": {by: _band(found, method, by) for by in _WAYS},
            "studies": [
                {"where": member.where, **{by: _steps(found, method, k, by) for by in _WAYS}}
                for k, member in enumerate(method.members[:MOST_STUDIES])
            ],
        }
        for method in found.methods
    ]
    data = {"methods": methods, "end": {by: max(method.end(by) for method in found.methods) for by in _WAYS}}
    says = (
        f"The best {one_line(found.metric.name)} so far: a method's line is the median of its studies, its band is "
        "between their quartiles."
    )
    sure = (
        "A study that came to its end keeps its best value beyond it; one that didn't counts up to where it came. A "
        "line begins where half of the studies had a value"
    )
    worst = limits[1] if found.metric.mode == "min" else limits[0]
    sure += f"; what is worse than {metric_text(worst)} is beyond the drawing."
    if any(len(method.members) == 1 for method in found.methods):
        sure += " Of a single study there is no band: what another seed changes was not measured."
    if found.is_simulated:
        sure += " Seconds are of a simulated clock."
    return Section("curves", "Best so far", says, sure, {"anytime": 440}, data)


def _band(found: MethodComparison, method: Method, by: Spent) -> list[list[float | int | None]]:
    """[spent, lower quartile, median, upper quartile] of each step, by what is worse; null is none."""
    amounts, quartiles = method.curve(by)
    values = _values(found, quartiles)
    return [[short(float(amounts[i]), 6), *(short(float(values[k, i])) for k in range(3))] for i in range(len(amounts))]


def _steps(found: MethodComparison, method: Method, k: int, by: Spent) -> list[list[float | int | None]]:
    one = method.members[k].anytime
    steps = [
        [short(float(x), 6), short(float(y))] for x, y in zip(one.steps(by), _values(found, one.scores), strict=True)
    ]
    return [*steps, [short(one.end[by], 6), steps[-1][1]]] if steps else []


def _values(found: MethodComparison, scores: Floats) -> Floats:
    return scores if found.metric.mode == "min" else -scores


def _limits(found: MethodComparison) -> list[float | int | None]:
    """Of the axis of values: from the best one to the worst that a quartile had after a tenth of what all spent."""
    there: list[float] = []
    for method in found.methods:
        for by in _WAYS:
            amounts, quartiles = method.curve(by)
            late = quartiles[:, amounts >= _EARLY * found.common(by)]
            there += late[np.isfinite(late)].tolist()
        there += method.finals[np.isfinite(method.finals)].tolist()
    if not there:
        return []
    low, high = min(there), max(there)
    room = 0.04 * (high - low) or 0.05 * abs(high) or 0.05
    return [*sorted(short(found.metric.value(end), 4) or 0 for end in (low - room, high + room))]


def target(found: MethodComparison) -> Section | None:
    """When each study reached the target; None where there is none."""
    if found.target is None:
        return None
    data = {
        "target": found.target,
        "reached": [{by: [short(x, 6) for x in found.reached(method, by)] for by in _WAYS} for method in found.methods],
        "median": [{by: short(words.to_target(found, method, by), 6) for by in _WAYS} for method in found.methods],
        "where": [[member.where for member in method.members] for method in found.methods],
    }
    n = len(found.methods)
    better = "at most" if found.metric.mode == "min" else "at least"
    says = (
        f"What each study had spent when its {one_line(found.metric.name)} was {better} {metric_text(found.target)} "
        "for the first time; a bar is the median."
    )
    lost = [
        f"{method.name} {len(method.members) - words.n_reached(found, method)} of {len(method.members)}"
        for method in found.methods
        if words.n_reached(found, method) < len(method.members)
    ]
    sure = "All of them got there."
    if lost:
        sure = f"Never got there: {', '.join(lost)}. A method of which half the studies never did has no median."
    return Section("target", "Reaching the target", says, sure, {"target": 90 + 44 * n}, data)


def ranks(found: MethodComparison) -> Section | None:
    """Average ranks at several budgets; None where they would say nothing."""
    if not words.says_something(found):
        return None
    told = [
        {
            "by": at.by,
            "amount": short(at.amount, 3),
            "average": [short(float(rank), 4) for rank in at.ranks.average],
            "difference": short(at.ranks.critical_difference, 4),
            "cliques": [list(clique) for clique in at.ranks.cliques()] if at.ranks.can_tell else [],
            "over": words.blocks_text(found, at.ranks.n_tasks).partition(" of ")[0],
        }
        for at in found.ranks
        if at.ranks is not None
    ]
    says = (
        "Average ranks, 1 the best, when a quarter, half and all of what every method spent was spent. A grey bar "
        "holds methods that are no critical difference apart: the seeds don't tell them apart."
    )
    sure = words.ranks_text(found, words.at_end(found))
    height = 90 + 3 * (34 + 15 * len(found.methods))
    return Section("ranks", "Average ranks", says, sure, {"ranks": height}, {"ranks": told, "k": len(found.methods)})


def studies(found: MethodComparison) -> Section:
    """A row a study."""
    head = [
        "method",
        "seed",
        "study",
        "state",
        f"best {one_line(found.metric.name)}",
        "trials",
        f"{found.unit}s",
        "time",
    ]
    rows = [
        [
            row["method"],
            one_line(str(row["seed"])),
            row["folder"],
            one_line(row["state"]),
            metric_text(row["best"]) if math.isfinite(row["best"]) else "–",
            str(row["trials"]),
            words.spent_text(row["resource"], "resource"),
            words.spent_text(row["seconds"], "seconds"),
        ]
        for row in study_rows(found)[:MOST_STUDIES]
    ]
    n = len(found.members)
    sure = "Each has a report of its own: hpo report."
    if n > MOST_STUDIES:
        sure = f"The first {MOST_STUDIES} of {n}: hpo compare --json has all. {sure}"
    return Section("studies", "Studies", "What was compared.", sure, extra={"head": head, "rows": rows})


def differences(found: MethodComparison) -> Section | None:
    """What the configs of the methods differ in; None where it is the seed alone."""
    if not found.keys or len(found.methods) < 2:
        return None
    rows = [
        [one_line(key), *(one_line(shown(method.members[0].settings.get(key)))[:200] for method in found.methods)]
        for key in found.keys
    ]
    head = ["key of the config", *(method.name for method in found.methods)]
    sure = "What comes with an option, as the eta of a scheduler, is not listed where the option differs."
    return Section(
        "differences", "What differs", "The keys by which the methods differ.", sure, extra={"head": head, "rows": rows}
    )
