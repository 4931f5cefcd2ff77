"""Early stopping: the values at each rung, and whether their order lasts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hpo_pipeline.analysis.rank_correlation import Correlation, compared_resources, rank_correlations
from hpo_pipeline.report.page.material import Material
from hpo_pipeline.report.page.section import Section, listed, short
from hpo_pipeline.report.text import plural

MOST_LEVELS = 12
MOST_TRIALS = 1500
"""In a bracket's panel: of more, the best ones."""


@dataclass
class _Panel:
    """One bracket.

    Attributes:
        trials: trial -> resource and value of its first rung, of its second one, and so on; best first.
        rungs: resource -> how many were evaluated there.
    """

    bracket: int
    trials: dict[int, list[Any]] = field(default_factory=dict)
    rungs: dict[int, int] = field(default_factory=dict)


def rung_scatter(material: Material) -> Section | None:
    """The value at each rung, a panel a bracket; None where trials have one rung alone, or very many."""
    if not 2 <= len(material.resources) <= MOST_LEVELS or not any(trial.rungs for trial in material.ranking):
        return None
    panels = _panels(material)
    one = len(panels) == 1
    says = (
        f"Each dot is a trial's {material.view.metric} when it came to a rung{'' if one else ', a panel a bracket'}; a "
        "line joins a trial's rungs, so where it ends the trial was stopped."
    )
    best = min(panels, key=lambda panel: min(material.rank_of[trial] for trial in panel.trials))
    climbed = listed([f"{count} at {material.unit} {resource}" for resource, count in sorted(best.rungs.items())])
    which = "Trials evaluated" if one else f"The best trial is of bracket {best.bracket}; trials evaluated there"
    sure = f"{which}: {climbed}. The fewer a rung has, the more of its order is luck."
    height = 330 if one else 290 * ((len(panels) + 2) // 3) + 40
    data = [
        {
            "bracket": panel.bracket,
            "trials": [[trial, *points] for trial, points in list(panel.trials.items())[:MOST_TRIALS]],
            "rungs": sorted(panel.rungs.items()),
        }
        for panel in panels
    ]
    return Section("rungs", "Rungs", says, sure, {"rungs": height}, {"panels": data})


def _panels(material: Material) -> list[_Panel]:
    """The bracket that starts lowest first."""
    panels: dict[int, _Panel] = {}
    for trial in material.ranking:
        for rung in trial.rungs:
            panel = panels.setdefault(rung.bracket, _Panel(rung.bracket))
            panel.trials.setdefault(trial.id, []).extend((rung.resource, short(material.value(rung.metrics), 4)))
            panel.rungs[rung.resource] = panel.rungs.get(rung.resource, 0) + 1
    return sorted(panels.values(), key=lambda panel: (min(panel.rungs), panel.bracket))


def early_stopping(material: Material) -> Section | None:
    """The rank correlations between rungs; None where nothing could be compared."""
    found = rank_correlations(material.view)
    if not found:
        return None
    cells = {(c.before, c.after): c for c in found}
    present = [resource for resource in compared_resources(material.view) if any(resource in pair for pair in cells)]
    rows = [(before, [cells.get((before, after)) for after in present[1:]]) for before in present[:-1]]
    says = (
        f"Spearman's rank correlation of {material.view.metric} between two {material.unit}s, of the trials that came "
        "to both: 1 where their order stays, 0 where the earlier one says nothing of the later."
    )
    extra = {"after": present[1:], "rows": rows}
    return Section("stopping", "Does early stopping mislead here?", says, _verdict(found, material.unit), extra=extra)


def _verdict(found: list[Correlation], unit: str) -> str:
    """What the highest resource says of the lowest one, and of the last one before it."""
    top = max(c.after for c in found)
    first, *_, last = [c for c in found if c.after == top] * 2
    told = [
        f"number {c.best_was} at {unit} {c.before} (correlation {c.rho:.2f}, 95 % interval {c.low:.2f} to {c.high:.2f})"
        for c in ([first] if first is last else [first, last])
    ]
    if last.low > 0.5:
        means = "The order lasts: stopping early misleads little here."
    elif last.high < 0.5:
        means = "The order changes much: a larger min_resource, or a smaller eta, would be safer."
    elif last.low > 0:
        means = "The order lasts in part: what is stopped early is mostly, but not always, what would be worse."
    else:
        means = "The trials are too few, or too alike, to say whether stopping early misleads."
    return (
        f"{means} Of the {last.n} trials that came to {unit} {top}, the best was {listed(told)}. Trials that were "
        "stopped before can't be compared; those that are left are alike, which lowers these numbers."
    )


def rung_words(material: Material) -> str:
    """`3 rungs at epochs 1, 3, 9`; empty where there is one, or very many."""
    levels = material.resources
    if not 2 <= len(levels) <= MOST_LEVELS or not any(trial.rungs for trial in material.ranking):
        return ""
    return f"{plural(len(levels), 'rung')} at {material.unit}s {', '.join(map(str, levels))}"
